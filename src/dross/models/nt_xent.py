"""Contrast between views: two changed copies of a row must find each other among the copies of all other rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dross.models.augment import strong
from dross.models.examples import Batch
from dross.models.loop import Nets, Objective, Run

if TYPE_CHECKING:
    from torch import Tensor, nn

PROJECTED = 64
"""Dimensions in which views are compared."""


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The normalised, temperature-scaled cross-entropy of pairs of views, a mean over the 2b views.

    Row ``i`` of both, shape (b, d), are views of one input; each must pick the other among the 2b - 1 other views by
    cosine similarity (Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020,
    equation 1). Takes O(b² d).

    >>> import torch
    >>> round(float(nt_xent(torch.eye(2), torch.eye(2), 1.0)), 4)
    0.5514
    """
    import torch
    from torch.nn import functional

    views = functional.normalize(torch.cat([first, second]).float(), dim=1)
    alike = (views @ views.T / temperature).fill_diagonal_(-torch.inf)
    b = len(first)
    partner = torch.arange(2 * b, device=alike.device).roll(b)
    return functional.cross_entropy(alike, partner)


def projection(width: int, layers: int = 2) -> nn.Sequential:
    """The projection head: ``layers`` linear layers with ReLU between them, the last with :data:`PROJECTED` outputs.

    >>> len(projection(8, 3))
    5
    """
    from torch import nn

    hidden = [part for _ in range(layers - 1) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(width, PROJECTED))


@dataclass(frozen=True)
class Contrast(Objective):
    """Pretraining by :func:`nt_xent` on strongly changed views of all rows, labelled or not.

    Attributes
    ----------
    temperature
        Of the loss.
    layers
        Of the projection head, which stands in ``run.nets["projector"]``.
    network
        Name of the network to pretrain; None: the trainer's own.
    """

    temperature: float
    layers: int = 2
    network: str | None = None

    def build(self, make: Callable[..., Any]) -> Nets:
        """The network and the projection head on its vectors."""
        net = make() if self.network is None else make(name=self.network)
        return {"net": net, "projector": projection(net.width, self.layers)}

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """All rows."""
        for rows in run.shuffled(np.arange(len(run.examples))):
            yield (rows,)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Two views of each row."""
        import torch

        x = batches[0].x
        seen = run.nets["projector"](run.net.encode(torch.cat([strong(x), strong(x)])))
        return nt_xent(seen[: len(x)], seen[len(x) :], self.temperature)
