"""Cross-entropy: the honest choice where labels are right, and a network that learns anything by heart."""

from __future__ import annotations

from dross.claims import Budget, Evidence, claim
from dross.claims._training import accuracy, mean, memorised, over_seeds, trained
from dross.testing.images import digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.early_learning_regularization import EarlyLearningRegularization
from dross.train.generalized_cross_entropy import GeneralizedCrossEntropy

ROBUST = (EarlyLearningRegularization, GeneralizedCrossEntropy)


@claim(
    method="cross-entropy",
    paper="Understanding deep learning requires rethinking generalization",
    says="fits wrong labels by heart, and where all labels are right no robust method does better",
)
def plain_training_is_honest_without_noise(budget: Budget) -> Evidence:
    """500 digits with right labels, and with 40 % wrong ones; 150 epochs, two robust methods beside it."""

    def one(seed: int) -> dict[str, float]:
        clean, noisy = digits_exam(seed, train=500), digits_exam(seed, train=500, noise=0.4)
        plain = accuracy(trained(CrossEntropy(epochs=150, seed=seed), clean), clean)
        best = max(accuracy(trained(make(epochs=150, seed=seed), clean), clean) for make in ROBUST)
        return {
            "accuracy with right labels": plain,
            "points gained by the better of two robust methods": best - plain,
            "wrong labels memorised, %": memorised(trained(CrossEntropy(epochs=150, seed=seed), noisy), noisy),
        }

    measured = over_seeds(budget, one)
    gained = mean(measured["points gained by the better of two robust methods"])
    holds = gained < 0.5 and mean(measured["wrong labels memorised, %"]) > 90
    return Evidence(measured, holds, over=budget.seeds)
