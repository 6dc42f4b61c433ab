"""Several networks side by side, each of which reads its own part of a row, or all of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dross.models.networks import Network


class Strata(nn.Module):
    """Networks over the parts of a vector, or over whole rows where there is one part for all.

    Parameters
    ----------
    networks
        One for each stratum, all with the same outputs.
    widths
        How many numbers of a row each reads, in order; empty: each reads the whole row.

    Examples
    --------
    >>> net = Strata([Network(nn.Identity(), w, 3) for w in (2, 5)], (2, 5)); net(torch.zeros(4, 7)).shape
    torch.Size([4, 3])
    """

    def __init__(self, networks: Sequence[Network], widths: Sequence[int] = ()) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.widths = list(widths)

    def _each(self, x: Tensor) -> list[tuple[Network, Tensor]]:
        parts = torch.split(x, self.widths, dim=1) if self.widths else [x] * len(self.networks)
        return list(zip(self.networks, parts, strict=True))  # type: ignore[arg-type]

    def logits(self, x: Tensor) -> list[Tensor]:
        """What each network says, each of shape (b, k)."""
        return [network(part) for network, part in self._each(x)]

    def encode(self, x: Tensor) -> Tensor:
        """The vectors of all networks side by side, shape (b, d)."""
        return torch.cat([network.encode(part) for network, part in self._each(x)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of their logits, shape (b, k)."""
        return torch.stack(self.logits(x)).mean(dim=0)
