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
from dross.train.cross_entropy import CrossEntropy

SEEN, SHOTS, MADE, DRAWS, TUNING = 8, 3, 24, 5, 200
"""Digits that the extractor learns; pictures of the others; vectors made of them; draws of both; passes over them."""
SPLIT = ("intersection", "difference")
"""What is made of the few: the union of two rows says nothing new of a label that has no other rows."""


@claim(
    method="label-set-operations",
    paper="LaSO: Label-Set Operations networks for multi-label few-shot learning",
    says="set operations generalise to unseen labels and improve multi-label few-shot learning",
    fast=False,
)
def set_operations_help_few_shots(budget: Budget) -> Evidence:
    """Pictures of two digits; a perceptron learns those of 0 to 7, and its vectors are the embedding.

    As in the paper four fifths of the labels are seen. The operations learn from 1,000 pictures of these; what they
    make of them is judged by a linear classifier of other rows. For the two other digits a linear classifier learns 3
    pictures with or without 24 vectors made of them, in equally many updates, and answers for 500 others; the mean of
    five draws of 3 pictures.
    """

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng(seed)
        order = rng.permutation(1797)
        seen, rest = (np.arange(10) < SEEN).astype(float), (np.arange(10) >= SEEN).astype(float)
        base, judged = (composites(order[:1000], n, rng, seen) for n in (1000, 1000))
        test = composites(order[1000:], 500, rng, rest)
        extractor = _model(CrossEntropy(epochs=15, seed=seed), base.dataset())
        known = sets_dataset(extractor.embed(base.dataset()), base.truth)
        judge = _model(
            CrossEntropy(network="linear", epochs=15, seed=seed),
            sets_dataset(extractor.embed(judged.dataset()), judged.truth),
        )
        made = _made(LabelSetOperations(count=600, seed=seed, epochs=15), known)
        truth, probs = _sets_of(made)[:, :SEEN], judge.predict_proba(made)
        how = np.array(made.table.column(HOW).to_pylist())
        right = {
            f"mAP of {name}": float(np.nanmean(average_precisions(probs[mine], truth[mine])))
            for name in OPERATIONS
            for mine in [np.char.startswith(how.astype(str), name)]
        }
        found = [
            _few_shots(extractor, base, composites(order[:1000], SHOTS, rng, rest), test, seed) for _ in range(DRAWS)
        ]
        plain, helped = np.mean(found, axis=0)
        return right | {"mAP of few shots": float(plain), "mAP points gained": float(helped - plain)}

    measured = over_seeds(budget, one)
    right = [mean(measured[f"mAP of {name}"]) for name in OPERATIONS]
    return Evidence(measured, min(right) >= 80 and mean(measured["mAP points gained"]) >= 2, over=budget.seeds)


def _few_shots(
    extractor: Trained, base: Composites, shots: Composites, test: Composites, seed: int
) -> tuple[float, float]:
    """What a linear classifier reaches by the few pictures alone, and with the vectors made of them."""
    seen, few = extractor.embed(base.dataset()), extractor.embed(shots.dataset())
    both = sets_dataset(np.concatenate([seen, few]), np.concatenate([base.truth, shots.truth]))
    method = LabelSetOperations(count=MADE, operations=SPLIT, rare=2 * SHOTS, seed=seed, epochs=15)
    more = _made(method, both)
    x = np.concatenate([few, more.matrix(Role.EMBEDDING)])
    rich = sets_dataset(x, np.concatenate([shots.truth, _sets_of(more)]))
    target = sets_dataset(extractor.embed(test.dataset()), test.truth)
    plain = _few_map(_model(_probe(seed, TUNING), sets_dataset(few, shots.truth)), target, test)
    passes = max(1, round(TUNING / -(-len(rich) // 64)))
    return plain, _few_map(_model(_probe(seed, passes), rich), target, test)


def _probe(seed: int, epochs: int) -> CrossEntropy:
    return CrossEntropy(network="linear", epochs=epochs, learning_rate=3e-3, seed=seed)


def _model(method: NetworkTrainer, data: Dataset) -> Trained:
    model = method.run(data, Signals(data))
    assert isinstance(model, Trained), model
    return model


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
