"""A small Llama-shaped network: root-mean-square norms, rotary positions, gated layers, tied embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Size:
    """How large a language model is.

    Attributes
    ----------
    width
        Of the vectors between layers; a multiple of twice ``heads``.
    layers, heads
        Blocks, and attention heads in each.
    context
        Tokens it sees at a time.
    vocabulary
        Tokens that are told apart, at most.
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    context: int = 128
    vocabulary: int = 512


class Block(nn.Module):
    """Causal self-attention, then a gated feed-forward layer; each adds to what comes in."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        d, hidden = size.width, 2 * size.width
        self.heads = size.heads
        self.norm_in, self.norm_mid = nn.RMSNorm(d), nn.RMSNorm(d)
        self.attend, self.mix = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.widen, self.narrow = nn.Linear(d, 2 * hidden, bias=False), nn.Linear(hidden, d, bias=False)

    def forward(self, x: Tensor, turn: Tensor) -> Tensor:
        """The vectors after the block, shape (b, t, d); ``turn`` holds cosines and sines of the positions."""
        b, t, d = x.shape
        queries, keys, values = (
            self.attend(self.norm_in(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        )
        heard = functional.scaled_dot_product_attention(
            rotated(queries, turn), rotated(keys, turn), values, is_causal=True
        )
        x = x + self.mix(heard.transpose(1, 2).reshape(b, t, d))
        gate, up = self.widen(self.norm_mid(x)).chunk(2, dim=-1)
        out: Tensor = x + self.narrow(functional.silu(gate) * up)
        return out


class Llama(nn.Module):
    """The network: token ids (b, t) in, logits of the next token (b, t, vocabulary) out."""

    turn: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.embed = nn.Embedding(size.vocabulary, size.width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = nn.RMSNorm(size.width)
        self.register_buffer("turn", turns(size.context, size.width // size.heads), persistent=False)

    def hidden(self, ids: Tensor) -> Tensor:
        """The vectors before the output layer, shape (b, t, d)."""
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.turn[:, : ids.shape[1]])
        out: Tensor = self.norm(x)
        return out

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the next token, shape (b, t, vocabulary)."""
        return functional.linear(self.hidden(ids), self.embed.weight)


def turns(length: int, width: int) -> Tensor:
    """Cosines and sines of the rotary angles, shape (2, length, width / 2) (Su et al., 2021)."""
    rates = 10_000 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.cos(), angles.sin()])


def rotated(x: Tensor, turn: Tensor) -> Tensor:
    """Each pair of coordinates of ``x``, shape (…, t, width), turned by the angle of its position.

    >>> x = torch.ones(1, 2, 4)
    >>> bool(torch.allclose(rotated(x, turns(2, 4)).norm(dim=-1), x.norm(dim=-1)))
    True
    """
    first, second = x.chunk(2, dim=-1)
    cosines, sines = turn[0], turn[1]
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
