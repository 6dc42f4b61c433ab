"""Random changes of inputs that leave the class alone: of images, vectors and token sequences.

Random numbers come from torch's own generator, which the training loop seeds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CUT = 0.25
"""Side of the square that is cut out of a strongly changed image, as a share of the image's."""


def weak(x: Tensor) -> Tensor:
    """A small change of each row, same shape: images move a little, vectors jitter, a twentieth of the words go.

    >>> import torch
    >>> weak(torch.zeros(2, 1, 8, 8)).shape, weak(torch.ones(2, 5, dtype=torch.int32)).dtype
    (torch.Size([2, 1, 8, 8]), torch.int32)
    """
    if x.ndim == 4:
        return moved(x, shift=0.1)
    return jittered(x, 0.05) if x.is_floating_point() else without_words(x, 0.05)


def strong(x: Tensor) -> Tensor:
    """A large change of each row, same shape.

    Images turn, grow or shrink, move, change in brightness and contrast, and lose a square (after RandAugment and
    Cutout); of vectors a fifth of the entries are taken from other rows (SCARF) and all jitter; texts lose a fifth of
    their words and have neighbours exchanged (EDA).

    >>> import torch
    >>> strong(torch.zeros(2, 3, 8, 8)).shape, strong(torch.zeros(4, 6)).shape
    (torch.Size([2, 3, 8, 8]), torch.Size([4, 6]))
    """
    if x.ndim == 4:
        return cut_out(lit(moved(x, shift=0.15, turn=20.0, zoom=0.2)))
    return jittered(exchanged(x, 0.2), 0.15) if x.is_floating_point() else without_words(swapped(x, 0.1), 0.2)


def moved(x: Tensor, shift: float = 0.0, turn: float = 0.0, zoom: float = 0.0) -> Tensor:
    """Images (b, c, h, w) under a random affine map each; what enters at the border repeats the edge.

    ``shift`` is the largest move as a share of the side, ``turn`` the largest angle in degrees, ``zoom`` the largest
    relative change of size.
    """
    import torch
    from torch.nn import functional

    b = len(x)
    angle = math.radians(turn) * (2 * torch.rand(b, device=x.device) - 1)
    size = 1 + zoom * (2 * torch.rand(b, device=x.device) - 1)
    along = 2 * shift * (2 * torch.rand(b, 2, device=x.device) - 1)
    cos, sin = angle.cos() / size, angle.sin() / size
    maps = torch.stack([torch.stack([cos, -sin, along[:, 0]], 1), torch.stack([sin, cos, along[:, 1]], 1)], 1)
    grid = functional.affine_grid(maps, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid.to(x.dtype), padding_mode="border", align_corners=False)


def lit(x: Tensor, by: float = 0.3) -> Tensor:
    """Images with another contrast and brightness each; values are in standard deviations."""
    import torch

    contrast, brightness = (by * (2 * torch.rand(len(x), 1, 1, 1, device=x.device) - 1) for _ in range(2))
    return x * (1 + contrast) + brightness


def cut_out(x: Tensor, share: float = CUT) -> Tensor:
    """Images with a random square set to the mean of all (DeVries and Taylor, 2017)."""
    import torch

    b, _, height, width = x.shape
    middle = torch.rand(b, 2, 1, 1, device=x.device)
    rows = (torch.arange(height, device=x.device) / height - middle[:, 0, :, :].squeeze(1)).abs() < share / 2
    columns = (torch.arange(width, device=x.device) / width - middle[:, 1, :, :].squeeze(1)).abs() < share / 2
    gone = rows[:, None, :, None] & columns[:, None, None, :]
    return x.masked_fill(gone, 0.0)


def jittered(x: Tensor, by: float) -> Tensor:
    """Vectors plus Gaussian noise of a standard deviation in units of the standardised inputs."""
    import torch

    return x + by * torch.randn_like(x)


def exchanged(x: Tensor, share: float) -> Tensor:
    """Vectors of which a share of the entries comes from another row of the batch (Bahri et al., 2021)."""
    import torch

    other = x[torch.randint(len(x), x.shape, device=x.device), torch.arange(x.shape[1], device=x.device)]
    return torch.where(torch.rand_like(x) < share, other, x)


def without_words(tokens: Tensor, share: float) -> Tensor:
    """Token sequences of which a share of the words is gone; those that stay close up."""
    import torch

    gone = (torch.rand(tokens.shape, device=tokens.device) < share) | (tokens == 0)
    order = gone.to(torch.int8).argsort(dim=1, stable=True)
    kept: Tensor = tokens.masked_fill(gone, 0).gather(1, order)
    return kept


def swapped(tokens: Tensor, share: float) -> Tensor:
    """Token sequences in which a share of the pairs of neighbours changed places."""
    import torch

    pairs = tokens[:, : tokens.shape[1] // 2 * 2].reshape(len(tokens), -1, 2)
    turned = torch.rand(pairs.shape[:2], device=tokens.device) < share
    turned &= (pairs != 0).all(dim=2)
    out = tokens.clone()
    out[:, : pairs.shape[1] * 2] = torch.where(turned[:, :, None], pairs.flip(2), pairs).reshape(len(tokens), -1)
    return out
