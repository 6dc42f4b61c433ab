"""DivideMix: wrong labels are found, set aside and not learnt by heart."""

from __future__ import annotations

from dross.claims import Budget, Evidence, claim
from dross.claims._training import accuracy, mean, memorised, over_seeds, plain_on_noise, trained
from dross.train.dividemix import DivideMix
from dross.train.mixup import Mixup

EPOCHS = 30


@claim(
    method="dividemix",
    paper="DivideMix: Learning with Noisy Labels as Semi-supervised Learning",
    says="dividing the rows by their loss and learning semi-supervised from both parts withstands wrong labels",
)
def division_withstands_wrong_labels(budget: Budget) -> Evidence:
    """1,000 digits, 40 % of them with another class drawn at random, trained to the last epoch; no model selection.

    Beside cross-entropy stands mixup, which DivideMix contains. Each network of DivideMix takes fewer steps than the
    baselines: an epoch is one pass over the rows that are trusted.
    """

    def one(seed: int) -> dict[str, float]:
        exam, plain = plain_on_noise(seed, 0.4, "symmetric", EPOCHS)
        _, longer = plain_on_noise(seed, 0.4, "symmetric", 2 * EPOCHS)
        mixup = trained(Mixup(epochs=2 * EPOCHS, alpha=8.0, seed=seed), exam)
        ours = trained(DivideMix(epochs=EPOCHS, seed=seed), exam)
        edits = ours.edits
        assert edits is not None
        wrong = (exam.data.codes != exam.truth).sum()
        right = sum(int(after) == exam.truth[row] for after, row in zip(edits.after, edits.rows, strict=True))
        return {
            "accuracy of cross-entropy": accuracy(plain, exam),
            "accuracy of cross-entropy, twice the epochs": accuracy(longer, exam),
            "accuracy of mixup, twice the epochs": accuracy(mixup, exam),
            "accuracy": accuracy(ours, exam),
            "points over the best of these": accuracy(ours, exam)
            - max(accuracy(one, exam) for one in (plain, longer, mixup)),
            "wrong labels memorised by cross-entropy, %": memorised(plain, exam),
            "wrong labels memorised, %": memorised(ours, exam),
            "wrong labels put right, %": 100 * right / wrong,
        }

    measured = over_seeds(budget, one)
    half = mean(measured["wrong labels memorised by cross-entropy, %"]) / 2
    gained = measured["points over the best of these"]
    holds = mean(gained) >= 2 and mean(measured["wrong labels memorised, %"]) < half
    return Evidence(measured, holds, over=budget.seeds)
