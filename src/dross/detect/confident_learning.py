"""Confident learning: label errors found by counting confident disagreements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel, over_rows
from dross.core.dataset import Codes, Dataset
from dross.core.errors import DrossError
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable, Scores
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.given_labels import checked, labels_and_probs, likeliest_other
from dross.signals.probabilities import Probabilities

Probs = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_CLASSES = 2000
"""The joint holds a count for every pair of classes; beyond this many it would not fit beside the data."""
SHOWN_CLASSES = 100
"""Up to this many classes the summary holds the whole joint."""
_FIXED = 2.0**32
_TIE = 1e-6
"""A probability this little under the threshold still reaches it: float32 rows that all agree must count."""
_UNDER_HALF = np.nextafter(np.float32(0.5), np.float32(0))


# ---- the mathematics of the paper, section 3 ---------------------------------------------------------------------


@kernel()
def _add_self_confidence(labels: Any, probs: Any, sums: Any, counts: Any, scores: Any, start: int, stop: int) -> None:
    """Sum, class by class, the probability of the given label; in fixed point, so that order does not matter.

    ``scores`` gets 1 minus that probability, 0 where the label is missing.
    """
    for i in range(start, stop):
        y = labels[i]
        scores[i] = 0.0
        if y >= 0:
            own = probs[i, y]
            sums[y] += np.int64(own * _FIXED)
            counts[y] += 1
            scores[i] = max(1.0 - own, 0.0)


@kernel(fastmath={"reassoc"})
def _row_sums(probs: Any, i: int) -> tuple[Any, Any]:
    """The sum of a row and of its absolute values; additions may be reordered, so that they run in parallel."""
    total, absolute = probs[i, 0], abs(probs[i, 0])
    for c in range(1, probs.shape[1]):
        total += probs[i, c]
        absolute += abs(probs[i, c])
    return total, absolute


@kernel()
def _count_confident(
    labels: Any, probs: Any, thresholds: Any, joint: Any, disagrees: Any, start: int, stop: int
) -> int:
    """Count (given label, best class above its own threshold); the first row that is no distribution, or -1.

    Notes in ``disagrees`` whether some class is likelier than the label; among equals the label comes first.
    """
    k = probs.shape[1]
    for i in range(start, stop):
        y = labels[i]
        if y < 0:
            continue
        total, absolute = _row_sums(probs, i)
        if not (abs(total - 1.0) <= 0.01 and absolute - total <= 0.01):  # NaN fails too
            return i
        own, likelier, reached, confident = probs[i, y], False, False, -1
        for c in range(k):  # no early exit: so the processor compares many at once
            likelier |= probs[i, c] > own
            reached |= probs[i, c] >= thresholds[c]
        disagrees[i] = likelier
        if not likelier and own >= thresholds[y]:
            confident = y
        elif reached:
            best = -1.0
            for c in range(k):
                if probs[i, c] > best and probs[i, c] >= thresholds[c]:
                    best, confident = probs[i, c], c
        if confident >= 0:
            joint[y * k + confident] += 1
    return -1


@kernel()
def _push(heaps: Any, base: int, size: int, held: int, value: Any) -> int:
    """Keep the largest values in the heap ``heaps[base:base + size]``, smallest on top; the number held now."""
    if held < size:
        j = held
        while j > 0 and heaps[base + (j - 1) // 2] > value:
            heaps[base + j] = heaps[base + (j - 1) // 2]
            j = (j - 1) // 2
        heaps[base + j] = value
        return held + 1
    if value > heaps[base]:
        j = 0
        while 2 * j + 1 < size:
            child = 2 * j + 1
            if child + 1 < size and heaps[base + child + 1] < heaps[base + child]:
                child += 1
            if heaps[base + child] >= value:
                break
            heaps[base + j] = heaps[base + child]
            j = child
        heaps[base + j] = value
    return held


@kernel()
def _keep_largest_margins(
    labels: Any,
    probs: Any,
    disagrees: Any,
    bounds: Any,
    others: Any,
    starts: Any,
    heaps: Any,
    held: Any,
    a: int,
    b: int,
) -> None:
    """Keep, for each pair of classes, the margins of its n most suspicious rows, in one bounded heap a pair.

    The pairs of given label y are ``bounds[y]`` to before ``bounds[y + 1]``, towards the classes ``others``; the heap
    of pair q is ``heaps[starts[q]:starts[q + 1]]`` with ``held[q]`` entries, smallest margin on top. Only given labels
    from ``a`` to before ``b``, so that threads never share a heap.
    """
    for i in range(len(labels)):
        y = labels[i]
        if y < a or y >= b or not disagrees[i]:
            continue
        own = probs[i, y]
        for q in range(bounds[y], bounds[y + 1]):
            margin = probs[i, others[q]] - own
            if margin > 0:
                held[q] = _push(heaps, starts[q], starts[q + 1] - starts[q], held[q], margin)


@kernel()
def _prune(labels: Any, probs: Any, bounds: Any, others: Any, cutoffs: Any, mask: Any, start: int, stop: int) -> None:
    """Keep in ``mask`` the rows whose margin towards some class reaches that pair's cut-off."""
    for i in range(start, stop):
        if mask[i]:
            y = labels[i]
            own, mask[i] = probs[i, y], False
            for q in range(bounds[y], bounds[y + 1]):
                if probs[i, others[q]] - own >= cutoffs[q]:
                    mask[i] = True
                    break


