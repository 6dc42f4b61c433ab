"""A trial: planted defects scored by the methods that scored the real rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dross.calibrate.planting import Planting, planters
from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable, Rows
from dross.core.signal import Signals

Found = Mapping[str, tuple[Detector, Findings]]
Strata = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
Frequencies = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Trial:
    """What the methods made of the planted rows.

    Attributes
    ----------
    names
        The methods that could score them.
    planted, decoys
        Scores by method, shapes (m, j) and (d, j); decoys None where the planter makes none.
    sources
        The row each planted defect was made from, shape (m,).
    in_place
        Whether planting changed that row itself.
    strata
        The labels that planted defects and rows of the data carry, shapes (m,) and (n,).
    frequencies
        How frequent the mistakes are that planted defects and rows of the data make, shapes (m,) and (n,).
    failed
        A sentence for each method that could not score them.
    """

    names: tuple[str, ...]
    planted: Scores
    decoys: Scores | None
    sources: Rows
    in_place: bool
    strata: Strata | None
    frequencies: Frequencies | None = None
    failed: tuple[str, ...] = ()

    def onto(self, rows: Rows, n: int) -> Trial:
        """The same with positions among some rows of the data, planted defects made from others left out."""
        place = np.full(n, -1)
        place[rows] = np.arange(len(rows))
        kept = place[self.sources] >= 0
        strata = None if self.strata is None else (self.strata[0][kept], self.strata[1][rows])
        often = None if self.frequencies is None else (self.frequencies[0][kept], self.frequencies[1][rows])
        sources = place[self.sources[kept]]
        return replace(self, planted=self.planted[kept], sources=sources, strata=strata, frequencies=often)


def run_trial(
    data: Dataset, signals: Signals, issue: Issue, found: Found, rng: np.random.Generator
) -> Trial | NotApplicable:
    """Plant with the first planter that knows the issue and has something to work on, and score what it planted."""
    reason = "defects of this kind cannot be planted"
    for planter in planters().get(issue, []):
        variants = planter.plant(data, signals, issue, rng)
        if isinstance(variants, NotApplicable):
            reason = variants.reason
        else:
            return _score_all(variants, found, len(data))
    return NotApplicable(reason)


def _score_all(variants: Iterator[Planting], found: Found, n: int) -> Trial | NotApplicable:
    before = {name: one.dense(n) for name, (_, one) in found.items()}
    planted: dict[str, list[Scores]] = {name: [] for name in found}
    decoys: dict[str, list[Scores]] = {name: [] for name in found}
    sources: list[Rows] = []
    carried: list[npt.NDArray[np.int32]] = []
    often: list[npt.NDArray[np.float64]] = []
    failed: dict[str, str] = {}
    last: Planting | None = None
    for last in variants:
        for name, (detector, _) in found.items():
            if name in failed:
                continue
            outcome = _run(detector, last)
            if isinstance(outcome, str):
                failed[name] = f"{name} could not score planted defects ({outcome}) and is left out."
                continue
            scores = outcome.dense(len(last.data))
            planted[name].append(_of_planted(scores, before[name], last, n))
            decoys[name].append(scores[last.decoys])
        sources.append(last.sources)
        if last.strata is not None:
            carried.append(last.strata[0])
        if last.frequencies is not None:
            often.append(last.frequencies[0])
    names = tuple(name for name in found if name not in failed)
    if last is None or not names:
        return NotApplicable(" ".join(failed.values()) or "no defect could be planted")
    against = np.column_stack([np.concatenate(decoys[name]) for name in names])
    return Trial(
        names,
        np.column_stack([np.concatenate(planted[name]) for name in names]),
        against if len(against) else None,
        np.concatenate(sources),
        in_place=len(last.data) == n,
        strata=None if last.strata is None else (np.concatenate(carried), last.strata[1]),
        frequencies=None if last.frequencies is None else (np.concatenate(often), last.frequencies[1]),
        failed=tuple(failed.values()),
    )


def _of_planted(scores: Scores, before: Scores, variant: Planting, n: int) -> Scores:
    """What planted defects score, on the scale of the scores ``before`` anything was planted."""
    own = scores[variant.rows]
    if variant.pairs:  # of an appended copy and its source either may be the row that is found
        partner = np.where(before[variant.sources] == 0, scores[variant.sources], 0).astype(np.float32)
        return np.maximum(own, partner)
    others = np.ones(n, np.bool_)
    others[variant.rows[variant.rows < n]] = False
    return align(own, scores[:n][others], before[others])


def align(scores: Scores, now: Scores, before: Scores) -> Scores:
    """Scores by their rank among those of rows left as they were ``now``, as the scores of that rank ``before``.

    Planting many defects at once may move the scores of all rows, by a threshold or a mixture fitted to them.

    >>> now, before = np.array([0.25, 0.5, 0.75], np.float32), np.array([0.0, 0.25, 0.5], np.float32)
    >>> align(np.array([0.5, 0.6, 1.0], np.float32), now, before).tolist()
    [0.25, 0.375, 1.0]
    """
    ordered, original = np.sort(now), np.sort(before)
    if not len(ordered) or np.array_equal(ordered, original):
        return scores
    rank = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / 2
    moved = np.interp(rank - 0.5, np.arange(len(original)), original)
    beyond = scores > ordered[-1]
    moved[beyond] = np.maximum(scores[beyond], original[-1])
    aligned: Scores = moved.astype(np.float32)
    return aligned


def _run(detector: Detector, variant: Planting) -> Findings | str:
    try:
        outcome = detector.run(variant.data, variant.signals)
    except Exception as error:  # noqa: BLE001 - one failing method must not take the others with it; the note names it
        return f"{type(error).__name__}: {error}"
    return outcome.reason if isinstance(outcome, NotApplicable) else outcome
