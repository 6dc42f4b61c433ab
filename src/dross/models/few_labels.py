"""Learners for few labels, compared in one table: logistic regression, label propagation, rules written by machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.models.rules import Rule, write_rules

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

CENTROIDS = 100
NEIGHBOURS = 10
DIRECTIONS = 24
SAMPLE = 10_000
"""Rows that features are learnt from."""
SPREAD = 0.95
PASSES = 50
CONFIDENT = 0.5
"""Rows are learnt from when the rules are at least so sure of them."""


@dataclass(frozen=True)
class Problem:
    """Features of all rows (n, d), which rows are labelled (l,), their classes (l,), and how many classes there are."""

    X: Vectors
    rows: Ints
    codes: Ints
    k: int


Solver = Callable[[Problem], Floats]
"""Gives the chances of all rows, (n, k)."""


@dataclass(frozen=True)
class AutoRules:
    """Rules written by machine, a label model, and a logistic regression taught by what it says.

    Attributes
    ----------
    rounds, conditions
        At most so many rules a class, of at most so many conditions each.
    model
        The label model.
    """

    rounds: int = 15
    conditions: int = 2
    model: str = "abstention"

    def write(self, problem: Problem) -> tuple[list[Rule], Floats]:
        """The rules, and what the label model makes of all rows."""
        options = {"rounds": self.rounds, "conditions": self.conditions}
        return write_rules(problem.X, problem.rows, problem.codes, problem.k, model=self.model, **options)

    def __call__(self, problem: Problem) -> Floats:
        return end_model(problem, self.write(problem)[1])


def end_model(problem: Problem, said: Floats) -> Floats:
    """Logistic regression on the labelled rows and on those that the label model is sure of, weighed by its chances."""
    sure = said.max(axis=1) >= CONFIDENT
    sure[problem.rows] = False
    free = np.flatnonzero(sure)
    rows = np.concatenate([problem.rows, free])
    codes = np.concatenate([problem.codes, said[free].argmax(axis=1)])
    weights = np.concatenate([np.full(len(problem.rows), 2.0), said[free].max(axis=1)])
    return logistic(Problem(problem.X, rows, codes, problem.k), weights)


def logistic(problem: Problem, weights: Floats | None = None) -> Floats:
    """Multinomial logistic regression on the labelled rows alone."""
    from sklearn.linear_model import LogisticRegression

    from dross.models.classifiers import complete, quiet

    if len(np.unique(problem.codes)) < 2:
        out = np.zeros((len(problem.X), problem.k))
        out[:, problem.codes[:1]] = 1
        return out
    centre = problem.X.mean(axis=0)
    scale = np.sqrt(np.square(problem.X - centre).mean()) or np.float32(1)
    X = (problem.X - centre) / scale
    model = LogisticRegression(C=1.0, max_iter=200)
    with quiet():
        model.fit(X[problem.rows], problem.codes, sample_weight=weights)
    scores = complete(model.decision_function(X), model.classes_, problem.k).astype(np.float64)
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def graph(X: Vectors) -> tuple[Any, Floats]:
    """The symmetric graph of each row's nearest neighbours, normalised by degrees, sparse (n, n), and the degrees (n,).

    An edge weighs ``exp(-(distance / width)²)``, the width being the median distance to the farthest neighbour.
    """
    from scipy.sparse import coo_array, diags_array
    from sklearn.neighbors import NearestNeighbors

    n = len(X)
    count = min(NEIGHBOURS, n - 1)
    away, near = NearestNeighbors(n_neighbors=count + 1).fit(X).kneighbors(X)
    width = max(float(np.median(away[:, -1])), 1e-12)
    weights = np.exp(-np.square(away[:, 1:] / width)).ravel()
    one_way = coo_array((weights, (np.repeat(np.arange(n), count), near[:, 1:].ravel())), shape=(n, n)).tocsr()
    both = one_way.maximum(one_way.T)
    degrees = np.maximum(np.asarray(both.sum(axis=1)).ravel(), 1e-12)
    root = diags_array(1 / np.sqrt(degrees))
    return root @ both @ root, degrees


def propagation(problem: Problem) -> Floats:
    """Labels spread along the edges to each row's nearest neighbours.

    Zhou et al., "Learning with Local and Global Consistency", 2004. The class masses are brought to the shares of the
    labelled rows, as Zhu, Ghahramani and Lafferty, 2003, do.
    """
    n, k = len(problem.X), problem.k
    smooth, _ = graph(problem.X)
    given = np.zeros((n, k))
    given[problem.rows, problem.codes] = 1
    spread = given.copy()
    for _ in range(PASSES):
        spread = SPREAD * (smooth @ spread) + (1 - SPREAD) * given
    share = (given.sum(axis=0) + 0.5) / (len(problem.rows) + 0.5 * k)
    spread *= share / np.maximum(spread.sum(axis=0), 1e-12)
    total = spread.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 1e-300, spread / np.maximum(total, 1e-300), share))


# ---- features learnt without labels -------------------------------------------------------------------------------


def spectral(X: Vectors, seed: int = 0) -> Vectors:
    """Each row's place along the slowest directions of the neighbour graph, (n, at most 24), float32, of spread 1.

    Belkin, Niyogi, "Laplacian Eigenmaps for Dimensionality Reduction and Data Representation", 2003. The graph is that
    of a sample of at most 10,000 rows; another row gets the mean of its nearest neighbours there.
    """
    from scipy.sparse.linalg import eigsh
    from sklearn.neighbors import NearestNeighbors

    chosen = np.sort(np.random.default_rng(seed).permutation(len(X))[:SAMPLE])
    smooth, degrees = graph(X[chosen])
    count = min(DIRECTIONS + 1, len(chosen) - 2)
    _, axes = eigsh(smooth, k=count, which="LA", v0=np.ones(len(chosen)))
    places = axes[:, ::-1][:, 1:] / np.sqrt(degrees)[:, None]
    places = np.asarray(places / np.maximum(places.std(axis=0), 1e-12), np.float32)
    out = np.empty((len(X), places.shape[1]), np.float32)
    out[chosen] = places
    others = np.setdiff1d(np.arange(len(X)), chosen)
    if len(others):
        near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(X[chosen]).kneighbors(X[others], return_distance=False)
        out[others] = places[near].mean(axis=1)
    return out


def centroid_features(X: Vectors, seed: int = 0) -> Vectors:
    """How much nearer than average each of 100 centroids of all rows is, (n, c), zero where it is farther.

    Coates, Ng, "Learning Feature Representations with K-Means", 2012: each feature is about one region, which is what a
    threshold can use. The rows are centred and whitened first.
    """
    from sklearn.cluster import KMeans

    away = X - X.mean(axis=0)
    values, axes = np.linalg.eigh((away.T @ away).astype(np.float64) / max(len(X), 1))
    strong = values > 1e-3 * max(float(values.max(initial=0.0)), 1e-12)
    white = away @ (axes[:, strong] / np.sqrt(values[strong] + 0.1 * values[strong].mean())).astype(np.float32)
    count = max(1, min(CENTROIDS, len(X) // 5))
    sample = np.sort(np.random.default_rng(seed).permutation(len(X))[:SAMPLE])
    centres = KMeans(count, n_init=1, random_state=seed).fit(white[sample]).cluster_centers_
    squares = np.square(white).sum(axis=1)[:, None] + np.square(centres).sum(axis=1) - 2 * white @ centres.T
    distance = np.sqrt(np.maximum(squares, 0))
    return np.asarray(np.maximum(0, distance.mean(axis=1, keepdims=True) - distance), np.float32)


def learnt_features(X: Vectors, seed: int = 0) -> Vectors:
    """Features learnt from all rows without a label: nearness to centroids in the graph's slowest directions."""
    return centroid_features(spectral(X, seed), seed)


