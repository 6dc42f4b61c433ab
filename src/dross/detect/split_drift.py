"""Drift between splits: whether the training rows and the others are drawn from one source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.graph import edges_of, inside_moments
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled, splits_of
from dross.core.statistics import holm
from dross.signals.embedding import Embedding
from dross.signals.neighbours import Neighbours

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

LEAST_ROWS = 20
"""Rows a part must have to be compared."""
SAMPLE = 4096
"""Rows of each part that train the discriminator and enter the column tests at most."""
RIDGE = 0.01
SIGNIFICANT = 0.01
"""Adjusted p-value below which a difference is taken to be real."""
NOTABLE = 0.6
"""AUC below which a real difference is too small to act on."""
ODDS = 9.0
"""How many times likelier under its own part than under the training part a row must be to be flagged."""
MOST_CATEGORIES = 50
MOST_PARTS = 10
"""Parts that are compared with the training part at most, the largest ones."""


@dataclass(frozen=True)
class TwoSample:
    """The outcome of a classifier two-sample test.

    Attributes
    ----------
    auc, low, high
        How well the parts are told apart on held-out rows, with its 95 % interval; 0.5 is not at all.
    p
        The chance of so high an AUC if both parts had one source.
    evidence
        Of every row, the log-likelihood ratio of the second part to the first, out of fold, shape (n,).
    """

    auc: float
    low: float
    high: float
    p: float
    evidence: Vector


def discriminate(X: Matrix, first: Rows, second: Rows) -> TwoSample:
    """Train a linear discriminant to tell two sets of rows apart on either half; test it on the other half.

    Lopez-Paz and Oquab, 2016, with the AUC in place of the accuracy (no loss where the parts differ in size), whose
    distribution under no difference is Mann-Whitney's. The p-value is twice the smaller of the two halves': more folds
    would give p-values that are too small, since their tests depend on one another. ``first`` and ``second`` are rows
    in random order; the first 4,096 of each are used, and all rows are scored. Time O(m d² + n d) for m rows used.
    """
    from scipy.special import ndtr

    drawn = [first[:SAMPLE], second[:SAMPLE]]
    rows = np.concatenate(drawn)
    label = np.repeat([False, True], [len(part) for part in drawn])
    half = np.concatenate([np.arange(len(part)) % 2 for part in drawn])
    weights = np.stack([_discriminant(X[rows[half != h]], label[half != h]) for h in (0, 1)])
    scores = X @ weights.T  # (n, 2): a row outside the sample is new to both
    out = scores.mean(axis=1, dtype=np.float64)
    out[rows] = scores[rows, half]
    tests = [_mann_whitney(out[rows[(half == h) & label]], out[rows[(half == h) & ~label]]) for h in (0, 1)]
    auc = sum(won for won, _, _ in tests) / sum(pairs for _, _, pairs in tests)
    z = max((won - pairs / 2) / deviation if deviation else 0.0 for won, deviation, pairs in tests)
    error = 1.96 * _auc_deviation(auc, len(drawn[0]), len(drawn[1]))
    return TwoSample(
        float(auc),
        float(max(auc - error, 0)),
        float(min(auc + error, 1)),
        float(min(1.0, 2 * ndtr(-z))),
        _log_ratio(out, out[rows[~label]], out[rows[label]]),
    )


def _discriminant(X: Matrix, label: Mask) -> Matrix:
    """Fisher's linear discriminant with a little ridge, shape (d,)."""
    d = X.shape[1]
    means = np.stack([X[~label].mean(0), X[label].mean(0)])
    inside = X - means[label.astype(np.int64)]
    within = (inside.T @ inside).astype(np.float64) / len(X)
    size = max(float(np.trace(within)) / d, 1e-12)
    direction = np.linalg.solve(within + RIDGE * size * np.eye(d), means[1] - means[0])
    return np.asarray(direction, np.float32)


