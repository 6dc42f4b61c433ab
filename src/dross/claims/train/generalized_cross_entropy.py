"""Generalized cross-entropy: wrong labels are not learnt by heart."""

from __future__ import annotations

from dross.claims import Budget, Evidence, claim
from dross.claims._training import on_noise, over_seeds, resists
from dross.train.generalized_cross_entropy import GeneralizedCrossEntropy

EPOCHS = 60


@claim(
    method="generalized-cross-entropy",
    paper="Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    says="combines the robustness of the mean absolute error with the ease of training of cross-entropy",
)
def box_cox_loss_withstands_wrong_labels(budget: Budget) -> Evidence:
    """1,000 digits, 40 % of them with another class drawn at random, to the end; q = 0.7; also truncated at 0.5."""

    def one(seed: int) -> dict[str, float]:
        whole, _ = on_noise(seed, GeneralizedCrossEntropy(epochs=EPOCHS, seed=seed))
        short, _ = on_noise(seed, GeneralizedCrossEntropy(truncation=0.5, epochs=EPOCHS, seed=seed))
        return {**whole, "points gained by the truncated form": short["points gained"]}

    measured = over_seeds(budget, one)
    return Evidence(measured, resists(measured, 5), over=budget.seeds)
