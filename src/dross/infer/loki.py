"""Loki: answers by the Fréchet mean over a metric on the labels, so that labels no row was trained on can be given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from dross.core.compiled import kernel
from dross.core.dataset import Dataset, Rows
from dross.core.errors import DrossError
from dross.core.method import Inferer
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled
from dross.models.given_labels import row_chunks
from dross.models.hidden_labels import without_labels
from dross.signals.probabilities import Probabilities

Matrix = npt.NDArray[np.float64]
Metric = Literal["auto", "numbers", "grid", "paths"]
Edge = tuple[Any, Any, float]

MOST_LABELS = 4096
MOST_REACHED = 1024
"""Labels up to which it is worked out what can be answered and what to collect next."""
MOST_CANDIDATES = 64
"""Labels tried as the next one to collect; beyond that, those farthest from the known ones."""
HEATS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
SAMPLE = 4000
"""Labelled rows from which temperatures are taken."""
PARTS = 3
_SAME = 1e-9


# ---- metrics on labels -----------------------------------------------------------------------------------------------


def grid_points(labels: list[Any]) -> Matrix | None:
    """Labels as points, shape (K, d): numbers, or texts of numbers such as "3,4"; None where some is neither.

    >>> grid_points(["1,2", "3,4"]).tolist(), grid_points([1, "2"]).tolist(), grid_points(["a"])
    ([[1.0, 2.0], [3.0, 4.0]], [[1.0], [2.0]], None)
    """
    try:
        points = [[float(part) for part in str(label).strip("()[] ").split(",")] for label in labels]
    except ValueError:
        return None
    same_length = len({len(point) for point in points}) == 1
    return np.array(points) if same_length and np.isfinite(points).all() else None


def path_distances(labels: list[Any]) -> Matrix:
    """How many steps apart labels like "animal/cat/lynx" are in their tree, shape (K, K).

    >>> path_distances(["a/b", "a/c", "a"]).tolist()
    [[0.0, 2.0, 1.0], [2.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    parts = [str(label).split("/") for label in labels]
    width = max(len(p) for p in parts)
    numbers: dict[str, int] = {}
    codes = np.full((len(parts), width), -1)
    for i, steps in enumerate(parts):
        for depth in range(len(steps)):
            codes[i, depth] = numbers.setdefault("/".join(steps[: depth + 1]), len(numbers))
    depth = (codes >= 0).sum(axis=1)
    shared = np.zeros((len(parts), len(parts)))
    for j in range(width):
        shared += (codes[:, j][:, None] == codes[:, j]) & (codes[:, j] >= 0)
    distances: Matrix = depth[:, None] + depth - 2 * shared
    return distances


def graph_distances(labels: list[Any], edges: tuple[Edge, ...]) -> Matrix:
    """The length of the shortest path between labels, shape (K, K), from edges (label, label, length).

    >>> graph_distances(["a", "b", "c"], (("a", "b", 1.0), ("b", "c", 2.0))).tolist()
    [[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    at = {label: i for i, label in enumerate(labels)}
    lengths = np.array([length for _, _, length in edges], np.float64)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise DrossError("every edge between labels needs a positive length")
    places = [(at[a], at[b]) for a, b, _ in edges]
    rows, columns = np.array(places).T
    found: Matrix = dijkstra(coo_array((lengths, (rows, columns)), shape=(len(at),) * 2), directed=False)
    if np.isinf(found).any():
        alone = labels[int(np.isinf(found[0]).argmax())]
        raise DrossError(f"the edges do not connect {labels[0]!r} and {alone!r}")
    return found


# ---- the rule --------------------------------------------------------------------------------------------------------


def spread_about(probs: npt.NDArray[Any], distances: Matrix) -> Matrix:
    """The Fréchet variance about every label: the expected squared distance, shape (n, K), from (n, k) and (k, K).

    The label where it is least is the Fréchet mean.

    >>> spread_about(np.array([[0.5, 0.5]]), np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])).tolist()
    [[2.0, 1.0, 2.0]]
    """
    spread: Matrix = np.asarray(probs, np.float64) @ distances**2
    return spread


@kernel()
def add_reachable(first: Any, second: Any, slack: float, out: Any) -> None:
    """Mark the labels that are a Fréchet mean of two others for some weight; ``first``, ``second`` are squared."""
    for y in range(len(first)):
        if out[y]:
            continue
        low, high = 0.0, 1.0  # weights of the first label for which nothing beats y
        for t in range(len(first)):
            a, b = first[y] - first[t], second[y] - second[t]
            if a - b > 0:
                high = min(high, (slack - b) / (a - b))
            elif a - b < 0:
                low = max(low, (slack - b) / (a - b))
            elif b > slack:
                high = -1.0
            if low > high + 1e-12:
                break
        if low <= high + 1e-12:
            out[y] = True


def reachable(distances: Matrix, known: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Labels that can be answered by a model of the known ones: Fréchet means of two of them, shape (K,).

    The locus of Roberts et al., section 4.2, by pairs, of which it is made in trees and grids; elsewhere mixtures of
    three labels and more may reach others. O(k² K²).

    >>> line = np.abs(np.arange(5.0)[:, None] - np.arange(5.0))
    >>> reachable(line, np.array([0, 2])).tolist()
    [True, True, True, False, False]
    """
    out = np.zeros(len(distances), bool)
    out[known] = True
    for i in range(len(known)):
        for j in range(i):
            _pair(distances, int(known[i]), int(known[j]), out)
    return out


