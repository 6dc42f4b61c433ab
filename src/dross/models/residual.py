"""A small residual network that reshapes vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Reshaper(nn.Module):
    """Vectors plus what one wide hidden layer makes of them, ``v + s * W2 relu(norm(W1 v))``; same shape (b, d).

    ``s`` is learnt for each dimension and starts at 1.

    >>> Reshaper(4)(torch.zeros(2, 4)).shape
    torch.Size([2, 4])
    """

    def __init__(self, width: int, wider: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, wider * width), nn.LayerNorm(wider * width), nn.ReLU(), nn.Linear(wider * width, width)
        )
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Reshape a batch."""
        reshaped: Tensor = x + self.scale * self.layers(x)
        return reshaped
