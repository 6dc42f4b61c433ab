"""Two towers: small networks that bring both sides of a pair into one space, where matching sides are near."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dross.models.devices import import_torch
from dross.models.examples import Batch, Examples
from dross.models.loop import Nets, Objective, Run, Settings, fit, over

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.two_sides import Sides

Vectors = npt.NDArray[np.float32]
HOTTEST = 100.0
"""What cosines are multiplied by at most (Radford et al., 2021)."""


def contrast(a: Tensor, b: Tensor, content: Tensor, scale: Tensor) -> Tensor:
    """The symmetric cross-entropy with which each side must find its partner among the batch's, a mean over the pairs.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021, figure 3. Rows of
    ``a`` and ``b``, (m, d), have unit length; pairs of equal ``content``, (m,), are no mistakes of each other and are
    left out of each other's contest. O(m² d).

    >>> import torch
    >>> round(float(contrast(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), torch.tensor(1.0))), 4)
    0.3133
    >>> float(contrast(torch.eye(2), torch.eye(2), torch.tensor([0, 0]), torch.tensor(1.0)))
    0.0
    """
    import torch
    from torch.nn import functional

    logits = scale * a @ b.T
    own = torch.eye(len(a), dtype=torch.bool, device=a.device)
    logits = logits.masked_fill((content[:, None] == content[None, :]) & ~own, -torch.inf)
    partner = torch.arange(len(a), device=a.device)
    return (functional.cross_entropy(logits, partner) + functional.cross_entropy(logits.T, partner)) / 2


@dataclass(frozen=True)
class Contrast(Objective):
    """Train both towers by :func:`contrast`; the scale of the cosines is learnt with them."""

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """What is to be brought down on a batch of pairs."""
        (batch,) = batches
        a, b = run.net(batch.x)
        return contrast(a, b, batch.y, run.net.scale.exp().clamp(max=HOTTEST))


@dataclass(frozen=True)
class Towers:
    """Trained towers.

    ``net`` reads both sides one beside the other, shape (b, d + e), and gives two tensors of unit vectors (b, width).
    """

    net: Any
    device: Any

    def embed(self, sides: Sides) -> tuple[Vectors, Vectors]:
        """Both sides in the common space, shapes (n, width), rows of unit length."""
        import torch

        x = torch.from_numpy(np.concatenate([sides.first, sides.second], axis=1))
        both = over({"net": self.net}, lambda part: torch.cat(self.net(part), dim=1), x, self.device).cpu().numpy()
        width = both.shape[1] // 2
        return both[:, :width], both[:, width:]

    def alignment(self, sides: Sides) -> npt.NDArray[np.float32]:
        """The cosine of the two sides of each pair, shape (n,), float32 in [-1, 1]."""
        a, b = self.embed(sides)
        return np.asarray(np.einsum("ij,ij->i", a, b), np.float32)

    def found(self, sides: Sides) -> npt.NDArray[np.bool_]:
        """Which first sides find their second one first among all distinct ones, shape (n,): zero-shot classification.

        O(n m d) for m distinct second sides, in blocks.
        """
        a, b = self.embed(sides)
        _, first, own = np.unique(sides.content, return_index=True, return_inverse=True)
        best = [np.argmax(a[i : i + 1024] @ b[first].T, axis=1) for i in range(0, len(a), 1024)]
        return np.asarray(np.concatenate(best) == own if best else np.zeros(0, bool))


def tower_net(first: int, second: int, width: int, hidden: int) -> Any:
    """Two towers, linear where ``hidden`` is 0, else with one hidden layer of that size.

    >>> import torch
    >>> a, b = tower_net(3, 2, 4, 0)(torch.ones(5, 5)); a.shape, b.shape, a.norm(dim=1).allclose(torch.ones(5))
    (torch.Size([5, 4]), torch.Size([5, 4]), True)
    """
    import torch
    from torch import nn
    from torch.nn import functional

    def tower(inputs: int) -> nn.Module:
        if not hidden:
            return nn.Linear(inputs, width)
        return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, width))

    class TwoTowers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = tower(first), tower(second)
            self.scale = nn.Parameter(torch.tensor(float(np.log(1 / 0.07))))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            a, b = self.one(x[:, :first]), self.other(x[:, first:])
            return functional.normalize(a, dim=1), functional.normalize(b, dim=1)

    return TwoTowers()


def train_towers(
    sides: Sides,
    settings: Settings,
    *,
    width: int = 64,
    hidden: int = 0,
    start: Towers | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Towers:
    """Towers that learn to match these pairs; from ``start`` where given, which is left as it is."""
    import copy

    torch = import_torch()
    _, codes = np.unique(sides.content, return_inverse=True)
    x = torch.from_numpy(np.concatenate([sides.first, sides.second], axis=1))
    examples = Examples(x, torch.from_numpy(codes.astype(np.int64)), max(1, int(codes.max(initial=0)) + 1))
    sizes = sides.first.shape[1], sides.second.shape[1]
    nets: Nets | None = None if start is None else {"net": copy.deepcopy(start.net)}
    run = fit(Contrast(), lambda: tower_net(*sizes, width, hidden), examples, settings, nets=nets, progress=progress)
    return Towers(run.net, run.device)
