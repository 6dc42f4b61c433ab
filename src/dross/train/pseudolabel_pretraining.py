"""Predictions for pre-training: train on a model's own predictions first, then on the gold labels again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from dross.core.paper import Paper
from dross.models.examples import Examples
from dross.models.lesson import Lesson
from dross.models.loop import Objective, Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def predicted_labels(probs: Tensor, y: Tensor) -> Tensor:
    """The likeliest class of each row without a label; -1 for gold rows, which wait for their own stage, shape (n,).

    >>> import torch
    >>> predicted_labels(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([0, -1])).tolist()
    [-1, 0]
    """
    import torch

    return torch.where(y < 0, probs.argmax(dim=1), -1)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PseudolabelPretraining(NetworkTrainer):
    """Fine-tune on gold labels, train on what that predicts of the other rows, fine-tune on gold labels again.

    Guo, "Predictions For Pre-training Language Models", 2020. The predictions are a stage of pre-training for the task
    itself: the last stage starts from what was learnt on them, and the gold labels have the last word. Where every row
    is labelled there is nothing to predict, and training is plain.

    Attributes
    ----------
    pseudo_epochs
        Passes over the rows with predicted labels; few, so that wrong ones are not learnt by heart.
    afresh
        Whether the stage of predictions starts from the weights that the first one started from, as in the paper, or
        goes on with the network that predicted.
    """

    paper: ClassVar = Paper("Predictions For Pre-training Language Models", 2020, "2011.09031")
    alias: ClassVar = "predictions-for-pretraining"

    pseudo_epochs: int = 3
    afresh: bool = True

    def learn(self, lesson: Lesson) -> Run:
        """The three stages."""
        gold = lesson.fit(Objective(), stage="gold labels")
        if not len(gold.unlabelled):
            return gold
        y = lesson.examples.y
        guessed = Examples(lesson.examples.x, predicted_labels(gold.probs().cpu(), y), lesson.examples.outputs)
        pseudo = replace(lesson, noted=None).fit(  # what training saw of rows is told of their own labels alone
            Objective(),
            stage="predicted labels",
            nets=None if self.afresh else gold.nets,
            examples=guessed,
            epochs=self.pseudo_epochs,
        )
        return lesson.fit(Objective(), stage="gold labels again", nets=pseudo.nets)