def class_thresholds(labels: npt.ArrayLike, probs: npt.ArrayLike) -> Matrix:
    """The mean probability of class j over the rows labelled j (equation 2), shape (k,); inf for an absent class.

    ``labels`` are class numbers, shape (n,), -1 where missing; ``probs`` have shape (n, k).

    >>> class_thresholds([0, 0, 1], [[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]]).round(3).tolist()
    [0.8, 0.6]
    """
    return _thresholds(*checked(labels, probs))[0]


def confident_joint(labels: npt.ArrayLike, probs: npt.ArrayLike) -> Counts:
    """Count the rows of each given label (row) that are confidently of each class (column) (equation 1), (k, k).

    A row counts for the most probable of those classes whose own threshold it reaches; a class that is more probable
    but below its threshold is not a candidate.

    >>> confident_joint([0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]).tolist()
    [[1, 1], [0, 1]]
    """
    given, P = checked(labels, probs)
    return _joint(given, P, _thresholds(given, P)[0])[0]


def calibrated_joint(joint: Counts, counts: Counts) -> Matrix:
    """Scale the confident counts to the share of rows of each label (equation 3), shape (k, k), sum 1.

    ``counts`` is the number of rows of each given label. Every class is taken to hold one correct row at least.

    >>> calibrated_joint(np.array([[3, 1], [0, 2]]), np.array([8, 2])).tolist()
    [[0.6, 0.2], [0.0, 0.2]]
    """
    sure = joint.astype(np.float64)
    np.fill_diagonal(sure, np.maximum(sure.diagonal(), 1.0))
    sure *= (counts / sure.sum(axis=1))[:, None]
    shares: Matrix = sure / max(1, counts.sum())
    return shares


def noise_matrix(joint: Matrix) -> Matrix:
    """The chance of each given label (row) when the true class is the column, shape (k, k), from the calibrated joint.

    >>> noise_matrix(np.array([[0.6, 0.2], [0.0, 0.2]])).tolist()
    [[1.0, 0.5], [0.0, 0.5]]
    """
    true = joint.sum(axis=0, keepdims=True)
    chances: Matrix = np.divide(joint, true, out=np.eye(len(joint)), where=true > 0)
    return chances