# ---- the harness --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """One line of the table: a method on some features, its accuracy in per cent with its 95 % interval."""

    method: str
    features: str
    accuracy: float
    low: float
    high: float
    rows: int


SOLVERS: Mapping[str, Solver] = {
    "rules, label model, end model": AutoRules(),
    "label propagation": propagation,
    "logistic regression, few-shot": logistic,
}


def compare(
    views: Mapping[str, Vectors], rows: Ints, codes: Ints, truth: Ints, solvers: Mapping[str, Solver] = SOLVERS
) -> list[Result]:
    """Every method on every view of the same rows, scored on those whose true class is known and label was not given.

    ``truth`` (n,) holds classes, -1 where unknown. The best comes first.
    """
    k = int(max(codes.max(initial=0), truth.max(initial=0))) + 1
    asked = np.setdiff1d(np.flatnonzero(truth >= 0), rows)
    found = []
    for view, X in views.items():
        for name, solve in solvers.items():
            right = solve(Problem(X, rows, codes, k))[asked].argmax(axis=1) == truth[asked]
            found.append(Result(name, view, *_share(int(right.sum()), len(asked)), len(asked)))
    return sorted(found, key=lambda r: -r.accuracy)


def left_out(problem: Problem, solve: Solver, folds: int, seed: int) -> Floats:
    """The chances of the labelled rows, each by a fit that was not given its label, (l, k)."""
    fold = np.random.default_rng(seed).permutation(len(problem.rows)) % folds
    out = np.zeros((len(problem.rows), problem.k))
    for f in range(folds):
        kept, left = fold != f, fold == f
        out[left] = solve(Problem(problem.X, problem.rows[kept], problem.codes[kept], problem.k))[problem.rows[left]]
    return out


def compare_left_out(
    views: Mapping[str, Vectors],
    rows: Ints,
    codes: Ints,
    *,
    folds: int = 5,
    seed: int = 0,
    solvers: Mapping[str, Solver] = SOLVERS,
) -> list[Result]:
    """The same where nothing but the given labels is known: each fold of them in turn is left out and asked for."""
    k = int(codes.max(initial=0)) + 1
    found = []
    for view, X in views.items():
        for name, solve in solvers.items():
            said = left_out(Problem(X, rows, codes, k), solve, folds, seed)
            found.append(Result(name, view, *_share(int((said.argmax(axis=1) == codes).sum()), len(rows)), len(rows)))
    return sorted(found, key=lambda r: -r.accuracy)


def table(results: Iterable[Result]) -> str:
    """The results as a table of text; the first line wins.

    >>> print(table([Result("a", "raw", 90.0, 80.0, 95.0, 50)]))
    method  features  accuracy  95 % interval  rows
    a       raw           90.0   80.0 to 95.0    50
    """
    head = ("method", "features", "accuracy", "95 % interval", "rows")
    lines = [(r.method, r.features, f"{r.accuracy:.1f}", f"{r.low:.1f} to {r.high:.1f}", str(r.rows)) for r in results]
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(5)]
    texts = [
        "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in (head, *lines)
    ]
    return "\n".join(texts)


def _share(hits: int, total: int) -> tuple[float, float, float]:
    """A share in per cent and its Wilson interval."""
    z = 1.959964
    if not total:
        return 0.0, 0.0, 100.0
    p = hits / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * np.sqrt(p * (1 - p) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return 100 * p, 100 * (centre - half), 100 * (centre + half)
