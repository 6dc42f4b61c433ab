"""Pseudo-label: the network's own best guess is the label of a row that has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch, supervised
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer
from dross.models.unlabelled import confident_cross_entropy, done, side_by_side

if TYPE_CHECKING:
    from torch import Tensor


def unlabelled_weight(share: float, starts: float, full: float, most: float) -> float:
    """The weight of the unlabelled rows when a share of the training is done, alpha(t) of equation 16.

    Zero until ``starts``, then rising in a straight line to ``most`` at ``full``.

    >>> [unlabelled_weight(x, 0.25, 0.75, 3.0) for x in (0.1, 0.5, 0.9)]
    [0.0, 1.5, 3.0]
    """
    if share >= full:
        return most
    return most * max(0.0, share - starts) / (full - starts)


@dataclass(frozen=True)
class PseudoLabel(NetworkTrainer):
    """Train on the labels and, with a weight that rises, on the likeliest class of each row without one.

    Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks", 2013. The
    guesses are made anew at every step. Taking them for labels pushes the boundary away from where rows are dense, as
    minimising the entropy of the predictions does.

    Attributes
    ----------
    weight
        The weight of the unlabelled rows in the end, alpha_f of the paper, which has 60 times the rows and takes 3.
    starts, full
        The shares of the training after which the weight rises, and is full; the paper's are 100 and 600 epochs.
    """

    paper: ClassVar = Paper(
        "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks", 2013
    )

    weight: float = 1.0
    starts: float = 0.15
    full: float = 0.75

    def begin(self, run: Run) -> None:
        """Look at the settings."""
        if not 0 <= self.starts < self.full <= 1:
            raise DrossError(
                f"starts is {self.starts} and full is {self.full}", fix="give shares of the training, the first smaller"
            )

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """Labelled and unlabelled rows."""
        return side_by_side(run)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy of the labels plus that of the guesses (equation 15)."""
        import torch

        labelled, unlabelled = batches
        logits = run.net(torch.cat([labelled.x, unlabelled.x]))
        own, others = logits[: len(labelled.x)], logits[len(labelled.x) :]
        run.note(labelled, own)
        weight = unlabelled_weight(done(run), self.starts, self.full, self.weight)
        return supervised(own, labelled.y) + weight * confident_cross_entropy(others, others.softmax(dim=1), 0.0)
