"""How the rows of a dataset become the numbers that a network reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals, read_value, write_value
from dross.io.images import images
from dross.models.borrowed import LEAST_SIDE, Borrowed
from dross.models.examples import READS, Kind
from dross.models.networks import BUCKETS, kind_read, pretrained_folder
from dross.models.tokens import LONGEST, tokens_of
from dross.signals.ngrams import SEPARATOR, texts_of
from dross.signals.tabular_encoding import TableCode, TabularEncoding, encode

Inputs = npt.NDArray[Any]
LARGEST_SIDE = 64
"""Images are made no larger than this for networks that are trained from nothing."""
SAMPLE = 256
"""Images looked at to settle size and colour."""


@dataclass(frozen=True)
class Encoder:
    """How rows become inputs; fitted once, on the training data.

    Attributes
    ----------
    kind, shape
        What a row becomes; see :class:`~dross.models.networks.Maker`.
    roles
        The roles that are read.
    centre, scale
        What is taken off, and what it is divided by: per dimension for vectors, one number for images, shape (d,).
    folder
        The local model whose tokenizer is used; None for hashed words.
    table
        The encoding of feature columns; None where there are none.
    """

    kind: Kind
    shape: list[int]
    roles: list[str]
    centre: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    folder: str | None = None
    table: TableCode | None = None

    def __call__(self, data: Dataset) -> Inputs:
        """The inputs of all rows, shape (n, \\*shape): float32, or int32 for tokens.

        Raises DrossError where a column that was learnt from is missing or has another shape.
        """
        missing = [name for name in self.roles if not data.has(Role(name))]
        if missing:
            raise DrossError(
                f"the model reads a column with the role {missing[0]}, and there is none",
                fix=f"name it when loading: {missing[0]}=COLUMN",
            )
        if self.kind == "tokens":
            return self._tokens(data)
        found = _pictures(data, tuple(self.shape)) if Role.IMAGE.value in self.roles else self._vectors(data)
        width = int(np.prod(self.shape))
        if found[0:1].size != width * min(1, len(found)):
            raise DrossError(f"the model reads {width} numbers a row, and these rows have {found[0].size}")
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = (found.reshape(len(found), width).astype(np.float32) - self.centre) / self.scale
        finite: Inputs = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
        return finite.reshape(len(found), *self.shape)

    def _vectors(self, data: Dataset) -> Inputs:
        parts = [data.matrix(Role.EMBEDDING)] if Role.EMBEDDING.value in self.roles else []
        if self.table is not None:
            parts.append(encode(data, self.table))
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def _tokens(self, data: Dataset) -> Inputs:
        if self.folder is None:
            return tokens_of(texts_of(data), BUCKETS, self.shape[0])
        from transformers import AutoTokenizer

        joined = [text.replace(SEPARATOR, "\n") for text in texts_of(data).to_pylist()]
        tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        options = {"padding": "max_length", "truncation": True, "max_length": self.shape[0]}
        return np.asarray(tokenizer(joined, **options)["input_ids"], np.int32).reshape(len(data), self.shape[0])

    def save(self, folder: Path) -> None:
        """Write it, for :func:`read_encoder`."""
        write_value(folder / "encoder", replace(self, table=None))
        if self.table is not None:
            write_value(folder / "table", self.table)


def read_encoder(folder: Path) -> Encoder:
    """Read what :meth:`Encoder.save` wrote."""
    found: Encoder = read_value(folder / "encoder", Encoder)
    table = read_value(folder / "table", TableCode) if (folder / "table").is_dir() else None
    return replace(found, table=table)


def fit_encoder(data: Dataset, signals: Signals, network: str, rows: npt.NDArray[np.int64]) -> Encoder:
    """Choose what a network reads of the dataset, and measure its scale on the training rows.

    ``auto`` reads the image, else the text, else embedding and features side by side. A network for images also reads
    vectors of a square (or three squares) of numbers, such as flattened pixels.

    >>> from dross.testing.planted import blobs
    >>> data = blobs(50).data
    >>> found = fit_encoder(data, Signals(data), "auto", np.arange(50)); found.kind, found.shape, found(data).shape
    ('vector', [8], (50, 8))
    """
    wanted = kind_read(network)
    there = {kind: [role for role in roles if data.has(role)] for kind, roles in READS.items()}
    kind: Kind | None = wanted or next((k for k, roles in there.items() if roles), None)
    if kind is None:
        raise DrossError(
            "no column holds content that a network reads: no image, text, feature or embedding",
            fix="name one when loading",
        )
    folder = pretrained_folder(network)
    blank, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    if kind == "tokens" and there["tokens"]:
        length = _tokens_read(folder) if folder else LONGEST
        return Encoder("tokens", [length], [Role.TEXT.value], blank, one, folder)
    if kind == "image" and there["image"]:
        shape = _picture_shape(data, rows, network)
        pixels = _pictures(data.take(rows[:: max(1, len(rows) // 2000)]), shape).astype(np.float32)
        centre, spread = (_number(v) for v in (pixels.mean(), pixels.std())) if pixels.size else (blank, one)
        return Encoder("image", list(shape), [Role.IMAGE.value], centre, np.maximum(spread, 1e-6))
    roles = there["vector"]
    if kind == "tokens" or not roles:
        raise DrossError(f"the network {network!r} reads {kind} rows, and no column holds {kind}s")
    table = signals[TabularEncoding()] if Role.FEATURES in roles else None
    raw = Encoder("vector", [], [role.value for role in roles], blank, one, table=table)
    return _scaled(raw, raw._vectors(data.take(rows)), pixels=kind == "image")


def _scaled(raw: Encoder, values: Inputs, *, pixels: bool) -> Encoder:
    """The encoder with the scale of the training rows: per dimension, or one for all where they are pixels."""
    d = values.shape[1]
    if not pixels:
        known = np.where(np.isfinite(values), values, np.nan)
        counted = np.maximum(np.isfinite(values).sum(axis=0), 1)
        centre = np.nansum(known, axis=0) / counted
        spread = np.sqrt(np.nansum(np.square(known - centre), axis=0) / counted)
        spread = np.where(spread > 1e-6 * max(1.0, float(np.abs(centre).max(initial=0))), spread, 1)
        return replace(raw, shape=[d], centre=centre.astype(np.float32), scale=spread.astype(np.float32))
    for channels in (1, 3):
        side = round((d / channels) ** 0.5)
        if channels * side * side == d and side >= 4:
            centre, spread = _number(values.mean()), _number(max(float(values.std()), 1e-6))
            return replace(raw, kind="image", shape=[channels, side, side], centre=centre, scale=spread)
    raise DrossError(
        f"a network for images cannot read vectors of {d} numbers: they are no square", fix="name the image column"
    )


def _number(value: Any) -> npt.NDArray[np.float32]:
    return np.array([value], np.float32)


def _tokens_read(folder: str) -> int:
    from transformers import AutoConfig

    most = getattr(AutoConfig.from_pretrained(folder, local_files_only=True), "max_position_embeddings", LONGEST)
    return min(LONGEST, int(most))


def _picture_shape(data: Dataset, rows: npt.NDArray[np.int64], network: str) -> tuple[int, int, int]:
    """Channels, height and width of what images become: the median of some of them, or what the local model reads."""
    borrowed = Borrowed.of(network)
    folder = pretrained_folder(network)
    found = [one for one in images(data, rows[:: max(1, len(rows) // SAMPLE)]) if one is not None]
    if not found:
        raise DrossError("no image of the training rows can be decoded", where=f"column {data.name_of(Role.IMAGE)!r}")
    colours = 3 if any(one.ndim == 3 for one in found) else 1
    height, width = (int(np.median([one.shape[axis] for one in found])) for axis in (0, 1))
    if folder:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        side = int(getattr(config, "image_size", LARGEST_SIDE))
        return int(getattr(config, "num_channels", 3)), side, side
    least = 4 if borrowed is None else LEAST_SIDE
    if borrowed is not None and (borrowed.weights or borrowed.side()):
        side = borrowed.side() or max(least, height, width)
        return 3 if borrowed.weights else colours, side, side
    shrink = min(1.0, LARGEST_SIDE / max(height, width))
    return colours, max(least, round(height * shrink)), max(least, round(width * shrink))


def _pictures(data: Dataset, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The images of all rows in one shape, (n, channels, h, w); one that cannot be read is mid-grey."""
    out = np.full((len(data), *shape), 128, np.uint8)
    for i, one in enumerate(_resized(images(data), shape)):
        if one is not None:
            out[i] = one
    return out


def _resized(found: Iterable[Any], shape: tuple[int, ...]) -> Iterable[npt.NDArray[np.uint8] | None]:
    from PIL import Image

    channels, height, width = shape
    for one in found:
        if one is None:
            yield None
            continue
        picture = Image.fromarray(one).convert("RGB" if channels == 3 else "L")
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(picture, np.uint8)
        yield pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)
