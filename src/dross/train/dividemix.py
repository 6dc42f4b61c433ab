"""DivideMix: rows of large loss lose their label, and two networks guess it for each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.paper import Paper
from dross.models.co_division import CoDivision
from dross.models.loop import Run
from dross.models.small_loss import small_loss_chance

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DivideMix(CoDivision):
    """Train two networks that divide the rows for each other by a mixture of their losses, semi-supervised.

    Li, Socher, Hoi, "DivideMix: Learning with Noisy Labels as Semi-supervised Learning", 2020. Before each epoch a
    mixture of two Gaussians of a network's losses gives the chance that each label is right (co-divide). The other
    network takes the rows above the threshold as labelled, their labels refined by its own predictions (co-refinement),
    and the others as unlabelled, with the mean prediction of both as label (co-guessing); it learns from mixtures of
    all (MixMatch).

    Rows without a label are among the unlabelled from the first division on. Chances from the mixture are those of
    :meth:`~dross.models.small_loss.TwoGaussians.lower`; otherwise the algorithm is that of the paper's code, with the
    house's weak changes of inputs for its crops and flips. An epoch costs about 3.5 times one of cross-entropy.
    """

    paper: ClassVar = Paper("DivideMix: Learning with Noisy Labels as Semi-supervised Learning", 2020, "2002.07394")

    def divide(self, run: Run, name: str) -> Tensor:
        """By a mixture of two Gaussians of the network's losses."""
        import torch

        return torch.from_numpy(small_loss_chance(run.losses(name).cpu().numpy()))