def prune_counts(joint: Matrix, counts: Counts) -> Counts:
    """How many rows of each label to prune towards each class, shape (k, k), 0 on the diagonal (section 3.2, PBNR).

    The expected numbers ``n * joint`` are rounded so that those of one label, correct rows included, still add up to
    its number of rows (largest remainders first).

    >>> prune_counts(np.array([[0.54, 0.26], [0.0, 0.2]]), np.array([8, 2])).tolist()
    [[0, 3], [0, 0]]
    """
    expected = joint * counts.sum()
    whole = np.floor(expected + 1e-9)
    missing = counts - whole.sum(axis=1).astype(np.int64)
    rank = np.argsort(np.argsort(whole - expected, axis=1, kind="stable"), axis=1, kind="stable")
    pruned: Counts = (whole + (rank < missing[:, None])).astype(np.int64)
    np.fill_diagonal(pruned, 0)
    return pruned


def find_label_issues(labels: npt.ArrayLike, probs: npt.ArrayLike) -> tuple[Mask, Scores]:
    """Find the label errors in given out-of-sample probabilities: prune by noise rate, rank by self-confidence.

    For every pair of classes the estimated number of rows with that given and that true label is pruned, those with
    the largest margin between the two first (section 3.2). O(nk) time; memory beyond the input is some 6 bytes a row.

    Parameters
    ----------
    labels
        Class numbers, shape (n,), integers below k; -1 where the label is missing.
    probs
        Class probabilities, shape (n, k), float32 or float64, from a model that did not see the row's label.

    Returns
    -------
    mask
        Whether the row's label is an error, shape (n,), bool.
    scores
        How suspicious it is, shape (n,), float32 in [0, 1]: 1 - probability of the given label; 0 where it is missing.

    Raises
    ------
    DrossError
        When shapes do not match, a label is no class, or a row is not a probability distribution.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
    >>> mask, scores = find_label_issues([0, 0, 0, 1, 1], P)
    >>> mask.tolist(), [round(s, 2) for s in scores.tolist()]
    ([False, False, True, False, False], [0.1, 0.2, 0.9, 0.2, 0.1])
    """
    given, P = checked(labels, probs)
    mask, scores, _ = _find(given, P)
    return mask, scores


# ---- the passes over the rows ------------------------------------------------------------------------------------


def _find(given: Codes, P: Probs, *, lend: bool = False) -> tuple[Mask, Scores, Matrix]:
    """The pruned rows, all scores and the calibrated joint; with ``lend`` a class without rows has a mean threshold."""
    thresholds, counts, scores = _thresholds(given, P)
    if lend and counts.any() and not counts.all():
        thresholds = np.where(counts > 0, thresholds, thresholds[counts > 0].mean())
    confident, mask = _joint(given, P, thresholds)
    joint = calibrated_joint(confident, counts)
    wanted = prune_counts(joint, counts)
    pairs = np.nonzero(wanted)
    bounds, others = np.searchsorted(pairs[0], np.arange(len(wanted) + 1)), pairs[1]
    starts = np.concatenate([[0], np.cumsum(wanted[pairs])])
    heaps, held = np.empty(starts[-1], P.dtype), np.zeros(len(others), np.int64)
    over_rows(
        lambda a, b: _keep_largest_margins(given, P, mask, bounds, others, starts, heaps, held, a, b),
        len(wanted),
        least=1,
    )
    cutoffs = np.full(len(others), np.inf, P.dtype)
    cutoffs[held > 0] = heaps[starts[:-1][held > 0]]
    over_rows(lambda a, b: _prune(given, P, bounds, others, cutoffs, mask, a, b), len(given))
    return mask, scores, joint


def pruned_first(mask: Mask, scores: Scores) -> Scores:
    """Scores in the same order within the pruned rows and within the others, at least 0.5 exactly where pruned.

    >>> pruned_first(np.array([True, False]), np.array([0.6, 0.8], np.float32)).round(1).tolist()
    [0.800000011920929, 0.4000000059604645]
    """
    return np.where(mask, (1 + scores) / 2, np.minimum(scores / 2, _UNDER_HALF)).astype(np.float32)