def _mann_whitney(upper: Vector, lower: Vector) -> tuple[float, float, float]:
    """How many pairs the first wins (a tie is half), the deviation of that if all were alike, and the pairs."""
    a, b = len(upper), len(lower)
    _, place, ties = np.unique(np.concatenate([upper, lower]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[place]
    n = a + b
    variance = a * b / 12 * (n + 1 - float((ties**3 - ties).sum()) / max(n * (n - 1), 1))
    return float(ranks[:a].sum() - a * (a + 1) / 2), float(np.sqrt(max(variance, 0.0))), float(a * b)


def _auc_deviation(auc: float, a: int, b: int) -> float:
    """The standard error of an AUC (Hanley and McNeil, 1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (b - 1) * (q1 - auc**2) + (a - 1) * (q2 - auc**2)
    return float(np.sqrt(max(variance, 0.0) / (a * b)))


def _log_ratio(scores: Vector, first: Vector, second: Vector) -> Vector:
    """The log-likelihood ratio of two normal distributions of one variance, fitted to the parts' scores."""
    variance = (first.var() * len(first) + second.var() * len(second)) / (len(first) + len(second))
    gap = second.mean() - first.mean()
    ratio: Vector = gap * (scores - (first.mean() + second.mean()) / 2) / max(variance, 1e-30)
    return ratio


def neighbours_stay_apart(neighbours: npt.NDArray[np.int32], second: Mask, chosen: Mask) -> tuple[float, float]:
    """Whether rows have more neighbours of their own part than chance gives: (excess share, z).

    The nearest-neighbour two-sample test (Schilling, 1986; Henze, 1988) with the exact mean and variance over all
    ways to deal the rows to parts of these sizes, given the graph. It sees differences no linear classifier sees.
    ``neighbours`` has shape (n, k), -1 for none; ``second`` and ``chosen`` shape (n,): which part a row is of, and
    whether it takes part at all. Time O(n k²).

    >>> near = np.array([[1, 2], [0, 2], [1, 0], [4, 5], [3, 5], [4, 3]], np.int32)
    >>> excess, z = neighbours_stay_apart(near, np.arange(6) > 2, np.ones(6, bool))
    >>> round(excess, 3), z > 2
    (0.6, True)
    """
    edges = edges_of(neighbours, chosen)
    if not len(edges) or chosen.sum() < 4:
        return 0.0, 0.0
    mean, variance = inside_moments(edges, [(chosen & ~second).sum(), (chosen & second).sum()])
    excess = float((second[edges.tails] == second[edges.heads]).sum() - mean)
    return excess / len(edges), excess / float(np.sqrt(variance)) if variance > 1e-9 * len(edges) else 0.0


def compare_columns(columns: Iterator[tuple[str, pa.ChunkedArray]], first: Any, second: Any) -> list[dict[str, Any]]:
    """Test every column for a difference between two sets of rows; one dict each, most telling first.

    Numbers: Kolmogorov-Smirnov, the statistic being the largest gap of the distribution functions. Categories, and
    whether a number is missing: chi-squared, the statistic being the total variation distance. ``p`` is adjusted for
    the number of tests (Holm).
    """
    tests = [test for name, values in columns for test in _column_tests(name, values, first, second)]
    for test, p in zip(tests, holm([t["p"] for t in tests]), strict=True):
        test["p"] = float(p)
    return sorted(tests, key=lambda t: (t["p"], -t["statistic"], t["column"]))


def _column_tests(name: str, values: pa.ChunkedArray, first: Any, second: Any) -> Iterator[dict[str, Any]]:
    parts = [values.take(pa.array(rows)) for rows in (first, second)]
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = [pc.cast(part, pa.float64()).to_numpy() for part in parts]
        kept = [x[np.isfinite(x)] for x in numbers]
        if min(len(x) for x in kept) >= LEAST_ROWS:
            yield {"column": name, "test": "Kolmogorov-Smirnov", **_kolmogorov_smirnov(*kept)}
        missing = np.array([[len(x) - len(k), len(k)] for x, k in zip(numbers, kept, strict=True)], np.float64)
        if missing[:, 0].any():
            yield {"column": name, "test": "missing values", **_chi_squared(missing)}
    elif any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean)) or (
        pa.types.is_dictionary(kind)
    ):
        codes = _category_codes(values)
        if codes is not None:
            table = np.stack([np.bincount(codes[rows], minlength=int(codes.max()) + 1) for rows in (first, second)])
            yield {"column": name, "test": "chi-squared", **_chi_squared(table.astype(np.float64))}


def _category_codes(values: pa.ChunkedArray) -> npt.NDArray[np.int64] | None:
    """Numbers for the most frequent categories, one for all rarer ones and missing values; None for free text."""
    texts = pc.cast(values, pa.string())
    encoded = pa.concat_arrays(texts.chunks or [pa.array([], pa.string())]).dictionary_encode()
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    counts = np.bincount(codes, minlength=len(encoded.dictionary) + 1)
    if len(counts) > 2 * MOST_CATEGORIES and np.sort(counts)[-MOST_CATEGORIES:].sum() < 0.5 * len(codes):
        return None
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.asarray(np.minimum(rank, MOST_CATEGORIES)[codes], np.int64)