def next_labels(
    distances: Matrix, known: npt.NDArray[np.int64], within: npt.NDArray[np.bool_], count: int
) -> list[tuple[int, int]]:
    """Labels to collect rows of next, and how many labels can be answered once each is known, one after the other.

    The one with which most labels can be answered, of equals the one farthest from those that can be answered already
    (section 4.3; in a tree the two are the same). ``within`` are the labels that can be answered now.

    >>> line = np.abs(np.arange(6.0)[:, None] - np.arange(6.0)); known = np.array([2, 3])
    >>> next_labels(line, known, reachable(line, known), 2)
    [(0, 4), (5, 6)]
    """
    chosen: list[tuple[int, int]] = []
    known, within = known.copy(), within.copy()
    while len(chosen) < count and not within.all():
        away = distances[:, within].min(axis=1)
        outside = np.flatnonzero(~within)
        candidates = outside[np.argsort(-away[outside], kind="stable")][:MOST_CANDIDATES]
        best, most = -1, within
        for one in candidates:
            out = within.copy()
            out[one] = True
            for other in known:
                _pair(distances, int(one), int(other), out)
            if best < 0 or out.sum() > most.sum():
                best, most = int(one), out
        chosen.append((best, int(most.sum())))
        known, within = np.append(known, best), most
    return chosen


def _pair(distances: Matrix, i: int, j: int, out: npt.NDArray[np.bool_]) -> None:
    first, second = distances[i] ** 2, distances[j] ** 2
    add_reachable(first, second, _SAME * max(1.0, float(first[j])), out)


def sharpened(probs: npt.NDArray[Any], heat: float) -> Matrix:
    """Probabilities to the power 1 / ``heat``, rows summing to one, (n, k): flatter for heat above 1.

    >>> sharpened(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    z = np.log(np.maximum(np.asarray(probs, np.float64), 1e-9)) / heat
    z = np.exp(z - z.max(axis=1, keepdims=True))
    flat: Matrix = z / z.sum(axis=1, keepdims=True)
    return flat


def mean_distances(
    probs: npt.NDArray[Any], truth: npt.NDArray[np.int64], distances: Matrix, known: npt.NDArray[np.int64]
) -> Matrix:
    """How far the Fréchet mean lies from the truth (positions, (n,)) at each heat of ``HEATS``; 0 where n = 0."""
    if not len(truth):
        return np.zeros(len(HEATS))
    answers = [spread_about(sharpened(probs, heat), distances[known]).argmin(axis=1) for heat in HEATS]
    return np.array([distances[truth, answer].mean() for answer in answers])


def temperature(spread: Matrix, codes: npt.NDArray[Any]) -> float:
    """The temperature of ``softmax(-spread / t)`` under which the given labels (positions, (n,)) are likeliest.

    >>> bool(temperature(np.array([[0.0, 1.0]] * 9), np.zeros(9, int)) < 0.1)
    True
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    unit = float(np.median(spread.max(axis=1) - spread.min(axis=1))) or 1.0
    own = spread[np.arange(len(codes)), codes]

    def loss(log_t: float) -> float:
        t = unit * math.exp(log_t)
        return float((own / t + logsumexp(-spread / t, axis=1)).mean())

    return unit * math.exp(float(minimize_scalar(loss, bounds=(-8, 4), method="bounded").x))


