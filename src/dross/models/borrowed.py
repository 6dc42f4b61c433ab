"""Networks of timm and torchvision as bodies: by name, with random weights or those of a local file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dross.core.errors import DrossError, MissingExtra, nearest

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = ("timm", "torchvision")
LEAST_SIDE = 32
"""Images are made no smaller than this: these networks halve them five times."""


@dataclass(frozen=True)
class Borrowed:
    """A model of a library.

    Attributes
    ----------
    library, model
        ``timm`` or ``torchvision``, and the name of one of its models.
    weights
        A safetensors file to start from; empty: random weights. What it says of the classes is left out.

    Examples
    --------
    >>> Borrowed.of("timm:resnet18@weights.safetensors")
    Borrowed(library='timm', model='resnet18', weights='weights.safetensors')
    >>> Borrowed.of("cnn") is None
    True
    """

    library: str
    model: str
    weights: str = ""

    @classmethod
    def of(cls, network: str) -> Borrowed | None:
        """What ``LIBRARY:MODEL`` or ``LIBRARY:MODEL@FILE`` names; None for other networks."""
        library, given, rest = network.partition(":")
        if library not in LIBRARIES or not given:
            return None
        model, _, weights = rest.partition("@")
        return cls(library, model, weights)

    def body(self, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """The network without its classes, for images of a shape (channels, height, width); the length of its vectors.

        Raises
        ------
        DrossError
            When the library is missing, has no such model, the model reads images of another size, or the file of
            weights is not one for it.
        """
        channels, side = shape[0], self.side()
        if side is not None and shape[1:] != (side, side):
            here = " x ".join(map(str, shape[1:]))
            raise DrossError(
                f"{self} reads images of {side} x {side}, and these are {here}", fix="choose another model"
            )
        body, width = _timm(self.model, channels) if self.library == "timm" else _torchvision(self.model, channels)
        if self.weights:
            _fill(body, Path(self.weights), str(self))
        return body, width

    def side(self) -> int | None:
        """Height and width of the images where the model can read no other; else None."""
        return _fixed_side(self.library, self.model)

    def __str__(self) -> str:
        return f"{self.library}:{self.model}"


def architecture(network: str) -> str:
    """The name of a network without its file of weights, which a saved model no longer needs.

    >>> architecture("torchvision:resnet18@a.safetensors"), architecture("cnn")
    ('torchvision:resnet18', 'cnn')
    """
    return str(Borrowed.of(network) or network)


def _timm(model: str, channels: int) -> tuple[nn.Module, int]:
    timm = _library("timm")
    if not timm.is_model(model):
        raise DrossError(f"timm has no model {model!r}", fix=nearest(model, timm.list_models()))
    body = timm.create_model(model, pretrained=False, num_classes=0, in_chans=channels)
    return body, int(body.num_features)


def _torchvision(model: str, channels: int) -> tuple[nn.Module, int]:
    from torch import nn

    models = _library("torchvision").models
    names = models.list_models(module=models)
    if model not in names:
        raise DrossError(f"torchvision has no model {model!r} for classes", fix=nearest(model, names))
    body = models.get_model(model, weights=None)
    # The classes are read off by the last linear layer, whatever it is called.
    name, last = [(name, layer) for name, layer in body.named_modules() if isinstance(layer, nn.Linear)][-1]
    _put(body, name, nn.Identity())
    if channels != 3:
        name, first = next((name, layer) for name, layer in body.named_modules() if isinstance(layer, nn.Conv2d))
        own = {key: getattr(first, key) for key in ("kernel_size", "stride", "padding", "dilation")}
        _put(body, name, nn.Conv2d(channels, first.out_channels, bias=first.bias is not None, **own))
    if hasattr(body, "aux_logits"):
        raise DrossError(f"torchvision's {model!r} answers twice and cannot be a body", fix="choose another model")
    return body, int(last.in_features)


def _put(body: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(body.get_submodule(parent), own, layer)


def _fill(body: nn.Module, path: Path, model: str) -> None:
    """Load what the file has for the body; the layer of the classes may be there or not."""
    from dross.models.checkpoint import read_tensors

    if path.suffix != ".safetensors":
        fix = "convert it once: safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'weights.safetensors')"
        raise DrossError("weights are read from safetensors files only: others can run code", where=str(path), fix=fix)
    tensors, _ = read_tensors(path)
    own = body.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    other = [name for name in own if name in tensors and tensors[name].shape != own[name].shape]
    if missing or other:
        said = f"no {missing[0]!r}" if missing else f"{other[0]!r} in another shape"
        raise DrossError(
            f"these are no weights for {model}: there is {said}",
            where=str(path),
            fix="name the model that they are of; images of one channel need weights for one",
        )
    body.load_state_dict({name: tensors[name] for name in own if name in tensors}, strict=False)


@cache
def _fixed_side(library: str, model: str) -> int | None:
    if library == "timm":
        timm = _library("timm")
        config = timm.models.get_pretrained_cfg(model) if timm.is_model(model) else None
        return int(config.input_size[-1]) if config is not None and config.fixed_input_size else None
    import torch

    with torch.device("meta"):  # no weights are made: only what it reads is asked for
        body: Any = _torchvision(model, 3)[0]
    side = getattr(body, "image_size", None)
    return None if side is None else int(side)


def _library(name: str) -> Any:
    import importlib

    try:
        found = importlib.import_module(name)
        importlib.import_module(f"{name}.models")
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        if isinstance(error, RuntimeError):
            raise DrossError(
                f"{name} does not fit this torch: {error}", fix="install the two of one release"
            ) from error
        raise MissingExtra.of(name, "vision") from error
    return found
