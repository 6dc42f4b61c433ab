"""Image form: pictures that do not decode, show nothing, or are unlike the others in light, sharpness or size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.image_statistics import COLUMNS, ImageStatistics

Scores = npt.NDArray[np.float32]
REASONS = (
    "does not decode", "is blank", "is dark", "is very bright", "is blurred", "is noise", "has an odd shape",
    "has an odd size",
)  # fmt: skip


def tail(values: npt.NDArray[np.float64], *, low: bool, span: float) -> npt.NDArray[np.float64]:
    """How far each value lies beyond the bulk, shape (n,): 0.5 at 3.5 robust deviations, towards 1 farther out.

    The robust deviation is 1.4826 times the median distance to the median (Iglewicz and Hoaglin, 1993), and never below
    ``span`` / 10: a dataset in which all pictures are alike has no odd ones.

    >>> tail(np.array([1.0, 1.0, 1.0, 1.0, 0.0]), low=True, span=0.5).round(2).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.85]
    """
    distance = (np.median(values) - values) * (1 if low else -1)
    deviation = max(1.4826 * float(np.median(np.abs(distance))), span / 10)
    beyond = np.maximum(distance, 0) / deviation
    return np.asarray(beyond / (beyond + 3.5), np.float64)


def form_scores(statistics: npt.NDArray[np.float32]) -> Scores:
    """How malformed each picture is in each respect of :data:`REASONS`, shape (n, 8), in [0, 1]; 0.5 and above is.

    Dark, bright and blank are absolute: a picture that shows nothing is useless among any others. Blur, noise, shape
    and size are relative to the other pictures.
    """
    read = {name: statistics[:, i].astype(np.float64) for i, name in enumerate(COLUMNS)}
    out = np.zeros((len(statistics), len(REASONS)), np.float32)
    shown = read["decodes"] > 0
    out[~shown, 0] = 1
    if not shown.any():
        return out
    b, c = read["brightness"][shown], read["contrast"][shown]
    lit = c >= 0.004  # about one of 256 grey levels
    usual = np.median(b[lit]) if lit.any() else 0.5
    out[shown, 1] = np.where(lit, 0, 1 - 100 * c)
    out[shown, 2] = np.where(lit & (usual > 0.15), np.clip(1.25 - b / 0.08, 0, 1), 0)
    out[shown, 3] = np.where(lit & (usual < 0.85), np.clip((b - 0.92) / 0.08 + 0.25, 0, 1), 0)
    if lit.sum() >= 20:
        where = np.flatnonzero(shown)[lit]
        sharp = np.log(np.maximum(read["sharpness"][where], 1e-3))
        out[where, 4] = tail(sharp, low=True, span=2.0)
        out[where, 5] = tail(sharp, low=False, span=2.0) * (read["entropy"][where] > np.median(read["entropy"][where]))
    if shown.sum() >= 20:
        width, height = read["width"][shown], read["height"][shown]
        turned = np.log(width / height)
        out[shown, 6] = np.maximum(tail(turned, low=True, span=1.0), tail(turned, low=False, span=1.0))
        size = np.log(width * height) / 2
        out[shown, 7] = np.maximum(tail(size, low=True, span=1.5), tail(size, low=False, span=1.5))
    return out


@dataclass(frozen=True)
class ImageForm(Detector):
    """Pictures that do not decode, are blank, dark, glaring, blurred or noise, or are oddly shaped or sized."""

    finds: ClassVar[Issue] = Issue.FORM
    needs: ClassVar = (Role.IMAGE, ImageStatistics)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score each picture by its worst fault."""
        if len(data) == 0:
            return NotApplicable("there are no pictures")
        scores = form_scores(signals[ImageStatistics()])
        worst = scores.argmax(axis=1)
        score = scores[np.arange(len(scores)), worst]
        rows = np.flatnonzero(score > 0.25)
        reasons = np.array(REASONS, dtype=object)
        counted = {reason: int((scores[:, i] >= 0.5).sum()) for i, reason in enumerate(REASONS)}
        return Findings(
            Issue.FORM, rows, score[rows], evidence={"reason": reasons[worst[rows]]}, summary={"pictures": counted}
        )