def _kolmogorov_smirnov(first: Vector, second: Vector) -> dict[str, float]:
    """The largest gap of two distribution functions and its asymptotic p-value."""
    from scipy.special import kolmogorov

    values = np.concatenate([first, second])
    below = [np.searchsorted(np.sort(part), values, side="right") / len(part) for part in (first, second)]
    gap = float(np.abs(below[0] - below[1]).max())
    size = np.sqrt(len(first) * len(second) / (len(first) + len(second)))
    size += 0.12 + 0.11 / size  # Stephens (1970): the limit reached sooner
    return {"statistic": gap, "p": float(kolmogorov(size * gap))}


def _chi_squared(table: Vector) -> dict[str, float]:
    """The chi-squared test of a table of two rows; categories too rare for it are put together."""
    from scipy.special import chdtrc

    rare = table.sum(0) * table.sum(1).min() / table.sum() < 5
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(1)])
    table = table[:, table.sum(0) > 0]
    shares = table / table.sum(1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return {"statistic": distance, "p": float(chdtrc(table.shape[1] - 1, statistic)) if table.shape[1] > 1 else 1.0}


@dataclass(frozen=True)
class SplitDrift(Detector):
    """Each part of the data compared with the training part: by a classifier, by neighbours, and column by column.

    Where the classifier's AUC on unseen rows is significant and at least 0.6, the rows of the part are findings: the
    score is 0.5 for a row nine times likelier under its own part than under the training part.

    Lopez-Paz, Oquab, "Revisiting Classifier Two-Sample Tests", 2016; Schilling, "Multivariate Two-Sample Tests Based
    on Nearest Neighbors", 1986.
    """

    paper: ClassVar = Paper("Revisiting Classifier Two-Sample Tests", 2016, "1610.06545")
    finds: ClassVar[Issue] = Issue.DRIFT
    needs: ClassVar = (Role.SPLIT, Embedding, Neighbours)

    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Compare every part with the training part."""
        if not data.content:
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        splits = splits_of(data)
        sizes = np.bincount(splits.codes[splits.codes >= 0], minlength=len(splits.names))
        others = [i for i in range(1, len(splits.names)) if sizes[i] >= LEAST_ROWS]
        others = sorted(sorted(others, key=lambda i: -sizes[i])[:MOST_PARTS])
        if not others or sizes[0] < LEAST_ROWS:
            return NotApplicable(f"fewer than two parts of at least {LEAST_ROWS} rows")
        scores = np.zeros(len(data), np.float32)
        drifted = np.zeros(len(data), bool)
        summary: dict[str, Any] = {"training_part": splits.names[0], "parts": {}}
        for i in others:
            facts, evidence = self._compare(data, signals, splits.codes, i)
            summary["parts"][splits.names[i]] = facts
            if facts["drift"]:
                rows = splits.codes == i
                drifted |= rows
                scores[rows] = 1 / (1 + ODDS * np.exp(-np.clip(evidence[rows], -60, 60)))
        summary["drift"] = any(facts["drift"] for facts in summary["parts"].values())
        rows = np.flatnonzero(drifted)
        return Findings(
            Issue.DRIFT,
            rows,
            scores[rows],
            evidence={"part": np.array(splits.names, dtype=object)[splits.codes[rows]]},
            summary=summary,
        )

    def _compare(
        self, data: Dataset, signals: Signals, codes: npt.NDArray[np.int32], part: int
    ) -> tuple[dict[str, Any], Vector]:
        from scipy.special import ndtr

        order = shuffled(data, self.seed)
        first, second = order[codes[order] == 0], order[codes[order] == part]
        told = discriminate(np.asarray(signals[Embedding()]), first, second)
        excess, z = neighbours_stay_apart(signals[Neighbours()].indices, codes == part, (codes == 0) | (codes == part))
        names = [*data.roles.get(Role.FEATURES, ()), *data.roles.get(Role.LABEL, ()), *data.roles.get(Role.TARGET, ())]
        columns = compare_columns(((name, data.table.column(name)) for name in names), first[:SAMPLE], second[:SAMPLE])
        p = holm([told.p, float(ndtr(-z))])
        return {
            "rows": len(second),
            "auc": told.auc,
            "auc_interval": [told.low, told.high],
            "p": float(p[0]),
            "neighbour_excess": excess,
            "neighbour_p": float(p[1]),
            "differs": bool(p.min() < SIGNIFICANT or any(c["p"] < SIGNIFICANT for c in columns)),
            "drift": bool(p[0] < SIGNIFICANT and told.auc >= NOTABLE),
            "columns": [c for c in columns if c["p"] < SIGNIFICANT][:20],
        }, told.evidence
