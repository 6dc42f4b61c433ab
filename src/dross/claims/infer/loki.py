"""Loki: labels never trained on are answered, and answers lie nearer to the truth than the likeliest class."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.infer.loki import Loki, next_labels, reachable
from dross.signals.probabilities import Probabilities

PAPER = "Geometry-Aware Adaptation for Pretrained Models"
SIDE = 6
Array = npt.NDArray[Any]


@claim(
    method="loki",
    paper=PAPER,
    says="the Fréchet mean answers labels that were never trained on and cuts the distance to the truth",
    fast=False,
)
def unseen_labels_are_answered_and_the_distance_shrinks(budget: Budget) -> Evidence:
    """A grid of 36 labels of which every other one is trained on, and a real ordinal task of which half the levels are.

    The grid's rows lie on a bent sheet in eight dimensions. The real task: the progression of diabetes in 442 patients
    (scikit-learn), in eight levels of equally many, learnt from half of the patients of levels 0, 2, 4 and 7. The
    baseline is the likeliest class of the same probabilities; rows of all labels are judged. Beside it: a grid of which
    a random half is trained on, whose holes may be wide or lie at the edge, where no Fréchet mean reaches.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for task, (data, truth) in _tasks(seed).items():
            for name, value in _judge(data, truth).items():
                kept.setdefault(f"{name}, {task}", []).append(value)
        kept.setdefault("more labels of 60 reached by choosing 6 than at random", []).append(
            _chosen_against_random(seed)
        )
    measured = {name: interval(values) for name, values in kept.items()}
    holds = all(
        measured[f"unseen labels right, %, {task}"][1] > 0 and measured[f"distance cut by, %, {task}"][0] >= 20
        for task in ("grid", "diabetes")
    )
    return Evidence(measured, holds, over=budget.seeds)


def _tasks(seed: int) -> dict[str, tuple[Dataset, list[Any]]]:
    rng = np.random.default_rng(seed)
    checked = np.flatnonzero(np.indices((SIDE, SIDE)).sum(axis=0).ravel() % 2 == 0)
    drawn = rng.permutation(SIDE * SIDE)[: SIDE * SIDE // 2]
    return {"grid": _grid(seed, checked), "grid, random half": _grid(seed, drawn), "diabetes": _diabetes(seed)}


def _judge(data: Dataset, truth: list[Any]) -> dict[str, float]:
    signals = Signals(data)
    found = Loki(labels=tuple(sorted(set(truth)))).run(data, signals)
    assert isinstance(found, Predictions)
    judged = data.codes < 0
    points = np.array([[float(part) for part in str(label).split(",")] for label in truth])[judged]
    likeliest = np.asarray(signals[Probabilities()]).argmax(axis=1)
    unseen = np.array([label not in data.classes for label in truth])[judged]
    out = {}
    for name, answers in {
        "argmax": [data.classes[i] for i in likeliest[judged]],
        "Loki": [found.classes[i] for i in found.probs.argmax(axis=1)[judged]],
    }.items():
        given = np.array([[float(part) for part in str(label).split(",")] for label in answers])
        away = np.abs(given - points).sum(axis=1)
        out[f"distance, {name}"] = float(away.mean())
        out[f"right, %, {name}"] = 100 * float((away == 0).mean())
        if name == "Loki":
            out["unseen labels right, %"] = 100 * float((away[unseen] == 0).mean())
            out["chance of an unseen label, %"] = 100 / len(found.classes)
    out["distance cut by, %"] = 100 * (1 - out["distance, Loki"] / out["distance, argmax"])
    return out


def _grid(seed: int, known: Array) -> tuple[Dataset, list[Any]]:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, SIDE, (1200, 2))
    at = (cells + 0.35 * rng.normal(size=cells.shape)) / SIDE
    bent = np.concatenate([at, np.sin(3 * at), np.cos(3 * at), at[:, :1] * at[:, 1:]], axis=1)
    X = np.concatenate([bent, 0.1 * rng.normal(size=(len(at), 1))], axis=1)
    truth = [f"{a},{b}" for a, b in cells.tolist()]
    learnt = np.isin(cells[:, 0] * SIDE + cells[:, 1], known) & (rng.random(len(cells)) < 0.6)
    return _dataset(X, truth, learnt), truth


def _diabetes(seed: int) -> tuple[Dataset, list[Any]]:
    from sklearn.datasets import load_diabetes

    rng = np.random.default_rng(seed)
    X, y = load_diabetes(return_X_y=True)
    level = np.searchsorted(np.quantile(y, np.arange(1, 8) / 8), y, side="right")
    learnt = np.isin(level, [0, 2, 4, 7]) & (rng.random(len(y)) < 0.5)
    truth = level.tolist()
    return _dataset(X / X.std(axis=0), truth, learnt), truth


def _dataset(X: Array, truth: list[Any], learnt: npt.NDArray[np.bool_]) -> Dataset:
    columns = {f"x{i}": X[:, i] for i in range(X.shape[1])}
    labels = pa.array([label if kept else None for label, kept in zip(truth, learnt.tolist(), strict=True)])
    return Dataset(pa.table({**columns, "y": labels}), {Role.FEATURES: list(columns), Role.LABEL: ["y"]})


def _chosen_against_random(seed: int) -> float:
    """How many more of the nodes of a random tree can be answered after six chosen labels than after six random."""
    from scipy.sparse.csgraph import floyd_warshall

    rng = np.random.default_rng(seed)
    n, gained = 60, []
    for _ in range(5):
        lengths = np.zeros((n, n))
        for i in range(1, n):
            lengths[i, rng.integers(i)] = 1
        distances = floyd_warshall(lengths, directed=False)
        known = rng.choice(n, 3, replace=False)
        chosen = next_labels(distances, known, reachable(distances, known), 6)
        drawn = rng.choice(np.setdiff1d(np.arange(n), known), 6, replace=False)
        gained.append(chosen[-1][1] - int(reachable(distances, np.append(known, drawn)).sum()))
    return float(np.mean(gained))
