"""Small neural networks, each a body that turns a row into a vector and a head that reads the classes off it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dross.core.errors import DrossError, nearest
from dross.models.borrowed import Borrowed
from dross.models.examples import Kind

BUCKETS = 1 << 14
"""Words are told apart by this many hash buckets; bucket 0 is padding."""
PAIRS = 1 << 15
"""Buckets of pairs of words."""


class Network(nn.Module):
    """A body and a linear head.

    ``encode`` gives the vectors before the head, shape (b, d); calling the network gives logits, shape (b, k).
    """

    def __init__(self, body: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.body, self.width, self.outputs = body, width, outputs
        self.head = nn.Linear(width, outputs)

    def encode(self, x: Tensor) -> Tensor:
        """The vectors of a batch, shape (b, d)."""
        vectors: Tensor = self.body(x)
        return vectors

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch, shape (b, k)."""
        logits: Tensor = self.head(self.encode(x))
        return logits


class Convolutions(nn.Module):
    """Four 3 x 3 convolutions with group normalisation; two halvings; the mean over the last maps.

    Group normalisation keeps rows of a batch independent of each other, so that a batch may mix labelled, unlabelled
    and augmented rows, and a running mean of the weights needs no statistics of its own.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()

        def block(before: int, after: int, stride: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.GroupNorm(8, after), nn.ReLU()
            )

        self.layers = nn.Sequential(
            block(channels, width, 1),
            block(width, width, 2),
            block(width, 2 * width, 1),
            block(2 * width, 2 * width, 2),
        )

    def maps(self, x: Tensor) -> Tensor:
        """The last feature maps, shape (b, c, h, w)."""
        found: Tensor = self.layers(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """The mean of each map, shape (b, c)."""
        return self.maps(x).mean(dim=(2, 3))


class SeparableConvolutions(nn.Module):
    """A compact network in the manner of MobileNet (Howard et al., 2017): each map by itself, then across maps.

    Batch normalisation, as there: it leaves visible how strongly a row's maps respond, which group normalisation hides.
    """

    def __init__(self, channels: int, width: int = 16) -> None:
        super().__init__()

        def block(before: int, after: int, stride: int) -> list[nn.Module]:
            across = nn.Conv2d(before, before, 3, stride=stride, padding=1, groups=before, bias=False)
            return [
                *(across, nn.BatchNorm2d(before), nn.ReLU()),
                *(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()),
            ]

        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *block(width, 2 * width, 2),
            *block(2 * width, 2 * width, 1),
            *block(2 * width, 4 * width, 2),
        )

    def maps(self, x: Tensor) -> Tensor:
        """The last feature maps, shape (b, c, h, w)."""
        found: Tensor = self.layers(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """The mean of each map, shape (b, c)."""
        return self.maps(x).mean(dim=(2, 3))


class Patches(nn.Module):
    """An image as a sequence of embedded patches with learnt positions, shape (b, t, d)."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        channels, height, across = shape
        size = max(2, min(height, across) // 8)
        self.cut = nn.Conv2d(channels, width, size, stride=size)
        self.count = (height // size) * (across // size)
        self.places = nn.Parameter(0.02 * torch.randn(1, self.count, width))

    def forward(self, x: Tensor) -> Tensor:
        """Cut and embed."""
        embedded: Tensor = self.cut(x).flatten(2).transpose(1, 2) + self.places
        return embedded


class VisionTransformer(nn.Module):
    """A small vision transformer: four pre-norm layers over patches, averaged."""

    def __init__(self, shape: tuple[int, ...], width: int = 64, layers: int = 4) -> None:
        super().__init__()
        self.patches = Patches(shape, width)
        self.layers = transformer_layers(width, layers)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """The mean over the patches, shape (b, d)."""
        mixed: Tensor = self.norm(self.layers(self.patches(x)).mean(dim=1))
        return mixed


class MixerLayer(nn.Module):
    """One layer of an MLP-Mixer: across patches, then across channels (Tolstikhin et al., 2021)."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = nn.Sequential(nn.Linear(count, count), nn.GELU(), nn.Linear(count, count))
        self.within = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Mix."""
        x = x + self.across(self.first(x).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = x + self.within(self.second(x))
        return mixed


class Mixer(nn.Module):
    """A small MLP-Mixer."""

    def __init__(self, shape: tuple[int, ...], width: int = 64, layers: int = 4) -> None:
        super().__init__()
        self.patches = Patches(shape, width)
        self.layers = nn.Sequential(*(MixerLayer(self.patches.count, width) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """The mean over the patches, shape (b, d)."""
        mixed: Tensor = self.norm(self.layers(self.patches(x))).mean(dim=1)
        return mixed


class BagOfNgrams(nn.Module):
    """The mean of the embeddings of a text's words and pairs of words in a row (Joulin et al., 2016)."""

    GAIN = 10.0
    """Small weights times a gain: the optimizer's steps, which suit dense layers, then move rare words fast enough."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(BUCKETS + PAIRS, width, mode="mean", padding_idx=0)
        nn.init.normal_(self.table.weight, std=0.1 / self.GAIN)
        with torch.no_grad():
            self.table.weight[0] = 0.0

    def forward(self, tokens: Tensor) -> Tensor:
        """Mean embeddings, shape (b, d)."""
        words = tokens.long()
        pairs = BUCKETS + (words[:, :-1] * 31_337 + words[:, 1:] * 7) % PAIRS
        pairs = torch.where((words[:, :-1] > 0) & (words[:, 1:] > 0), pairs, 0)
        mean: Tensor = self.table(torch.cat([words, pairs], dim=1))
        return self.GAIN * mean


class TextTransformer(nn.Module):
    """A small transformer over hashed words, averaged over the words that are there."""

    def __init__(self, length: int, width: int = 64, layers: int = 2) -> None:
        super().__init__()
        self.words = nn.Embedding(BUCKETS, width, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(1, length, width))
        self.layers = transformer_layers(width, layers)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """The mean over the words, shape (b, d)."""
        longest = (
            int((tokens != 0).sum(dim=1).clamp(min=1).max()) if len(tokens) else 1
        )  # words stand at the front: the rest is padding
        tokens = tokens[:, :longest].long()
        there = tokens != 0
        there[:, 0] = True  # an empty text is one padding token: a mask of nothing gives NaN
        mixed = self.layers(self.words(tokens) + self.places[:, :longest], src_key_padding_mask=~there)
        share = there.float() / there.sum(dim=1, keepdim=True)
        mean: Tensor = self.norm((mixed * share[:, :, None]).sum(dim=1))
        return mean


def transformer_layers(width: int, count: int) -> nn.TransformerEncoder:
    """Pre-norm encoder layers with four heads and no dropout."""
    layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, count, enable_nested_tensor=False)


class Pretrained(nn.Module):
    """A local Hugging Face model, averaged over its last hidden states: tokens for texts, pixels for images."""

    def __init__(self, folder: str, kind: Kind) -> None:
        super().__init__()
        from transformers import AutoModel

        self.kind = kind
        self.model = AutoModel.from_pretrained(folder, local_files_only=True)
        self.width = int(self.model.config.hidden_size)
        self.padding = int(self.model.config.pad_token_id or 0) if kind == "tokens" else 0

    def forward(self, x: Tensor) -> Tensor:
        """Mean hidden states, shape (b, d)."""
        if self.kind == "image":
            hidden: Tensor = self.model(pixel_values=x).last_hidden_state
            return hidden.flatten(2).mean(dim=2) if hidden.ndim == 4 else hidden.mean(dim=1)
        tokens = x.long()
        there = (tokens != self.padding).long()
        there[:, 0] = 1
        hidden = self.model(input_ids=tokens, attention_mask=there).last_hidden_state
        share = there / there.sum(dim=1, keepdim=True)
        return (hidden * share[:, :, None]).sum(dim=1)


def perceptron(inputs: int, width: int = 128) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(inputs, 2 * width), nn.ReLU(), nn.Linear(2 * width, width), nn.ReLU())


Bodies = dict[str, tuple[Kind, Callable[[tuple[int, ...]], tuple[nn.Module, int]]]]
BODIES: Bodies = {
    "linear": ("vector", lambda shape: (nn.Identity(), shape[0])),
    "mlp": ("vector", lambda shape: (perceptron(shape[0]), 128)),
    "wide-mlp": ("vector", lambda shape: (perceptron(shape[0], 512), 512)),
    "cnn": ("image", lambda shape: (Convolutions(shape[0]), 64)),
    "wide-cnn": ("image", lambda shape: (Convolutions(shape[0], 64), 128)),
    "pixel-mlp": ("image", lambda shape: (nn.Sequential(nn.Flatten(), perceptron(math.prod(shape))), 128)),
    "wide-pixel-mlp": ("image", lambda shape: (nn.Sequential(nn.Flatten(), perceptron(math.prod(shape), 512)), 512)),
    "mobile": ("image", lambda shape: (SeparableConvolutions(shape[0]), 64)),
    "vit": ("image", lambda shape: (VisionTransformer(shape), 64)),
    "mixer": ("image", lambda shape: (Mixer(shape), 64)),
    "bag": ("tokens", lambda _: (BagOfNgrams(), 32)),
    "transformer": ("tokens", lambda shape: (TextTransformer(shape[0]), 64)),
}
"""The networks by name: what they read, and how the body and its width follow from the shape of a row."""
USUAL: dict[Kind, str] = {"vector": "mlp", "image": "cnn", "tokens": "bag"}
"""The network that ``auto`` takes."""


def pretrained_folder(name: str) -> str | None:
    """The folder of ``hf:FOLDER``; None where the name is that of a small network.

    >>> pretrained_folder("hf:models/tiny"), pretrained_folder("cnn")
    ('models/tiny', None)
    """
    return name[3:] if name.startswith("hf:") else None


def kind_read(name: str) -> Kind | None:
    """What a network reads; None where it takes what there is (``auto`` and local Hugging Face models).

    >>> kind_read("vit"), kind_read("auto")
    ('image', None)
    """
    if Borrowed.of(name) is not None:
        return "image"
    if name == "auto" or pretrained_folder(name) is not None:
        return None
    if name not in BODIES:
        raise DrossError(
            f"no network is called {name!r}",
            fix=f"{nearest(name, ['auto', *BODIES])}; others are hf:FOLDER, timm:MODEL and torchvision:MODEL",
        )
    return BODIES[name][0]


@dataclass(frozen=True)
class Maker:
    """Makes networks for rows of one kind and shape.

    Attributes
    ----------
    name
        A key of :data:`BODIES`, ``auto``, ``hf:FOLDER``, or ``timm:MODEL`` or ``torchvision:MODEL``, with ``@FILE``
        for a safetensors file of its weights.
    kind, shape
        What a row is: ``vector`` (d,), ``image`` (channels, height, width) or ``tokens`` (length,).
    outputs
        How many classes, or 1 for a number.

    Examples
    --------
    >>> Maker("auto", "vector", (4,), 3)()(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    outputs: int

    def __call__(self, outputs: int | None = None, name: str | None = None) -> Network:
        """A network with fresh random weights, with another number of outputs or of another name where given."""
        chosen = self.name if name is None else name
        count = self.outputs if outputs is None else outputs
        reads = kind_read(chosen)
        if reads not in (None, self.kind):
            raise DrossError(f"the network {chosen!r} reads {reads} rows, and these are {self.kind} rows")
        folder, borrowed = pretrained_folder(chosen), Borrowed.of(chosen)
        if folder is not None:
            body = Pretrained(folder, self.kind)
            return Network(body, body.width, count)
        if borrowed is not None:
            return Network(*borrowed.body(self.shape), count)
        _, make = BODIES[USUAL[self.kind] if chosen == "auto" else chosen]
        return Network(*make(self.shape), count)