# ---- the method ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loki(Inferer):
    """Answers in a space of labels with distances: the label with the least expected squared distance to the truth.

    Roberts et al., "Geometry-Aware Adaptation for Pretrained Models", 2023: in place of the likeliest class, the
    Fréchet mean of the model's probabilities. It may be a label the model has never seen, and it errs by less distance.
    The probabilities returned are a softmax of minus the Fréchet variance whose temperature is fitted on the labelled
    rows; the likeliest label is the Fréchet mean. The summary names the labels that can be answered, and the labels of
    which rows should be collected next so that most others can be.

    Attributes
    ----------
    labels
        Labels to answer with beside those that stand in the data. For whole numbers and grids of whole numbers, by
        default, all between the least and the greatest in the data.
    metric
        ``numbers`` (their difference), ``grid`` (labels like "3,4": the sum of differences), ``paths`` (labels like
        "animal/cat": steps in the tree, whose inner nodes are labels too); ``auto`` takes what fits.
    edges
        (label, label, length): a graph whose shortest paths are the distances, in place of ``metric``; all its nodes
        are labels.
    heat
        The model's probabilities are raised to the power 1 / heat; 1 leaves them as they are. None chooses it by
        training three more times, each without a third of the labels; probabilities that the user brought are left.
    next_labels
        How many labels to name for collection.
    """

    paper: ClassVar = Paper("Geometry-Aware Adaptation for Pretrained Models", 2023, "2307.12226")
    needs: ClassVar = (Role.LABEL, Probabilities)

    labels: tuple[Any, ...] = ()
    metric: Metric = "auto"
    edges: tuple[Edge, ...] = ()
    heat: float | None = None
    next_labels: int = 3

    def run(self, data: Dataset, signals: Signals) -> Predictions | NotApplicable:
        """Answer for every row with the Fréchet mean of its probabilities."""
        if len(data.classes) < 2:
            return NotApplicable("a single class has no distances")
        found = label_space(data.classes, self.labels, self.metric, self.edges)
        if found is None:
            return NotApplicable(
                "nothing says how far apart the labels are: they are neither numbers, nor points like 3,4, nor paths "
                "like animal/cat; give edges"
            )
        space, distances = found
        at = {str(label): i for i, label in enumerate(space)}
        known = np.array([at[str(label)] for label in data.classes])
        P = np.asarray(signals[Probabilities()])
        labelled = np.flatnonzero(data.codes >= 0)
        codes = data.codes[labelled]
        order = shuffled(data)
        some = order[data.codes[order] >= 0][:SAMPLE]
        heat = self.heat or self._choose_heat(data, signals, distances, known, some)
        cold = temperature(spread_about(sharpened(P[some], heat), distances[known]), known[data.codes[some]])
        probs = np.empty((len(data), len(space)), np.float32)
        for rows in row_chunks(len(data)):
            z = spread_about(sharpened(P[rows], heat), distances[known])
            z = np.exp((z.min(axis=1, keepdims=True) - z) / cold)
            probs[rows] = z / z.sum(axis=1, keepdims=True)
        likeliest = known[P[labelled].argmax(axis=1)]
        summary = self._summary(space, distances, known) | {
            "heat": heat,
            "mean_distance": _mean_distance(distances, known[codes], probs[labelled].argmax(axis=1)),
            "mean_distance_of_likeliest": _mean_distance(distances, known[codes], likeliest),
        }
        return Predictions(space, probs, summary=summary)

    def _choose_heat(
        self, data: Dataset, signals: Signals, distances: Matrix, known: npt.NDArray[np.int64], some: Rows
    ) -> float:
        """The heat with the least distance where the model is trained without a third of its labels, three times.

        A model is surer than it should be of rows whose label it has never seen, and the Fréchet mean then falls back
        on a label it has. Labels left out count as much as labels never trained on are among all.
        """
        k, unseen = len(known), 1 - len(known) / len(distances)
        if k < 2 * PARTS or unseen == 0 or data.has(Role.PROBS):
            return 1.0
        group = np.random.default_rng(0).permutation(k) % PARTS
        away = np.zeros(len(HEATS))
        for part in range(PARTS):
            left = np.flatnonzero(group == part)
            less = without_labels(data, np.isin(data.codes, left))
            if less.classes != [data.classes[c] for c in np.flatnonzero(group != part)]:
                return 1.0
            P, kept = np.asarray(signals.derive(less)[Probabilities()])[some], known[group != part]
            new = np.isin(data.codes[some], left)
            truth = known[data.codes[some]]
            away += unseen * mean_distances(P[new], truth[new], distances, kept)
            away += (1 - unseen) * mean_distances(P[~new], truth[~new], distances, kept)
        return HEATS[int(np.argmin(away))]

    def _summary(self, space: list[Any], distances: Matrix, known: npt.NDArray[np.int64]) -> dict[str, Any]:
        if len(space) > MOST_REACHED:
            return {"labels": len(space), "in_the_data": len(known)}
        within = reachable(distances, known)
        chosen = next_labels(distances, known, within, self.next_labels)
        return {
            "labels": len(space),
            "in_the_data": len(known),
            "can_be_answered": int(within.sum()),
            "next": [{"label": space[i], "can_then_be_answered": count} for i, count in chosen],
        }


