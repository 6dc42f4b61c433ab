"""Automatic rules: a hundred labels become rules, whose votes label the rest; beside them, what few labels do alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.few_labels import (
    SOLVERS,
    AutoRules,
    Problem,
    Solver,
    compare_left_out,
    end_model,
    learnt_features,
    left_out,
    table,
)
from dross.models.rules import Rule
from dross.signals.embedding import Embedding
from dross.signals.ngrams import choose_terms, count_ngrams, texts_of, weigh

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

LEAST = 3
"""Labelled rows that each class needs."""
LEAST_ROWS = 30
ALIKE = 1e-6
RAW_TERMS = 300
COMPARED = 3000
"""Rows without a label that take part in the comparison."""
FOLDS = 5
TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
VIEWS = ("raw", "embedding", "learnt")


def raw_features(data: Dataset, signals: Signals) -> Vectors:
    """Features as they come: the weights of the 300 commonest n-grams of texts, else the embedding."""
    if not data.has(Role.TEXT):
        return signals[Embedding()]
    counts = count_ngrams(texts_of(data))
    return np.asarray(weigh(counts, choose_terms(counts, RAW_TERMS)).toarray(), np.float32)


def views_of(data: Dataset, signals: Signals, seed: int) -> dict[str, Vectors]:
    """Raw features, the embedding where that is something else, and features learnt from all rows without a label."""
    views = {"raw": raw_features(data, signals)}
    if data.has(Role.TEXT):
        views["embedding"] = np.asarray(signals[Embedding()], np.float32)
    views["learnt"] = learnt_features(np.asarray(signals[Embedding()], np.float32), seed)
    return views


def tempered(probs: Floats, temperature: float) -> Floats:
    """Chances to the power of one over the temperature, made to add up to 1.

    >>> tempered(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    raised = np.maximum(probs, 1e-12) ** (1 / temperature)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def best_temperature(probs: Floats, codes: Ints) -> float:
    """The temperature at which the right classes are likeliest."""
    each = np.arange(len(codes))
    return max(TEMPERATURES, key=lambda t: float(np.log(tempered(probs, t)[each, codes]).mean()))


@dataclass(frozen=True)
class AutomaticRules(Labeler):
    """Labels for the rest from about a hundred labelled rows, by rules that are written by machine.

    Roberts et al., "AutoWS-Bench-101: Benchmarking Automated Weak Supervision with 100 Labels", 2022: rules are made
    from the labelled rows (here as Snuba does: thresholds on one or two features, chosen for accuracy and variety, the
    next ones for the rows in doubt), a label model weighs their votes on all rows, an end model learns from that. The
    paper asks when this beats simply learning from the few labels; so does the summary: its table gives rules, label
    propagation and few-shot logistic regression on every kind of features, by accuracy on labelled rows left out, the
    winner first.

    Attributes
    ----------
    features
        What the rules are about: ``raw`` (n-grams, columns), ``embedding`` or ``learnt`` (nearness to centroids in the
        slowest directions of the neighbour graph of all rows).
    rounds, conditions
        At most so many rules a class, of so many conditions each.
    label_model
        How votes are weighed; a name in ``dross.models.label_models``.
    compare
        Whether to measure the alternatives.
    """

    paper: ClassVar = Paper(
        "AutoWS-Bench-101: Benchmarking Automated Weak Supervision with 100 Labels", 2022, "2208.14362"
    )
    alias: ClassVar = "autows-bench-101"
    needs: ClassVar = (Role.LABEL, Embedding)

    features: str = "learnt"
    rounds: int = 15
    conditions: int = 2
    label_model: str = "abstention"
    compare: bool = True
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Label every row that has no label; a row that has one keeps it."""
        if self.features not in VIEWS:
            raise DrossError(f"no features are called {self.features!r}", fix=f"choose one of: {', '.join(VIEWS)}")
        rows = np.flatnonzero(data.codes >= 0)
        codes, k = data.codes[rows].astype(np.int64), len(data.classes)
        reason = _unfit(data, np.bincount(codes, minlength=k))
        if reason:
            return NotApplicable(reason)
        if float(np.ptp(signals[Embedding()], axis=0).max(initial=0.0)) < ALIKE:
            return NotApplicable("all rows look the same")
        views = views_of(data, signals, self.seed)
        chosen = self.features if self.features in views else "raw"
        problem = Problem(views[chosen], rows, codes, k)
        solve = AutoRules(self.rounds, self.conditions, self.label_model)
        rules, said = solve.write(problem)
        tested = left_out(problem, solve, FOLDS, self.seed)
        probs = tempered(end_model(problem, said), best_temperature(tested, codes))
        probs[rows] = np.eye(k)[codes]
        fired = np.any([rule.fires(problem.X) for rule in rules], axis=0) if rules else np.zeros(len(data), bool)
        origin = np.where(data.codes >= 0, 0, np.where(fired, 1, 2)).astype(np.int32)
        summary: dict[str, Any] = {
            "features": chosen,
            "labelled": len(rows),
            "covered_by_rules": float(fired.mean()),
            "accuracy_on_rows_left_out": float((tested.argmax(axis=1) == codes).mean()),
            "rules": [_told(rule, data, problem.X) for rule in rules],
        }
        if self.compare:
            summary |= self._compared(views, rows, codes, solve)
        return Labels(data.classes, probs.astype(np.float32), origin, ("given", "rules", "end model"), summary)

    def _compared(self, views: dict[str, Vectors], rows: Ints, codes: Ints, solve: AutoRules) -> dict[str, Any]:
        n = len(next(iter(views.values())))
        others = np.random.default_rng(self.seed).permutation(np.setdiff1d(np.arange(n), rows))[:COMPARED]
        some = np.sort(np.concatenate([rows, others]))
        places = np.searchsorted(some, rows)
        solvers: dict[str, Solver] = {**SOLVERS, next(iter(SOLVERS)): solve}
        results = compare_left_out(
            {name: X[some] for name, X in views.items()}, places, codes, folds=FOLDS, seed=self.seed, solvers=solvers
        )
        best = results[0]
        return {
            "comparison": [dataclasses.asdict(result) for result in results],
            "table": table(results),
            "best": f"{best.method} on {best.features} features",
        }


def _told(rule: Rule, data: Dataset, X: Vectors) -> dict[str, Any]:
    fires = rule.fires(X)
    return {
        "class": str(data.classes[rule.label]),
        "rule": str(rule),
        "f1_on_labelled": round(rule.f1, 4),
        "coverage": round(float(fires.mean()), 4),
    }


def _unfit(data: Dataset, counts: Ints) -> str:
    if not data.content:
        return "no column holds content to write rules about: no text, image, feature or embedding"
    if len(counts) < 2 or counts.min() < LEAST:
        return f"needs two classes or more, each with {LEAST} labelled rows or more"
    if len(data) < LEAST_ROWS:
        return f"{len(data)} rows are too few to learn from; {LEAST_ROWS} are needed"
    return "every row has a label already" if counts.sum() == len(data) else ""
