"""Adapters: small layers put between those of a network that itself stays as it is."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dross.models.networks import Network, Pretrained

Place = tuple[nn.Module, int]
"""A module whose output is adapted, and the width of that output."""


class Adapter(nn.Module):
    """What is added to a layer's output: a bottleneck, zero at first (Houlsby et al., 2019).

    >>> import torch
    >>> Adapter(4, 2)(torch.ones(1, 4)).tolist()
    [[0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, rank, bias=False), nn.Linear(rank, width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The addition, same shape as ``x``, whose last dimension is the width."""
        added: Tensor = self.up(self.down(x).relu())
        return added

    def after(self, module: nn.Module, _: Any, output: Any) -> Any:
        """A forward hook: the layer's output with the addition; of a tuple its first entry is meant."""
        if isinstance(output, tuple):
            return (self.after(module, _, output[0]), *output[1:])
        if isinstance(module, nn.Conv2d):
            return output + self(output.movedim(1, -1)).movedim(-1, 1)
        return output + self(output)


class Adapted(nn.Module):
    """A frozen network with adapters after its layers; like a :class:`~dross.models.networks.Network` to call.

    Parameters
    ----------
    net
        The network; its parameters no longer ask for a gradient.
    share
        The adapters have at most this share of its parameters, in (0, 1), unless one of rank 1 has more.

    Examples
    --------
    >>> from dross.models.networks import Maker
    >>> net = Maker("mlp", "vector", (64,), 10)()
    >>> trained = sum(p.numel() for p in Adapted(net, 0.04).parameters() if p.requires_grad)
    >>> round(trained / sum(p.numel() for p in net.parameters()), 3)
    0.03
    """

    def __init__(self, net: Network, share: float) -> None:
        super().__init__()
        self.net, self.width, self.outputs = net.requires_grad_(requires_grad=False), net.width, net.outputs
        found = places(net)
        allowed = share * sum(p.numel() for p in net.parameters())
        while len(found) > 1 and _parameters(found) > allowed:
            found = found[1:]  # the last layers are the ones that a task changes most
        rank = max(1, int(allowed // _parameters(found)))
        adapters = [Adapter(width, min(rank, max(1, width // 2))) for _, width in found]
        self.adapters = nn.ModuleList(adapters)
        for (module, _), adapter in zip(found, adapters, strict=True):
            # a bound method is copied with its object, so that the copy of a network uses the copied adapters
            module.register_forward_hook(adapter.after)

    def encode(self, x: Tensor) -> Tensor:
        """The vectors of a batch, shape (b, d)."""
        return self.net.encode(x)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch, shape (b, k)."""
        logits: Tensor = self.net(x)
        return logits


def _parameters(found: list[Place]) -> int:
    """Of adapters of rank 1."""
    return sum(2 * width for _, width in found)


def places(net: Network) -> list[Place]:
    """Where adapters go: after each layer of a transformer, each linear layer or convolution, or else after the body.

    >>> from dross.models.networks import Maker
    >>> [width for _, width in places(Maker("mlp", "vector", (4,), 3)())]
    [256, 128]
    """
    if isinstance(net.body, Pretrained):
        stacks = [m for name, m in net.body.named_modules() if isinstance(m, nn.ModuleList) and _is_stack(name)]
        layers = [(layer, net.body.width) for stack in stacks for layer in stack]
        return layers or [(net.body, net.width)]
    whole = [m for m in net.body.modules() if isinstance(m, nn.TransformerEncoderLayer)]
    inside = {id(part) for layer in whole for part in layer.modules()}
    found: list[Place] = []
    for module in net.body.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            found.append((module, module.linear2.out_features))
        elif id(module) not in inside and isinstance(module, nn.Linear):
            found.append((module, module.out_features))
        elif id(module) not in inside and isinstance(module, nn.Conv2d):
            found.append((module, module.out_channels))
    return found or [(net.body, net.width)]


def _is_stack(name: str) -> bool:
    """Whether a list of modules of a local Hugging Face model holds its layers, by name."""
    return name.rpartition(".")[2] in {"layer", "layers", "h", "block", "blocks"}
