"""Early-learning regularization: wrong labels are not learnt by heart."""

from __future__ import annotations

from dross.claims import Budget, Evidence, claim
from dross.claims._training import accuracy, mean, memorised, over_seeds, trained
from dross.testing.images import digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.early_learning_regularization import EarlyLearningRegularization

EPOCHS = 60


@claim(
    method="early-learning-regularization",
    paper="Early-Learning Regularization Prevents Memorization of Noisy Labels",
    says="robust to noisy annotations: no memorisation of false labels",
)
def early_learning_resists_memorisation(budget: Budget) -> Evidence:
    """1,000 digits, 40 % of them with another class drawn at random, trained to the last epoch; no model selection."""

    def one(seed: int) -> dict[str, float]:
        exam = digits_exam(seed, noise=0.4)
        plain = trained(CrossEntropy(epochs=EPOCHS, seed=seed), exam)
        ours = trained(EarlyLearningRegularization(epochs=EPOCHS, seed=seed), exam)
        before, after = accuracy(plain, exam), accuracy(ours, exam)
        return {
            "accuracy of cross-entropy": before,
            "points gained": after - before,
            "wrong labels memorised by cross-entropy, %": memorised(plain, exam),
            "wrong labels memorised, %": memorised(ours, exam),
        }

    measured = over_seeds(budget, one)
    half = mean(measured["wrong labels memorised by cross-entropy, %"]) / 2
    holds = mean(measured["points gained"]) >= 5 and mean(measured["wrong labels memorised, %"]) < half
    return Evidence(measured, holds, over=budget.seeds)
