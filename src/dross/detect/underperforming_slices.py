"""Underperforming slices: groups of rows, given and discovered, that a model serves worse than the rest."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.attributes import Attribute, attributes_of
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled
from dross.core.statistics import wilson
from dross.signals.embedding import Embedding
from dross.signals.probabilities import Probabilities

Matrix = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

LEAST_ROWS = 30
"""Rows a slice must have to be judged; at most it may have half of all."""
NOTABLE = 0.05
"""By how much the error rate must exceed that of the rest, at the low end of the interval, to be a finding."""
SAMPLE = 8192
"""Rows that slices are discovered on at most."""
CLUSTERS = 12
"""Regions around errors, and as many around correct rows."""
TRIED = 20
"""Discovered slices whose error rate is estimated: the most promising ones."""
MOST_COLUMNS = 30
LEVEL = 0.05


@dataclass(frozen=True)
class Slice:
    """A group of rows and how a model fares on it.

    Attributes
    ----------
    description
        What its rows have in common.
    members, judged
        Its rows, and the rows (of all) that it was judged on, shape (n,), bool.
    size, errors
        Rows that the error rate was estimated on, and how many of them the model got wrong.
    error, rest
        The error rates inside and outside.
    low, high
        The interval of their difference, at a level that holds for all slices judged together.
    """

    description: str
    members: Mask
    judged: Mask
    size: int
    errors: int
    error: float
    rest: float
    low: float
    high: float


def excess_error(inside: Any, errors: Any, n: int, wrong: int, level: float) -> tuple[Any, Any, Any, Any]:
    """How much likelier an error is inside a slice than outside: (error, rest, low, high), each shape (m,).

    ``inside`` rows of ``n`` with ``errors`` of the ``wrong`` errors. The interval of the difference is Newcombe's
    (1998, method 10) from two Wilson intervals.

    >>> [round(float(v[0]), 3) for v in excess_error([100], [30], 1000, 120, 0.95)]
    [0.3, 0.1, 0.116, 0.298]
    """
    size, hits = np.asarray(inside, float), np.asarray(errors, float)
    error, rest = hits / np.maximum(size, 1), (wrong - hits) / np.maximum(n - size, 1)
    low_in, high_in = wilson(hits, size, level)
    low_out, high_out = wilson(wrong - hits, n - size, level)
    gap = error - rest
    low = gap - np.sqrt((error - low_in) ** 2 + (high_out - rest) ** 2)
    high = gap + np.sqrt((high_in - error) ** 2 + (rest - low_out) ** 2)
    return error, rest, low, high


def judge(named: list[tuple[str, Mask]], wrong: Mask, judged: Mask, tests: int) -> list[Slice]:
    """Estimate the error of each slice on the judged rows, with intervals that hold for so many tests (Bonferroni)."""
    n, total = int(judged.sum()), int((wrong & judged).sum())
    sizes = [int((members & judged).sum()) for _, members in named]
    errors = [int((members & judged & wrong).sum()) for _, members in named]
    estimates = excess_error(sizes, errors, n, total, 1 - LEVEL / max(tests, 1))
    return [
        Slice(name, members, judged, sizes[i], errors[i], *(float(column[i]) for column in estimates))
        for i, (name, members) in enumerate(named)
    ]


def distinct(slices: list[Slice], wrong: Mask, tests: int) -> list[tuple[Slice, float]]:
    """The slices that fare worse, the worst first, and by how much without the rows they share with worse ones.

    That is the low end of the interval; a slice that is worse only for the rows it shares is left out.
    """
    covered = np.zeros(len(wrong), bool)
    kept = []
    for one in sorted((s for s in slices if s.low > 0), key=lambda s: (-s.low, s.description)):
        own = judge([(one.description, one.members)], wrong, one.judged & ~(one.members & covered), tests)[0]
        if own.low > 0:
            kept.append((one, min(one.low, own.low)))
            covered |= one.members
    return kept


def conjunctions(attributes: list[Attribute], wrong: Mask, learning: Rows) -> list[tuple[str, Mask]]:
    """Pairs of attribute values whose rows err more than the rows of either value alone: the most promising ones.

    The second level of the lattice of Slice Finder (Chung et al., 2019), on the first 8,192 of the rows to learn from,
    which are in random order. Time O(pairs of attributes · rows learnt from).
    """
    rows = learning[:SAMPLE]
    bad = wrong[rows]
    tried: list[tuple[float, Attribute, int, Attribute, int]] = []
    for a, b in itertools.combinations(attributes, 2):
        width = len(b.values) + 1
        pair = (a.codes[rows] + 1) * width + b.codes[rows] + 1
        sizes = np.bincount(pair, minlength=(len(a.values) + 1) * width).reshape(-1, width)
        errors = np.bincount(pair, weights=bad, minlength=sizes.size).reshape(-1, width)
        alone = [errors.sum(axis) / np.maximum(sizes.sum(axis), 1) for axis in (1, 0)]
        best_alone = np.maximum(alone[0][:, None], alone[1][None, :])
        low = wilson(errors.ravel(), sizes.ravel(), 0.9)[0].reshape(sizes.shape) - best_alone
        low[0, :] = low[:, 0] = -1  # no value
        low[sizes < LEAST_ROWS / 2] = -1
        tried += [(float(low[i, j]), a, i - 1, b, j - 1) for i, j in np.argwhere(low > 0).tolist()]
    tried.sort(key=lambda entry: -entry[0])
    return [(f"{a.values[i]} and {b.values[j]}", (a.codes == i) & (b.codes == j)) for _, a, i, b, j in tried[:TRIED]]


def error_regions(X: Matrix, wrong: Mask, learning: Rows, seed: int = 0) -> list[tuple[str, Mask]]:
    """Regions of the embedding (n, d) around the errors among the rows to learn from: the most promising ones.

    Errors and correct rows are clustered apart, and every row belongs to the nearest centre of all: as in Domino
    (Eyuboglu et al., 2022) the clusters know of the errors, so that even a small pocket of them has a region.
    Time O(n d · clusters).
    """
    rng = np.random.default_rng(seed)
    rows = learning[:SAMPLE]
    centres = [
        k_means(X[part], max(1, min(CLUSTERS, len(part) // LEAST_ROWS)), rng)
        for part in (rows[wrong[rows]], rows[~wrong[rows]])
        if len(part)
    ]
    around_errors = len(centres[0]) if wrong[rows].any() else 0
    nearest = assign(X, np.concatenate(centres))
    sizes = np.bincount(nearest[learning], minlength=around_errors)[:around_errors]
    errors = np.bincount(nearest[learning], weights=wrong[learning], minlength=around_errors)[:around_errors]
    promising = (errors / np.maximum(sizes, 1) > wrong[learning].mean() + NOTABLE) & (sizes >= LEAST_ROWS / 2)
    return [(f"region {c + 1} of the embedding", nearest == c) for c in np.flatnonzero(promising).tolist()][:TRIED]


def k_means(X: Matrix, k: int, rng: np.random.Generator, rounds: int = 10) -> Matrix:
    """Centres of k clusters of the rows of ``X``, shape (k, d): Lloyd's algorithm from distinct random rows."""
    from scipy import sparse

    centres = X[rng.choice(len(X), k, replace=False)]
    for _ in range(rounds):
        own = assign(X, centres)
        member = sparse.csr_matrix((np.ones(len(X), np.float32), (own, np.arange(len(X)))), shape=(k, len(X)))
        counts = np.bincount(own, minlength=k)[:, None]
        centres = np.where(counts > 0, np.asarray(member @ X) / np.maximum(counts, 1), centres).astype(np.float32)
    return np.asarray(centres, np.float32)


