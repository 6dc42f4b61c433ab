"""DATM: a dataset distilled by trajectory matching, on segments as difficult as the number of new rows can carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.distiller import Distiller, Rows, Stage, some_of_each
from dross.models.trajectories import Matching, said_at

if TYPE_CHECKING:
    from torch import Tensor

_SHARES = (2e-4, 2e-3, 1e-2, 1e-1)
_LOWER, _UPPER = (0.0, 0.0, 0.0, 0.4), (0.04, 0.2, 0.4, 0.7)


# ---- the mathematics ---------------------------------------------------------------------------------------------


def aligned_window(share: float, epochs: int) -> tuple[int, int]:
    """The epochs of the expert to start from, the last excluded, for a share of the rows that is kept.

    Between (on the logarithm of the share) what the paper's own settings for CIFAR-10, CIFAR-100 and Tiny ImageNet
    come to: up to 4 % of the training where 1 row of 5,000 is kept, 0 to 40 % at 1 of 100, 40 to 70 % at 1 of 10.

    >>> [aligned_window(share, 100) for share in (1e-4, 2e-3, 1e-2, 0.1, 0.5)]
    [(0, 4), (0, 20), (0, 40), (40, 70), (40, 70)]
    """
    place = np.log(max(share, 1e-12))
    low, high = (float(np.interp(place, np.log(_SHARES), ends)) for ends in (_LOWER, _UPPER))
    return round(low * epochs), max(round(high * epochs), round(low * epochs) + 1)


def widening(window: tuple[int, int], iteration: int, iterations: int, grow: float) -> tuple[int, int]:
    """The window of an iteration: its end moves from the middle to the end over a share ``grow`` of the iterations.

    >>> [widening((0, 8), i, 100, 0.2) for i in (0, 10, 20, 99)]
    [(0, 4), (0, 6), (0, 8), (0, 8)]
    """
    low, high = window
    middle = (low + high) // 2
    done = 1.0 if grow <= 0 else min(1.0, iteration / (grow * iterations))
    return low, max(low + 1, middle + int((high - middle) * done))


def correct_mean(logits: Tensor, codes: Tensor) -> Tensor:
    """The mean over the experts that are right of what each says, shape (m, k), of all where none is right.

    Parameters
    ----------
    logits
        Shape (experts, m, k).
    codes
        The classes, shape (m,).

    Examples
    --------
    >>> import torch
    >>> correct_mean(torch.tensor([[[3.0, 1.0]], [[5.0, 1.0]], [[0.0, 9.0]]]), torch.tensor([0])).tolist()
    [[4.0, 1.0]]
    """
    right = (logits.argmax(dim=2) == codes).float()
    right[:, right.sum(dim=0) == 0] = 1
    weighted: Tensor = (logits * right[:, :, None]).sum(dim=0)
    return weighted / right.sum(dim=0)[:, None]


# ---- the synthesizer ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DifficultyAlignedTrajectoryMatching(Distiller):
    """Distil a dataset into a few rows with soft labels, matching segments of training as difficult as they can carry.

    Guo, Wang, Cazenavette, Li, Zhang, You, "Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory
    Matching", 2023. Students that train on the new rows must end where experts that train on all rows do. Early epochs
    of an expert teach easy patterns, which is all that very few rows can hold; the more rows there are, the later the
    epochs that are matched. Rows begin as rows that an expert gets right, their soft labels as the mean of what the
    experts that are right say; both are learnt, and so is the step size. The window of epochs widens as this goes on.

    The learnt soft labels stand in a column with the role probs; the label stays that of the row it began as. The
    paper's experts are trained with a touch of sharpness-aware minimisation, these by plain SGD.

    Attributes
    ----------
    window_of_epochs
        The first epoch of an expert that a student may start from, and the one after the last; (-1, -1) follows from
        the share of rows kept: see :func:`aligned_window`.
    grow
        The share of the iterations over which the window widens from its first half to the whole.
    label_rate
        The learning rate of the soft labels; 0 keeps hard ones.
    threshold
        An iteration whose student ends farther from the expert than this share of the way changes nothing.
    """

    paper: ClassVar = Paper(
        "Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching", 2023, "2310.05773"
    )
    alias: ClassVar = "datm"

    window_of_epochs: tuple[int, int] = (-1, -1)
    grow: float = 0.2
    label_rate: float = 2.0
    threshold: float = 1.0

    def chosen(self, stage: Stage) -> Rows:
        """Random rows of each class that an expert gets right; others of the class where there are too few."""
        rng = np.random.default_rng((self.seed, 23))
        right = (said_at(stage.net, stage.paths[0, -1], stage.examples.x).argmax(dim=1).numpy() == stage.codes).astype(
            int
        )

        def pick(rows: Rows, count: int) -> Rows:
            drawn = rng.permutation(rows)
            found: Rows = drawn[np.argsort(-right[drawn], kind="stable")[:count]]
            return found

        return some_of_each(stage.codes, self.per_class, pick)

    def labels(self, stage: Stage, rows: Rows) -> Tensor:
        """What the experts that are right say on average; the class where labels are not to be learnt."""
        if not self.label_rate:
            return super().labels(stage, rows)
        import torch

        said = torch.stack([said_at(stage.net, path[-1], stage.examples.x[rows]) for path in stage.paths])
        return correct_mean(said, stage.examples.y[rows])

    def matching(self) -> Matching:
        """With soft labels, and without the iterations that went astray."""
        return replace(super().matching(), label_rate=self.label_rate, threshold=self.threshold)

    def window(self, stage: Stage) -> Callable[[int], tuple[int, int]]:
        """The window, widening."""
        whole = self.window_for(stage)
        return lambda iteration: widening(whole, iteration, self.iterations, self.grow)

    def window_for(self, stage: Stage) -> tuple[int, int]:
        """The epochs that fit the number of new rows, or those that were asked for."""
        last = len(stage.paths[0]) - 1 - min(self.span, self.expert_epochs)
        if self.window_of_epochs != (-1, -1):
            low, high = self.window_of_epochs
            if not 0 <= low < high <= last + 1:
                raise DrossError(
                    f"window_of_epochs is {self.window_of_epochs}",
                    fix=f"give a first epoch from 0 and an end above it, at most {last + 1}",
                )
            return low, high
        kept = len(np.unique(stage.codes)) * self.per_class / len(stage.codes)
        low, high = aligned_window(kept, self.expert_epochs)
        low = min(low, last)
        return low, min(max(high, low + 1), last + 1)

    def told(self, stage: Stage) -> str:
        """The segment that was matched."""
        low, high = self.window_for(stage)
        return f"trajectory matching from epochs {low} to {high - 1} of {self.experts} experts"

    def _check(self) -> None:
        super()._check()
        if self.label_rate < 0 or not self.threshold > 0:
            raise DrossError(
                f"label_rate is {self.label_rate} and threshold {self.threshold}",
                fix="give a label_rate of 0 or more and a threshold above 0",
            )
