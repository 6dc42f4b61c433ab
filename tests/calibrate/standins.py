"""Simple detectors and datasets for the tests of calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.neighbours import Neighbours
from dross.signals.probabilities import Probabilities


@dataclass(frozen=True)
class Doubt(Detector):
    """1 - probability of the given label."""

    finds: ClassVar[Issue] = Issue.LABEL
    power: float = 1.0

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        rows = np.flatnonzero(data.codes >= 0)
        doubt = 1 - np.asarray(signals[Probabilities()])[rows, data.codes[rows]]
        suggestion = np.asarray(signals[Probabilities()])[rows].argmax(axis=1)
        return Findings(Issue.LABEL, rows, np.clip(doubt, 0, 1) ** self.power, suggestion=suggestion)


@dataclass(frozen=True)
class Disagreement(Detector):
    """Share of the neighbours with another label."""

    finds: ClassVar[Issue] = Issue.LABEL

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        near = signals[Neighbours()].indices
        scores = (data.codes[near] != data.codes[:, None]).mean(axis=1).astype(np.float32)
        rows = np.flatnonzero(data.codes >= 0)
        return Findings(Issue.LABEL, rows, scores[rows], evidence={"near": near[rows]})


@dataclass(frozen=True)
class Noise(Detector):
    """Random scores: a method that knows nothing."""

    finds: ClassVar[Issue] = Issue.LABEL

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        scores = np.random.default_rng(len(data)).random(len(data)).astype(np.float32)
        return Findings(Issue.LABEL, np.arange(len(data)), scores)


@dataclass(frozen=True)
class Fragile(Detector):
    """Works once, and raises when it is run on planted data."""

    finds: ClassVar[Issue] = Issue.LABEL
    of: int = 0

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        raise ValueError("not on planted data")


def overlapping(n: int, *, noise: float, seed: int, spread: float = 1.0, k: int = 3) -> tuple[Dataset, np.ndarray]:
    """Gaussian classes with the exact probabilities of the noisy labels as ``probs``; and the rows that are wrong."""
    rng = np.random.default_rng(seed)
    centres = 3 * np.eye(k)
    truth = rng.integers(0, k, n)
    X = centres[truth] + spread * rng.normal(size=(n, k))
    logits = (X @ centres.T - 0.5 * (centres**2).sum(axis=1)) / spread**2
    clean = np.exp(logits - logits.max(axis=1, keepdims=True))
    clean /= clean.sum(axis=1, keepdims=True)
    probs = (1 - noise) * clean + noise * (1 - clean) / (k - 1)
    labels = truth.copy()
    wrong = np.sort(rng.choice(n, round(noise * n), replace=False))
    labels[wrong] = (truth[wrong] + rng.integers(1, k, len(wrong))) % k
    columns = {"x": _vectors(X), "p": _vectors(probs), "label": pa.array([f"c{i}" for i in labels])}
    roles = {Role.EMBEDDING: ["x"], Role.PROBS: ["p"], Role.LABEL: ["label"]}
    return Dataset(pa.table(columns), roles), wrong


def found_by(data: Dataset, signals: Signals, *methods: Detector) -> dict[str, tuple[Detector, Findings]]:
    """What the methods find, as ``assess`` takes it."""
    outcomes = {f"{type(m).__name__.lower()}-{i}": (m, m.run(data, signals)) for i, m in enumerate(methods)}
    return {name: (m, one) for name, (m, one) in outcomes.items() if isinstance(one, Findings)}


def _vectors(X: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(X, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, X.shape[1])
