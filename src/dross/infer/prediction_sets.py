"""Prediction sets: the classes that cannot be ruled out at a promised error rate, and which rows need no person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset, Rows
from dross.core.errors import DrossError, nearest
from dross.core.method import Inferer
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled, splits_of
from dross.core.statistics import wilson
from dross.models.conformal import Kind, Score, calibrate, safe_answers
from dross.models.hidden_labels import without_labels
from dross.signals.probabilities import Probabilities

Probs = npt.NDArray[np.float32]

NAMES = ("calibration", "calibrate", "calib", "cal")
"""Names of the part that calibrates, in lower case."""
LEAST = 10
"""Calibration rows without which nothing can be promised."""
_SALT = 9


@dataclass(frozen=True)
class PredictionSets(Inferer):
    """For each row the classes that cannot be ruled out: the true one is missing from at most ``alpha`` of the sets.

    Split conformal prediction with the scores of :mod:`dross.models.conformal`. The promise is exact for rows without a
    label: calibration rows are hidden from the model, so it treats both alike. Rows the model learnt from are answered
    from their out-of-fold probabilities, for which the promise holds only about. Probabilities that the user brought
    are taken as those of a model that has seen no labelled row (or no row of the calibration part, where there is one).

    Which rows can be labelled automatically is a promise of its own: that a set holds one class does not mean that it
    is right 1 - alpha of the time, for hard rows make up the misses that easy ones lack. The rows with a confidence of
    at least ``summary["automatic_from"]`` are chosen so that of their likeliest classes at most ``alpha`` are expected
    to be wrong (:func:`~dross.models.conformal.safe_answers`); the others go to review. Counts are of the rows without
    a label, or where every row has one, of those that did not calibrate. What is promised is measured too, by
    calibrating on one half of the calibration rows and judging the other.

    Attributes
    ----------
    alpha
        The promised error rate, in (0, 1).
    kind
        ``marginal``: on average over rows; ``class-conditional``: for the rows of each class, at the price of larger
        sets.
    score
        ``lac`` (smallest sets), ``aps`` or ``raps`` (sets that grow with the difficulty of the row).
    part
        The part (role split) whose rows calibrate; by default one called "calibration" or so, else a random ``share``
        of the labelled rows.
    share
        See ``part``.
    seed
        Of that choice and of the randomised scores.
    """

    paper: ClassVar = Paper("Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", 2019, "1609.00451")
    needs: ClassVar = (Role.LABEL, Probabilities)

    alpha: float = 0.05
    kind: Kind = "marginal"
    score: Score = "lac"
    part: str | None = None
    share: float = 0.3
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Predictions | NotApplicable:
        """Calibrate on the calibration part and give every row its set."""
        if not 0 < self.share < 1:
            raise DrossError(f"share is {self.share:g}, not between 0 and 1")
        rows = self.calibration_rows(data)
        if len(rows) < LEAST:
            return NotApplicable(f"{len(rows)} labelled rows for calibration are too few: at least {LEAST} are needed")
        hidden = self._hide(data, rows)
        if not data.has(Role.PROBS) and len(hidden.classes) < 2:
            return NotApplicable("beside the calibration rows there are no labelled rows of two classes to learn from")
        P = _widened(signals.derive(hidden)[Probabilities()], hidden, data)
        chance = None if self.score == "lac" else _chances(data, self.seed)
        sets = self._sets(data, P, rows, np.arange(len(data)), chance)
        summary = self._summary(data, P, rows, sets) | self._measured(data, P, rows, chance)
        return Predictions(data.classes, P, sets, summary)

    def calibration_rows(self, data: Dataset) -> Rows:
        """Positions of the labelled rows that calibrate, ascending."""
        labelled = data.codes >= 0
        if data.has(Role.SPLIT):
            parts = splits_of(data)
            named = [i for i, name in enumerate(parts.names) if name.strip().lower() in NAMES]
            if self.part is not None and self.part not in parts.names:
                raise DrossError(f"no part is called {self.part!r}", fix=nearest(self.part, parts.names))
            if self.part is not None or named:
                chosen = parts.names.index(self.part) if self.part is not None else named[0]
                return np.flatnonzero(labelled & (parts.codes == chosen))
        elif self.part is not None:
            raise DrossError(f"no column has the role split, so there is no part {self.part!r}")
        if data.has(Role.PROBS):
            return np.flatnonzero(labelled)
        order = shuffled(data, self.seed)
        order = order[labelled[order]]
        return np.sort(order[: round(self.share * len(order))])

    def _hide(self, data: Dataset, rows: Rows) -> Dataset:
        """The data without the labels of the calibration rows."""
        if data.has(Role.PROBS):
            return data
        gone = np.zeros(len(data), bool)
        gone[rows] = True
        return without_labels(data, gone)

    def _sets(
        self, data: Dataset, P: Probs, rows: Rows, wanted: Rows, chance: npt.NDArray[np.float64] | None
    ) -> npt.NDArray[np.bool_]:
        known, new = (None, None) if chance is None else (chance[rows], chance[wanted])
        found = calibrate(P[rows], data.codes[rows], self.alpha, score=self.score, kind=self.kind, chance=known)
        return found.sets(P[wanted], new)

    def _summary(self, data: Dataset, P: Probs, rows: Rows, sets: npt.NDArray[np.bool_]) -> dict[str, Any]:
        rest = np.ones(len(data), bool)
        rest[rows] = False
        asked = next((m for m in (data.codes < 0, rest) if m.any()), ~rest)
        sizes, confidence = sets[asked].sum(axis=1), P[asked].max(axis=1)
        chosen = _safe(P, data.codes, rows, np.flatnonzero(asked), self.alpha)
        counts = np.bincount(data.codes[rows], minlength=len(data.classes))
        least = int(np.ceil(1 / self.alpha)) - 1  # fewer rows than that can rule nothing out
        short = counts < least if self.kind == "class-conditional" else np.full(len(counts), len(rows) < least)
        return {
            "alpha": self.alpha,
            "kind": self.kind,
            "score": self.score,
            "calibration_rows": len(rows),
            "rows": int(asked.sum()),
            "automatic": int(chosen.sum()),
            "automatic_from": float(confidence[chosen].min()) if chosen.any() else None,
            "review": int((~chosen).sum()),
            "sets_of_one": int((sizes == 1).sum()),
            "sets_of_none": int((sizes == 0).sum()),
            "mean_size": round(float(sizes.mean()), 4) if len(sizes) else 0.0,
            "never_ruled_out": [name for name, few in zip(data.classes, short.tolist(), strict=True) if few],
        }

    def _measured(
        self, data: Dataset, P: Probs, rows: Rows, chance: npt.NDArray[np.float64] | None
    ) -> dict[str, list[float] | None]:
        """Shares with 95 % intervals: each half judged by what the other calibrates."""
        order = shuffled(data, self.seed + 1)
        order = order[np.isin(order, rows)]
        covered, single, safe = (np.zeros(len(order), bool) for _ in range(3))
        right, middle = P[order].argmax(axis=1) == data.codes[order], len(order) // 2
        for here, there in ((slice(0, middle), slice(middle, None)), (slice(middle, None), slice(0, middle))):
            sets = self._sets(data, P, order[there], order[here], chance)
            covered[here] = sets[np.arange(len(sets)), data.codes[order[here]]]
            single[here] = sets.sum(axis=1) == 1
            safe[here] = _safe(P, data.codes, order[there], order[here], self.alpha)
        return {
            "measured_coverage": _share(int(covered.sum()), len(covered)),
            "measured_accuracy_of_automatic": _share(int((right & safe).sum()), int(safe.sum())),
            "measured_accuracy_of_sets_of_one": _share(int((covered & single).sum()), int(single.sum())),
        }


def _safe(P: Probs, codes: npt.NDArray[np.int32], known: Rows, new: Rows, alpha: float) -> npt.NDArray[np.bool_]:
    """Which of the rows ``new`` can take their likeliest class, judged by the labelled rows ``known``."""
    wrong = P[known].argmax(axis=1) != codes[known]
    return safe_answers(P[known].max(axis=1).astype(np.float64), wrong, P[new].max(axis=1).astype(np.float64), alpha)


def _share(hits: int, of: int) -> list[float] | None:
    if not of:
        return None
    low, high = wilson([hits], [of])
    return [round(hits / of, 4), round(float(low[0]), 4), round(float(high[0]), 4)]


def _chances(data: Dataset, seed: int) -> npt.NDArray[np.float64]:
    """One uniform number per row that hangs on the row's id and the seed, shape (n,)."""
    salt = np.random.default_rng((seed, _SALT)).integers(2**63, dtype=np.uint64)
    mixed = (data.row_ids ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def _widened(P: Probs, hidden: Dataset, data: Dataset) -> Probs:
    """The probabilities in the columns of all classes: 0 for those that only calibration rows have."""
    if P.shape[1] == len(data.classes):
        return P
    wide = np.zeros((len(P), len(data.classes)), np.float32)
    wide[:, [data.classes.index(name) for name in hidden.classes]] = P
    return wide