def label_space(
    classes: list[Any], extra: tuple[Any, ...], metric: Metric, edges: tuple[Edge, ...]
) -> tuple[list[Any], Matrix] | None:
    """All labels that may be answered, and their distances (K, K); None where there is nothing to measure them by.

    >>> label_space([1, 4], (), "auto", ())[0], label_space(["a/b", "a/c"], (), "auto", ())[0]
    ([1, 2, 3, 4], ['a', 'a/b', 'a/c'])
    """
    if metric not in ("auto", "numbers", "grid", "paths"):
        raise DrossError(f"no metric on labels is called {metric!r}", fix="choose auto, numbers, grid or paths")
    given = list(dict.fromkeys([*classes, *extra]))
    if edges:
        space = list(dict.fromkeys([*given, *(end for a, b, _ in edges for end in (a, b))]))
        return _checked(space), graph_distances(space, edges)
    points = grid_points(given) if metric != "paths" else None
    if points is not None and (metric != "numbers" or points.shape[1] == 1):
        space = given if extra else _filled(given, points)
        points = grid_points(_checked(space))
        assert points is not None
        return space, np.abs(points[:, None] - points).sum(axis=2)
    if metric in ("numbers", "grid"):
        raise DrossError(f"the labels are no {metric}: {', '.join(map(str, given[:5]))}")
    texts = [str(label) for label in given]
    if metric == "auto" and not any("/" in text for text in texts):
        return None
    inner = [] if extra else ["/".join(t.split("/")[:d]) for t in texts for d in range(1, t.count("/") + 1)]
    space = sorted(dict.fromkeys([*texts, *inner]))
    return _checked(space), path_distances(space)


def _filled(labels: list[Any], points: Matrix) -> list[Any]:
    """All points of whole numbers between the least and the greatest, in the form of the given labels."""
    if not (points == points.round()).all():
        return labels
    low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    if np.prod((high - low + 1).astype(float)) > MOST_LABELS:
        return labels
    every = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high, strict=True)], indexing="ij"), -1)
    form = {tuple(point): label for point, label in zip(points.tolist(), labels, strict=True)}
    number = not isinstance(labels[0], str)
    kind = type(labels[0]) if number else str
    made = [tuple(point) for point in every.reshape(-1, points.shape[1]).tolist()]
    return [form.get(p, kind(p[0]) if number else ",".join(map(str, p))) for p in made]


def _checked(space: list[Any]) -> list[Any]:
    if len(space) > MOST_LABELS:
        raise DrossError(
            f"{len(space):,} labels are too many to compare all of them", fix=f"name {MOST_LABELS} at most"
        )
    return space


def _mean_distance(distances: Matrix, truth: npt.NDArray[Any], answer: npt.NDArray[Any]) -> float:
    return round(float(distances[truth, answer].mean()), 6) if len(truth) else 0.0
