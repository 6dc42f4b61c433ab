"""Noise-aware training: labels that a rule made count by how likely they are right."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._training import mean, over_seeds
from dross.core.dataset import Dataset
from dross.core.signal import Signals
from dross.models.trained import Trained
from dross.models.trainer import NetworkTrainer
from dross.testing.forms import FIELDS, Forms, forms
from dross.train.cross_entropy import CrossEntropy
from dross.train.noise_aware_training import NoiseAwareTraining

EPOCHS, FORMS, CLEAN, MORE = 20, 100, 10, 30


@claim(
    method="noise-aware-training",
    paper="Noise-Aware Training of Layout-Aware Language Models",
    says="weighting weak labels by their confidence beats plain training on them, and saves people's labels",
)
def confident_labels_teach_fields(budget: Budget) -> Evidence:
    """100 forms of 13 tokens; a rule labels all, a person 10 (or 30) of them; macro-F1 on 100 other forms.

    The baseline takes the person's label where there is one and else the rule's. The same trainer with all confidences
    at 1, which also draws the person's rows more often, is measured beside it, and training on the person's alone.
    """

    def one(seed: int) -> dict[str, float]:
        papers, test = forms(FORMS, seed), forms(100, seed + 1_000_000)
        found = {"labels of the rule that are wrong, %": 100 * float((papers.rule != papers.truth).mean())}
        ours = NoiseAwareTraining(epochs=EPOCHS, rater_epochs=EPOCHS // 2, seed=seed)
        flat = NoiseAwareTraining(epochs=EPOCHS, rater_epochs=1, seed=seed, strength=0)
        plain = CrossEntropy(epochs=EPOCHS, seed=seed)
        few, many = papers.form < CLEAN, papers.form < MORE
        score = _macro_f1(ours, papers.dataset(np.where(few, papers.truth, -1), papers.rule), test)
        before = _macro_f1(plain, papers.dataset(np.where(few, papers.truth, papers.rule)), test)
        same = _macro_f1(flat, papers.dataset(np.where(few, papers.truth, -1), papers.rule), test)
        alone = CrossEntropy(epochs=EPOCHS * FORMS // CLEAN, seed=seed)
        more = _macro_f1(plain, papers.dataset(np.where(many, papers.truth, papers.rule)), test)
        return found | {
            "macro-F1 of cross-entropy": before,
            "points gained": score - before,
            "points gained over equal weights": score - same,
            f"macro-F1 of {CLEAN} clean forms alone": _macro_f1(
                alone, papers.dataset(np.where(few, papers.truth, -1)), test
            ),
            f"points ahead of cross-entropy with {MORE} clean forms": score - more,
        }

    measured = over_seeds(budget, one)
    ahead = mean(measured[f"points ahead of cross-entropy with {MORE} clean forms"])
    return Evidence(measured, mean(measured["points gained"]) >= 3 and ahead >= 0, over=budget.seeds)


def _macro_f1(method: NetworkTrainer, data: Dataset, test: Forms) -> float:
    from sklearn.metrics import f1_score

    model = method.run(data, Signals(data))
    assert isinstance(model, Trained), model
    guess = model.predict(test.dataset(test.truth))
    return 100 * float(f1_score([FIELDS[c] for c in test.truth], guess, average="macro"))
