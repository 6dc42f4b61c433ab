"""LaSO: made vectors have the labels they should have, and help where labels have few rows."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds
from dross.core.dataset import Dataset
from dross.core.method import HOW
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.models.trainer import NetworkTrainer
from dross.signals.multilabel_probabilities import given_labels
from dross.synthesize.label_set_operations import OPERATIONS, LabelSetOperations
from dross.testing.composites import Composites, Sets, average_precisions, composites, sets_dataset
from dross.testing.images import Pixels
from dross.train.cross_entropy import CrossEntropy

SEEN, SHOTS, MADE, TUNING = 6, 6, 12, 200
"""Digits that the extractor learns; pictures of the other four; new vectors; passes over the few."""


@claim(
    method="label-set-operations",
    paper="LaSO: Label-Set Operations networks for multi-label few-shot learning",
    says="set operations generalise to unseen labels and improve multi-label few-shot learning",
)
def set_operations_help_few_shots(budget: Budget) -> Evidence:
    """Pictures of two digits; a perceptron learns those of 0 to 5, and its vectors are the embedding.

    The operations learn from 1,000 of these. What they make of seen labels is
    judged by a linear classifier of other rows; for the four others a linear classifier learns 6 pictures with or
    without 12 vectors made of them, in equally many updates, and answers for 500 others.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng(seed)
        order = rng.permutation(1797)
        seen, rest = (np.arange(10) < SEEN).astype(float), (np.arange(10) >= SEEN).astype(float)
        base, judged = (composites(order[:1000], n, rng, seen) for n in (1000, 1000))
        shots, test = composites(order[:1000], SHOTS, rng, rest), composites(order[1000:], 500, rng, rest)
        extractor = _model(CrossEntropy(epochs=15, seed=seed), base.dataset())
        vectors = {name: _seen(extractor, part) for name, part in
                   {"base": base, "judged": judged, "shots": shots, "test": test}.items()}  # fmt: skip
        known = sets_dataset(vectors["base"], base.truth)
        judge = _model(
            CrossEntropy(network="linear", epochs=15, seed=seed), sets_dataset(vectors["judged"], judged.truth)
        )
        made = _made(LabelSetOperations(count=600, seed=seed, epochs=15), known)
        truth, probs = _sets_of(made)[:, :SEEN], judge.predict_proba(made)
        how = np.array(made.table.column(HOW).to_pylist())
        right = {
            f"mAP of {name}": float(np.nanmean(average_precisions(probs[mine], truth[mine])))
            for name in OPERATIONS
            for mine in [np.char.startswith(how.astype(str), name)]
        }
        all_x = np.concatenate([vectors["base"], vectors["shots"]])
        both = sets_dataset(all_x, np.concatenate([base.truth, shots.truth]))
        more = _made(LabelSetOperations(count=MADE, rare=2 * SHOTS, seed=seed, epochs=15), both)
        few = sets_dataset(vectors["shots"], shots.truth)
        x = np.concatenate([vectors["shots"], more.matrix(Role.EMBEDDING)])
        rich = sets_dataset(x, np.concatenate([shots.truth, _sets_of(more)]))
        target = sets_dataset(vectors["test"], test.truth)
        plain = _few_map(_model(_probe(seed, TUNING), few), target, test)
        passes = max(1, round(TUNING / -(-len(rich) // 64)))
        helped = _few_map(_model(_probe(seed, passes), rich), target, test)
        return right | {"mAP of few shots": plain, "mAP points gained": helped - plain}

    measured = over_seeds(budget, one)
    right = [mean(measured[f"mAP of {name}"]) for name in OPERATIONS]
    return Evidence(measured, min(right) >= 80 and mean(measured["mAP points gained"]) >= 2, over=budget.seeds)


def _probe(seed: int, epochs: int) -> CrossEntropy:
    return CrossEntropy(network="linear", epochs=epochs, learning_rate=3e-3, seed=seed)


def _model(method: NetworkTrainer, data: Dataset) -> Trained:
    model = method.run(data, Signals(data))
    assert isinstance(model, Trained), model
    return model


def _seen(extractor: Trained, part: Composites) -> Pixels:
    return extractor.embed(part.dataset())


def _made(method: LabelSetOperations, data: Dataset) -> Dataset:
    made = method.run(data, Signals(data))
    assert isinstance(made, Dataset), made
    return made


def _sets_of(data: Dataset) -> Sets:
    """Label sets over all ten digits, shape (n, 10)."""
    found = given_labels(data)
    out = np.zeros((len(data), 10), bool)
    out[:, found.names] = found.matrix
    return out


def _few_map(model: Trained, target: Dataset, test: Composites) -> float:
    """Mean average precision over the digits that the extractor did not learn; labels without a row count as chance."""
    probs = np.zeros((len(test), 10))
    probs[:, model.classes] = model.predict_proba(target)
    return float(average_precisions(probs[:, SEEN:], test.truth[:, SEEN:]).mean())
