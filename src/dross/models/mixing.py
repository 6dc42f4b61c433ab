"""Mixtures of rows: convex combinations of inputs, with the labels combined alike (Zhang et al., 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def mixed(one: Tensor, other: Tensor, share: float | Tensor) -> Tensor:
    """``share`` times the one plus the rest of the other, same shape.

    >>> import torch
    >>> mixed(torch.tensor([[4.0]]), torch.tensor([[8.0]]), 0.75).tolist()
    [[5.0]]
    """
    return share * one + (1 - share) * other


def mixing_share(alpha: float, rng: np.random.Generator) -> float:
    """A random share in [0, 1] from Beta(alpha, alpha): near 0 or 1 for small ``alpha``, near a half for large.

    >>> import numpy as np
    >>> 0 < mixing_share(1.0, np.random.default_rng(0)) < 1
    True
    """
    return float(rng.beta(alpha, alpha))


def mixed_logits(net: Any, x: Tensor, other: Tensor, share: float | Tensor) -> Tensor:
    """What a network says of mixed rows, shape (b, k).

    Images and vectors are mixed themselves; of tokens, which cannot be, the vectors before the last layer are (as Guo,
    Mao, Zhang, "Augmenting Data with Mixup for Sentence Classification", 2019, do to sentence embeddings).
    """
    whole = x.is_floating_point()
    logits: Tensor = net(mixed(x, other, share)) if whole else net.head(mixed(net.encode(x), net.encode(other), share))
    return logits
