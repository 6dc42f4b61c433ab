"""GLAD: hard rows are told from bad annotators."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim, interval
from dross.models.crowd import glad
from dross.models.votes import majority, votes_of
from dross.testing.crowds import crowd


@claim(
    method="glad",
    paper="Whose Vote Should Count More: Optimal Integration of Labels from Labelers of Unknown Expertise",
    says="infers labels better than a majority vote, and tells hard rows from rows that bad annotators saw",
)
def tells_hard_rows_from_bad_annotators(budget: Budget) -> Evidence:
    """A fifth of the rows is a coin toss for everybody; the baseline for difficulty is disagreement among the votes."""
    from sklearn.metrics import roc_auc_score

    gain, difficulty, disagreement, correlation = [], [], [], []
    for seed in budget.seeds:
        made = crowd(1000, annotators=20, hard=0.2, seed=seed)
        votes = votes_of(made.data)
        belief, shares = glad(votes), majority(votes)
        easy = ~made.hard
        gain.append((belief.probs.argmax(1) == made.truth)[easy].mean() - (shares.argmax(1) == made.truth)[easy].mean())
        difficulty.append(roc_auc_score(made.hard, belief.difficulty))
        disagreement.append(roc_auc_score(made.hard, 1 - shares.max(axis=1)))
        correlation.append(float(np.corrcoef(belief.quality, made.accuracy)[0, 1]))
    better = np.subtract(difficulty, disagreement)
    measured = {
        "accuracy gained over majority (easy rows)": interval(gain),
        "AUC of difficulty for hard rows": interval(difficulty),
        "AUC of plain disagreement": interval(disagreement),
        "difference of the two AUC": interval(better),
        "correlation with true accuracy": interval(correlation),
    }
    sure = interval(better)[1] > 0 if len(better) > 1 else better[0] > 0
    holds = np.mean(gain) > 0 and sure and min(correlation) > 0.9
    return Evidence(measured, holds=bool(holds), over=budget.seeds)