def _thresholds(given: Codes, P: Probs) -> tuple[Matrix, Counts, Scores]:
    """The threshold and the number of rows of each class, and 1 minus the probability of each row's label."""
    scores = np.empty(len(given), np.float32)

    def work(start: int, stop: int) -> tuple[Counts, Counts]:
        sums, counts = np.zeros(P.shape[1], np.int64), np.zeros(P.shape[1], np.int64)
        _add_self_confidence(given, P, sums, counts, scores, start, stop)
        return sums, counts

    parts = over_rows(work, len(given))
    sums, counts = (np.sum(column, axis=0) for column in zip(*parts, strict=True))
    return np.where(counts > 0, sums / _FIXED / np.maximum(counts, 1), np.inf), counts, scores


def _joint(given: Codes, P: Probs, thresholds: Matrix) -> tuple[Counts, Mask]:
    """The confident joint, and which rows have a class likelier than their label."""
    n, k = P.shape
    disagrees = np.zeros(n, np.bool_)
    reached = (thresholds - _TIE).astype(P.dtype)

    def work(start: int, stop: int) -> tuple[Counts, int]:
        joint = np.zeros(k * k, np.int64)
        return joint, _count_confident(given, P, reached, joint, disagrees, start, stop)

    parts = over_rows(work, n)
    broken = [row for _, row in parts if row >= 0]
    if broken:
        raise DrossError(
            "the class probabilities are not a distribution: they must be at least 0 and add up to 1",
            where=f"row {broken[0]}",
            fix="give out-of-sample probabilities (after the softmax), without NaN",
        )
    return np.sum([joint for joint, _ in parts], axis=0).reshape(k, k), disagrees


# ---- the detector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConfidentLearning(Detector):
    """Label errors found by counting confident disagreements between given labels and out-of-fold probabilities.

    Per-class thresholds are the mean self-confidence; rows are counted for the best class above its own threshold;
    the counts, calibrated, estimate the joint of given and true labels; for each pair of classes as many rows as the
    joint says are pruned, largest margin first. Pruned rows rank before the others, each by self-confidence.

    Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2019. Where two classes
    reach their thresholds the paper takes the more probable; so does this (some implementations take the most
    probable of all classes, reached or not). A row is pruned only towards a class more probable than its own. A class
    that only the user's probabilities know, and no row carries, has the mean threshold of the others.
    """

    paper: ClassVar = Paper("Confident Learning: Estimating Uncertainty in Dataset Labels", 2019, "1911.00068")
    finds: ClassVar[Issue] = Issue.LABEL
    needs: ClassVar = (Role.LABEL, Probabilities)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score every labelled row; the suggestion is the most probable other class."""
        if len(data.classes) > MOST_CLASSES:
            return NotApplicable(f"there are more than {MOST_CLASSES:,} classes to count pairs of")
        found = labels_and_probs(data, signals)
        if isinstance(found, NotApplicable):
            return found
        given, P = found
        mask, scores, joint = _find(given, P, lend=True)
        rows = np.flatnonzero(given >= 0)
        suggestion = likeliest_other(given, P)[rows]
        return Findings(
            Issue.LABEL,
            rows,
            pruned_first(mask, scores)[rows],
            suggestion=suggestion,
            evidence={"given_probability": P[rows, given[rows]], "suggested_probability": P[rows, suggestion]},
            summary=_summary(joint, len(rows)),
        )


def _summary(joint: Matrix, n: int) -> dict[str, Any]:
    """The estimated noise as plain values; the whole joint only where a person can still read it."""
    kept = joint.diagonal()
    labelled, true = joint.sum(axis=1), joint.sum(axis=0)
    facts: dict[str, Any] = {
        "estimated_errors": round(float(n * (1 - kept.sum()))),
        "estimated_error_rate": float(1 - kept.sum()),
        "error_rate_per_label": _round(1 - kept / np.maximum(labelled, 1e-12)),
        "loss_rate_per_class": _round(1 - kept / np.where(true > 0, true, 1.0)),
    }
    if len(joint) <= SHOWN_CLASSES:
        facts |= {"joint": _round(joint), "noise_matrix": _round(noise_matrix(joint))}
    return facts


def _round(values: Matrix) -> list[Any]:
    rounded: list[Any] = np.round(values, 6).tolist()
    return rounded