def assign(X: Matrix, centres: Matrix) -> Codes:
    """The nearest centre of each row, shape (n,)."""
    half = np.einsum("kd,kd->k", centres, centres) / 2
    parts = [(X[i : i + 16_384] @ centres.T - half).argmax(axis=1) for i in range(0, len(X), 16_384)]
    return np.concatenate(parts).astype(np.int32) if parts else np.empty(0, np.int32)


@dataclass(frozen=True)
class UnderperformingSlices(Detector):
    """Groups of rows on which out-of-fold predictions err more than on the rest, given and discovered.

    Given: groups, domains and the values (or quarters) of feature columns, but not the classes, which no one knows of a
    new row. Discovered on one half of the rows and judged on the other: pairs of such values, and regions of the
    embedding around errors. An error is a prediction that is not the given label, so wrong labels count as errors too.
    A row's score is 0.5 where its worst slice errs 5 percentage points more than the rest at the low end of an interval
    that holds for all slices at once.

    Chung, Kraska, Polyzotis, Tae, Whang, "Slice Finder: Automated Data Slicing for Model Validation", 2019 (values and
    pairs; here with simultaneous intervals instead of alpha-investing); Eyuboglu et al., "Domino: Discovering
    Systematic Errors with Cross-Modal Embeddings", 2022 (regions; here by k-means instead of a mixture model).
    """

    paper: ClassVar = Paper("Slice Finder: Automated Data Slicing for Model Validation", 2019, "1807.06068")
    finds: ClassVar[Issue] = Issue.SLICE
    needs: ClassVar = (Role.LABEL, Probabilities, Embedding)

    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Judge every slice; the rows of those that fare worse are findings."""
        codes = data.codes
        labelled = codes >= 0
        if len(data.classes) < 2:
            return NotApplicable("the labels have fewer than two classes")
        if labelled.sum() < 4 * LEAST_ROWS:
            return NotApplicable(f"fewer than {4 * LEAST_ROWS} labelled rows")
        probs = signals[Probabilities()]
        if probs.shape[1] != len(data.classes):
            raise DrossError(f"probabilities for {probs.shape[1]} classes, but the labels have {len(data.classes)}")
        wrong = (probs.argmax(axis=1) != codes) & labelled
        if not wrong.any():
            return _findings([], labelled, error=0.0, judged=0)
        slices = self._slices(data, signals, wrong, labelled)
        worse = distinct(slices, wrong, len(slices))
        return _findings(worse, labelled, error=float(wrong[labelled].mean()), judged=len(slices))

    def _slices(self, data: Dataset, signals: Signals, wrong: Mask, labelled: Mask) -> list[Slice]:
        columns = [c for role in (Role.GROUP, Role.DOMAIN, Role.FEATURES) for c in data.roles.get(role, ())]
        attributes = attributes_of(data, list(dict.fromkeys(columns))[:MOST_COLUMNS])
        given = [(value, a.codes == i) for a in attributes for i, value in enumerate(a.values)]
        sizes = [(members & labelled).sum() for _, members in given]
        given = [one for one, size in zip(given, sizes, strict=True) if LEAST_ROWS <= size <= labelled.sum() / 2]
        order = shuffled(data, self.seed)
        learning, judging = order[::2], np.zeros(len(data), bool)
        learning, judging[order[1::2]] = learning[labelled[learning]], True
        judging &= labelled
        found = conjunctions(attributes, wrong, learning)
        if data.content:
            found += error_regions(np.asarray(signals[Embedding()]), wrong, learning, self.seed)
        found = [(name, members) for name, members in found if (members & judging).sum() >= LEAST_ROWS]
        tests = len(given) + len(found)
        return judge(given, wrong, labelled, tests) + judge(found, wrong, judging, tests)


def _findings(worse: list[tuple[Slice, float]], labelled: Mask, **facts: float) -> Findings:
    """The rows of the slices that fare worse, each scored by its worst slice."""
    scores = np.zeros(len(labelled), np.float32)
    worst = np.full(len(labelled), -1, np.int32)
    for i, (one, low) in enumerate(worse):
        score = 0.5 * low / NOTABLE if low < NOTABLE else 0.5 + 0.5 * (low - NOTABLE) / (1 - NOTABLE)
        fresh = one.members & labelled & (worst < 0)
        scores[fresh], worst[fresh] = score, i
    rows = np.flatnonzero(worst >= 0)
    described = np.array([s.description for s, _ in worse], dtype=object)
    shown = [
        {
            "slice": s.description,
            "rows": int((s.members & labelled).sum()),
            "judged_rows": s.size,
            "accuracy": 1 - s.error,
            "accuracy_of_the_rest": 1 - s.rest,
            "gap": s.error - s.rest,
            "gap_interval": [s.low, s.high],
        }
        for s, _ in worse[:20]
    ]
    return Findings(
        Issue.SLICE,
        rows,
        scores[rows],
        evidence={"slice": described[worst[rows]] if len(rows) else np.empty(0, object)},
        summary={**facts, "underperforming": len(worse), "slices": shown},
    )
