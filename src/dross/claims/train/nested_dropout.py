"""Nested dropout: few features in order of importance withstand wrong labels; and what co-teaching adds."""

from __future__ import annotations

from functools import cache

from dross.claims import Budget, Evidence, claim
from dross.claims._training import accuracy, mean, memorised, over_seeds, plain_on_noise, trained
from dross.train.nested_dropout import NestedDropout

EPOCHS = 60
NOISE = 0.4
PAPER = "Compressing Features for Learning with Noisy Labels"


@claim(
    method="nested-dropout",
    paper=PAPER,
    says="keeping a random number of leading features withstands wrong labels",
)
def compressed_features_withstand_wrong_labels(budget: Budget) -> Evidence:
    """1,000 digits, 40 % of them with another class drawn at random, trained to the last epoch.

    Nested dropout without co-teaching, against cross-entropy with the same two networks whose logits are averaged; the
    single network that the paper compares with stands beside it.
    """

    def one(seed: int) -> dict[str, float]:
        exam, single = plain_on_noise(seed, NOISE, "symmetric", EPOCHS)
        (two, by_heart), (nested, less) = _halves(seed, False, False), _halves(seed, True, False)
        return {
            "accuracy of cross-entropy": accuracy(single, exam),
            "accuracy of cross-entropy, two networks": two,
            "points gained over two networks": nested - two,
            "wrong labels memorised by two networks, %": by_heart,
            "wrong labels memorised, %": less,
        }

    measured = over_seeds(budget, one)
    return Evidence(measured, mean(measured["points gained over two networks"]) >= 3, over=budget.seeds)


@claim(method="nested-dropout", paper=PAPER, says="together with co-teaching it is better than either alone")
def compressed_features_and_co_teaching_beat_either(budget: Budget) -> Evidence:
    """The same digits; all answer with the mean of two networks and train for the same number of epochs.

    Co-teaching is told the share of wrong labels, alone as together.
    """

    def one(seed: int) -> dict[str, float]:
        (nested, _), (taught, _), (both, least) = (
            _halves(seed, *halves) for halves in ((True, False), (False, True), (True, True))
        )
        return {
            "accuracy of nested dropout": nested,
            "accuracy of co-teaching": taught,
            "accuracy of both": both,
            "points of both over nested dropout": both - nested,
            "points of both over co-teaching": both - taught,
            "wrong labels memorised by both, %": least,
        }

    measured = over_seeds(budget, one)
    holds = (
        mean(measured["points of both over nested dropout"]) > 0
        and mean(measured["points of both over co-teaching"]) > 0
    )
    note = "The spread and the share of co-teaching were chosen on other seeds."
    return Evidence(measured, holds, over=budget.seeds, note=note)


@cache
def _halves(seed: int, nested: bool, co_teaching: bool) -> tuple[float, float]:
    """Accuracy and wrong labels memorised with one half of the method, both or none, in per cent."""
    exam, _ = plain_on_noise(seed, NOISE, "symmetric", EPOCHS)
    method = NestedDropout(epochs=EPOCHS, forget_rate=NOISE, seed=seed, nested=nested, co_teaching=co_teaching)
    model = trained(method, exam)
    return accuracy(model, exam), memorised(model, exam)
