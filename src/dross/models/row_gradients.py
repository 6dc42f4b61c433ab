"""Gradients of a language model's loss on each row by itself, and what else is read from them, batchwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from dross.models.language_model import UNLEARNT, token_losses

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, Any]
"""Tensors by the names of a network's parameters."""
AT_ONCE = 64
"""Rows that are looked at at a time, at most."""
ROOM = 1 << 27
"""Numbers that the gradients in memory at a time may take."""


@contextmanager
def differentiable() -> Iterator[None]:
    """Attention written out in full: the fused form has neither a batched nor a second derivative."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):
        yield


def weights_of(net: Any) -> Weights:
    """A copy of the parameters that nothing trains."""
    return {name: value.detach().clone() for name, value in net.named_parameters()}


def row_losses(net: Any, weights: Weights, windows: Tensor) -> Tensor:
    """The mean cross-entropy over the tokens to predict of each window, in nats, shape (b,); 0 where there are none.

    ``windows`` has the shape (b, 2, context) of :func:`~dross.models.language_model.packed`.
    """
    from torch.func import functional_call

    told = windows[:, 1].long()
    lost = token_losses(functional_call(net, weights, (windows[:, 0].long(),)), told)
    return lost.sum(dim=1) / (told != UNLEARNT).sum(dim=1).clamp(min=1)


def mean_gradient(net: Any, weights: Weights, windows: Tensor) -> Weights:
    """The gradient of the mean of the rows' losses."""
    import torch

    at = _leaves(weights)
    total = [torch.zeros_like(value) for value in at.values()]
    for start in range(0, len(windows), AT_ONCE):
        lost = row_losses(net, at, windows[start : start + AT_ONCE]).sum() / len(windows)
        total = [sum_ + value for sum_, value in zip(total, torch.autograd.grad(lost, list(at.values())), strict=True)]
    return dict(zip(at, total, strict=True))


def curvature_along(net: Any, weights: Weights, windows: Tensor, direction: Weights) -> Weights:
    """The Hessian of the mean of the rows' losses, times a direction: the gradient of the slope along it."""
    import torch

    at = _leaves(weights)
    with differentiable():
        lost = row_losses(net, at, windows).mean()
        first = torch.autograd.grad(lost, list(at.values()), create_graph=True)
        slope = torch.stack([(value * direction[name]).sum() for name, value in zip(at, first, strict=True)]).sum()
        return dict(zip(at, torch.autograd.grad(slope, list(at.values())), strict=True))


def _leaves(weights: Weights) -> Weights:
    return {name: value.detach().requires_grad_() for name, value in weights.items()}


def gradients_along(net: Any, weights: Weights, windows: Tensor, direction: Weights) -> tuple[Tensor, Tensor]:
    """How far each row's own gradient points along a direction, and its length: both of shape (b,).

    The first is the scalar product of the direction and the gradient of the row's loss by all parameters.
    """
    import torch
    from torch.func import grad, vmap

    def one(window: Tensor) -> tuple[Tensor, Tensor]:
        found = cast(Weights, grad(lambda at: row_losses(net, at, window[None])[0])(weights))
        along = torch.stack([(value * direction[name]).sum() for name, value in found.items()]).sum()
        return along, torch.stack([value.square().sum() for value in found.values()]).sum().sqrt()

    size = sum(value.numel() for value in weights.values())
    with differentiable(), torch.no_grad():
        along, lengths = vmap(one, chunk_size=max(1, min(AT_ONCE, ROOM // size)))(windows)
    return along, lengths
