"""Semixup: predictions agree on changed rows and on mixtures, and go along straight lines between rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.augment import strong, weak
from dross.models.examples import Batch, supervised
from dross.models.loop import Run
from dross.models.mixing import mixed, mixed_logits, mixing_share
from dross.models.trainer import NetworkTrainer
from dross.models.unlabelled import side_by_side

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """Squared distance between the chances that two sets of logits (b, k) give, a mean over rows and classes.

    >>> import torch
    >>> round(float(disagreement(torch.tensor([[9.0, -9.0]]), torch.tensor([[0.0, 0.0]]))), 3)
    0.25
    """
    return (one.softmax(dim=1) - other.softmax(dim=1)).square().mean()


def in_manifold(plain: Tensor, changed: Tensor) -> Tensor:
    """Disagreement between logits (b, k) of rows and of their augmentations, which stay among real rows.

    >>> import torch
    >>> float(in_manifold(torch.ones(2, 3), torch.ones(2, 3)))
    0.0
    """
    return disagreement(changed, plain)


def out_of_manifold(plain: Tensor, changed: Tensor, mixture: Tensor) -> Tensor:
    """Disagreement of a mixture with its main row and with that row's augmentation; all are logits (b, k).

    >>> import torch
    >>> sure, unsure = torch.tensor([[9.0, -9.0]]), torch.tensor([[0.0, 0.0]])
    >>> round(float(out_of_manifold(sure, sure, unsure)), 3)
    0.5
    """
    return disagreement(mixture, changed) + disagreement(plain, mixture)


def interpolation(plain: Tensor, other: Tensor, mixture: Tensor, share: float) -> Tensor:
    """Disagreement between the logits of mixtures and the mixtures of logits, all of shape (b, k).

    >>> import torch
    >>> one, other = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    >>> float(interpolation(one, other, torch.tensor([[3.0, 1.0]]), 0.75))
    0.0
    """
    return disagreement(mixture, mixed(plain, other, share))


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Semixup(NetworkTrainer):
    """Train on labels and on the consistency of unlabelled rows with their augmentations and with their mixtures.

    Nguyen, Saarakkala, Blaschko, Tiulpin, "Semixup: In- and Out-of-Manifold Regularization for Deep Semi-Supervised
    Knee Osteoarthritis Severity Grading from Plain Radiographs", 2020. A mixture of two rows leans to the first of
    them; gradients pass into both sides of every comparison, and labelled rows are mixed too, under the label of the
    row that they lean to, as in the authors' code. Texts are mixed as vectors before the last layer, where the
    interpolation holds by itself.

    Attributes
    ----------
    manifold
        The weight of the agreement with augmentations.
    beyond
        The weight of the agreement of mixtures with the row and with its augmentation.
    line
        The weight of the interpolation.
    alpha
        Of the Beta distribution of the share of the main row.
    least
        The least share of the main row in an unlabelled mixture, in [0.5, 1].
    ratio
        Unlabelled rows for each labelled one in a step.
    """

    paper: ClassVar = Paper(
        "Semixup: In- and Out-of-Manifold Regularization for Deep Semi-Supervised Knee Osteoarthritis Severity Grading "
        "from Plain Radiographs",
        2020,
        "2003.01944",
    )
    alias: ClassVar = "semixup"

    manifold: float = 2.0
    beyond: float = 2.0
    line: float = 4.0
    alpha: float = 0.75
    least: float = 0.55
    ratio: int = 1

    def begin(self, run: Run) -> None:
        """Look at the settings."""
        if not self.alpha > 0:
            raise DrossError(f"alpha is {self.alpha}", fix="give a number above 0")
        if not 0.5 <= self.least <= 1:
            raise DrossError(f"least is {self.least}", fix="give a share between 0.5 and 1")

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """Labelled and unlabelled rows."""
        return side_by_side(run, self.ratio)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The cross-entropy of labelled mixtures and the three terms of the unlabelled rows."""
        labelled, unlabelled = batches
        x = weak(labelled.x)
        if run.noted is not None:  # how training goes is told of the rows themselves, not of mixtures
            self._note(run, labelled)
        logits = mixed_logits(run.net, x, x.flip(0), self._share(run, 0.5))
        loss = supervised(logits, labelled.y)
        return loss + self._consistency(run, unlabelled.x) if self.manifold or self.beyond or self.line else loss

    def _consistency(self, run: Run, x: Tensor) -> Tensor:
        first, share = weak(x), self._share(run, self.least)
        plain, changed = run.net(first).float(), run.net(strong(x)).float()
        mixture = mixed_logits(run.net, first, first.flip(0), share).float()
        return (
            self.manifold * in_manifold(plain, changed)
            + self.beyond * out_of_manifold(plain, changed, mixture)
            + self.line * interpolation(plain, plain.flip(0), mixture, share)
        )

    def _share(self, run: Run, least: float) -> float:
        """Of the main row: at least a half, and at least ``least``."""
        share = mixing_share(self.alpha, run.rng)
        return max(share, 1 - share, least)

    def _note(self, run: Run, batch: Batch) -> None:
        import torch

        with torch.no_grad():
            run.note(batch, run.net(batch.x))
