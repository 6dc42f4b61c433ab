"""New rows made from real ones: edited copies, and mixtures of two rows that are copies of neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.results import Rows
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.neighbours import Neighbours

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PROSE = 4
"""A field of so many words is mixed and edited word by word; a shorter one (a name, a category) as a whole."""
Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float32]


def edited(
    data: Dataset, signals: Signals, rows: Rows, strength: float, rng: np.random.Generator, folder: Path
) -> pa.Table:
    """Copies of the given rows, shape (m rows), their content edited a little.

    ``strength`` 0 changes nothing that matters (letter case and spacing of texts); else it is the share of the words
    that change, and images, vectors and cells change by as much. ``folder`` takes images where the data holds paths.
    """
    table = data.table.take(pa.array(rows))
    new: dict[str, pa.Array] = {}
    fields = data.roles.get(Role.TEXT, ())
    records = zip(*(_texts(table, name) for name in fields), strict=True)
    changed = [edit_record(list(record), strength, rng) for record in records]
    for name, values in zip(fields, zip(*changed, strict=True), strict=True):
        new[name] = _strings(list(values))
    if strength and data.has(Role.IMAGE):
        pictures = [None if p is None else edit_image(p, strength, rng) for p in _pictures(data, rows)]
        new[data.name_of(Role.IMAGE)] = _encoded(data, pictures, folder)
    if strength and data.has(Role.EMBEDDING):
        near = nearest_distance(data, signals, rows)
        X = data.matrix(Role.EMBEDDING)[rows]
        step = rng.normal(size=X.shape)
        step *= (near * 4 * strength * rng.random(len(rows)) / np.maximum(np.linalg.norm(step, axis=1), 1e-12))[:, None]
        new[data.name_of(Role.EMBEDDING)] = _vectors((X + step).astype(np.float32))
    if strength and data.has(Role.FEATURES) and not data.has(Role.TEXT):
        new |= _one_cell(data, table, rng)
    return _with(table, new)


def mixed(data: Dataset, signals: Signals, parents: list[Rows], rng: np.random.Generator, folder: Path) -> pa.Table:
    """Sound new rows that are copies of none, shape (m rows); what is not content comes from the first parents.

    Each word of a text, and each short field of a record, is that of one of the parents, a row of each of ``parents``;
    images are halves of two; vectors and cells are mixed from the surroundings of the first, so that the new row lies
    where the data lies.
    """
    one = parents[0]
    table = data.table.take(pa.array(one))
    new = _mixed_texts(data, parents, rng)
    if data.has(Role.IMAGE):
        new[data.name_of(Role.IMAGE)] = _mixed_images(data, one, parents[1], folder)
    if data.has(Role.EMBEDDING):
        X = data.matrix(Role.EMBEDDING)
        step = X[neighbour_of(signals, one, rng)] - X[neighbour_of(signals, one, rng)]
        new[data.name_of(Role.EMBEDDING)] = _vectors(X[one] + step)
    for name in data.roles.get(Role.FEATURES, ()):
        column = data.table.column(name)
        new[name] = _plain(column.take(pa.array(neighbour_of(signals, one, rng))))
        if _is_prose(new[name]):
            others = [column.take(pa.array(neighbour_of(signals, one, rng))).to_pylist() for _ in parents[1:]]
            new[name] = _strings([_mix(list(f), rng) for f in zip(new[name].to_pylist(), *others, strict=True)])
    return _with(table, new)


def misplaced(data: Dataset, parents: list[Rows], rng: np.random.Generator, folder: Path) -> pa.Table:
    """Rows that fit nowhere, shape (m rows); what is not content comes from the first of the parents.

    Texts and images are mixed from the parents; every number of a vector and every cell is that of a row of its own.
    """
    one = parents[0]
    table = data.table.take(pa.array(one))
    new = _mixed_texts(data, parents, rng)
    if data.has(Role.IMAGE):
        new[data.name_of(Role.IMAGE)] = _mixed_images(data, one, parents[1], folder)
    if data.has(Role.EMBEDDING):
        X = data.matrix(Role.EMBEDDING)
        drawn = rng.integers(len(X), size=(len(one), X.shape[1]))
        new[data.name_of(Role.EMBEDDING)] = _vectors(np.take_along_axis(X, drawn, axis=0))
    for name in data.roles.get(Role.FEATURES, ()):
        new[name] = _plain(data.table.column(name).take(pa.array(rng.integers(len(data), size=len(one)))))
    return _with(table, new)


def _mixed_texts(data: Dataset, parents: list[Rows], rng: np.random.Generator) -> dict[str, pa.Array]:
    fields = data.roles.get(Role.TEXT, ())
    tables = [data.table.take(pa.array(rows)) for rows in parents] if fields else []
    new = {}
    for name in fields:
        families = zip(*(_texts(table, name) for table in tables), strict=True)
        mix = _mix if len(fields) > 1 else mix_texts
        new[name] = _strings([mix(list(family), rng) for family in families])
    return new


def _mix(parents: list[str | None], rng: np.random.Generator) -> str | None:
    """A field of a record: that of one parent where the first's is short, for a long one may be most of the row."""
    if parents[0] is not None and len(parents[0].split()) >= PROSE:
        return mix_texts(parents, rng)
    return parents[int(rng.integers(len(parents)))]


def _is_prose(values: pa.Array) -> bool:
    """Whether most cells are texts of several words."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return False
    words = [len(text.split()) for text in values.drop_null().to_pylist()]
    return bool(words) and float(np.median(words)) >= PROSE


def _mixed_images(data: Dataset, one: Rows, other: Rows, folder: Path) -> pa.Array:
    halves = zip(_pictures(data, one), _pictures(data, other), strict=True)
    return _encoded(data, [mix_images(a, b) for a, b in halves], folder)


# ---- texts ----------------------------------------------------------------------------------------------------------


def edit_record(fields: list[str | None], strength: float, rng: np.random.Generator) -> list[str | None]:
    """The texts of one row with a share of all their words dropped, swapped or misspelt, at least one.

    With ``strength`` 0 only letter case and spacing change.

    >>> edit_record(["a quiet river", None], 0.0, np.random.default_rng(0))
    ['A  quiet  river', None]
    """
    if not strength:
        return [None if text is None else _respaced(text, rng) for text in fields]
    sizes = np.array([0 if text is None else len(text.split()) for text in fields])
    if not sizes.sum():
        return fields
    edits = max(1, round(strength * int(sizes.sum())))
    shares = rng.multinomial(edits, sizes / sizes.sum())
    return [
        text if text is None or not count else edit_text(text, int(count), rng)
        for text, count in zip(fields, shares, strict=True)
    ]


def _respaced(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    if not words:
        return text
    return "  ".join([words[0].capitalize(), *words[1:]]) if rng.random() < 0.8 else f" {text.upper()} "


def edit_text(text: str, edits: int, rng: np.random.Generator) -> str:
    """The text with some words dropped, swapped or misspelt."""
    words = text.split()
    for _ in range(edits if words else 0):
        at = int(rng.integers(len(words)))
        kind = int(rng.integers(3)) if len(words) > 2 else 2
        if kind == 0:
            words.pop(at)
        elif kind == 1:
            other = min(at + 1, len(words) - 1)
            words[at], words[other] = words[other], words[at]
        else:
            place = int(rng.integers(len(words[at])))
            words[at] = words[at][:place] + LETTERS[int(rng.integers(26))] + words[at][place + 1 :]
    return " ".join(words) if words else text


def mix_texts(parents: list[str | None], rng: np.random.Generator) -> str | None:
    """A text as long as its first parent's, each word that of a parent drawn for it (each letter in short texts).

    It reads like the data, word for word, and is a copy of no parent.

    >>> mix_texts(["a b c d", "w x y z"], np.random.default_rng(0))
    'w x y d'
    """
    texts = [text for text in parents if text]
    if parents[0] is None or not texts:
        return parents[0]
    words = [text.split() for text in texts]
    if len(texts[0].split()) < 4:
        words, between = [list(text) for text in texts], ""
    else:
        between = " "
    mixed = []
    for i in range(len(words[0])):
        having = [w for w in words if i < len(w)]
        mixed.append(having[int(rng.integers(len(having)))][i])
    return between.join(mixed)


# ---- images ---------------------------------------------------------------------------------------------------------


def edit_image(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """The picture brightened or darkened, noisy, shifted by a few pixels or saved with loss."""
    kind = int(rng.integers(4))
    values = pixels.astype(np.float32)
    if kind == 0:
        values *= 1 + 3 * strength * float(rng.choice([-1, 1]))
    elif kind == 1:
        values += rng.normal(size=values.shape).astype(np.float32) * 150 * strength
    elif kind == 2:
        shift = max(1, round(strength * min(pixels.shape[:2])))
        values = np.roll(values, int(rng.choice([-shift, shift])), axis=int(rng.integers(2)))
    else:
        return _lossy(pixels)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def mix_images(one: Pixels | None, other: Pixels | None) -> Pixels | None:
    """The left half of one picture beside the right half of another."""
    if one is None or other is None or other.size == 0:
        return one
    height, width = one.shape[:2]
    down = np.arange(height) * other.shape[0] // height
    across = np.arange(width) * other.shape[1] // width
    fitted = other[down][:, across]
    if fitted.ndim != one.ndim:
        fitted = fitted.mean(axis=2).astype(np.uint8) if one.ndim == 2 else np.repeat(fitted[:, :, None], 3, axis=2)
    half = width // 2
    return np.concatenate([one[:, :half], fitted[:, half:]], axis=1)


def _lossy(pixels: Pixels) -> Pixels:
    import io

    from PIL import Image

    kept = io.BytesIO()
    image: Any = Image.fromarray(pixels)
    image.save(kept, "JPEG", quality=60)
    return np.asarray(Image.open(kept), np.uint8)


def _pictures(data: Dataset, rows: Rows) -> list[Pixels | None]:
    from dross.io.images import images

    return list(images(data, rows))


def _encoded(data: Dataset, pictures: list[Pixels | None], folder: Path) -> pa.Array:
    """Pictures in the form the image column has: bytes, paths (files are written), or both."""
    from dross.io.images import encode

    kind = data.column(Role.IMAGE).type
    raw = [None if p is None else encode(p[None])[0].as_py() for p in pictures]
    if pa.types.is_struct(kind):
        fields = {kind.field(i).name for i in range(kind.num_fields)}
        return pa.array([{"bytes": r} | ({"path": None} if "path" in fields else {}) for r in raw], kind)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return pa.array(raw, kind)
    files = [(folder / f"{i}.ppm").resolve() for i in range(len(raw))]
    for file, r in zip(files, raw, strict=True):
        file.write_bytes(r or b"")
    return pa.array([str(file) for file in files], kind)


# ---- vectors and cells ----------------------------------------------------------------------------------------------


def nearest_distance(data: Dataset, signals: Signals, rows: Rows) -> npt.NDArray[np.float64]:
    """How far each row's nearest other row is, in the units of the given embedding, shape (m,)."""
    X = data.matrix(Role.EMBEDDING)[rows]
    size: npt.NDArray[np.float64] = np.linalg.norm(X, axis=1).astype(np.float64)
    if Neighbours() not in signals:
        return 0.05 * size
    distances = signals[Neighbours()].distances[rows].astype(np.float64)
    # copies have distance 0: take the first neighbour that is another row
    other = np.where(np.isfinite(distances) & (distances > 1e-6), distances, np.inf).min(axis=1, initial=np.inf)
    reach: npt.NDArray[np.float64] = np.where(np.isfinite(other), other, 0.05) * size
    return reach


def neighbour_of(signals: Signals, rows: Rows, rng: np.random.Generator) -> Rows:
    """One of the nearest rows of each row, drawn evenly, shape (m,); where none has been looked for, any row."""
    if Neighbours() not in signals:
        return rng.integers(len(signals.data), size=len(rows))
    near = signals[Neighbours()].indices[rows]
    known = (near >= 0).sum(axis=1)
    at = (rng.random(len(rows)) * np.maximum(known, 1)).astype(np.int64)
    drawn = near[np.arange(len(rows)), at] if near.shape[1] else np.full(len(rows), -1)
    return np.where(drawn >= 0, drawn, rows)


def _one_cell(data: Dataset, table: pa.Table, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Each row changes in one feature column: another row's value, a number a hundredth off, a long text edited."""
    names = data.roles[Role.FEATURES]
    which = rng.integers(len(names), size=table.num_rows)
    new = {}
    for c in np.unique(which).tolist():
        name = names[c]
        column = _plain(table.column(name))
        kind = column.type
        if pa.types.is_floating(kind):
            spread = _spread(data.numbers(name))
            moved = pc.add(pc.cast(column, pa.float64()), pa.array(rng.normal(size=len(column)) * 0.01 * spread))
            changed = pc.cast(moved, kind)
        elif _is_prose(column):
            texts = column.to_pylist()
            changed = _strings(
                [t if t is None else edit_text(t, max(1, round(0.1 * len(t.split()))), rng) for t in texts]
            )
        else:
            changed = _plain(data.table.column(name).take(pa.array(rng.integers(len(data), size=len(column)))))
        new[name] = pc.if_else(pa.array(which == c), changed, column)
    return new


def _spread(values: npt.NDArray[np.float64]) -> float:
    """The standard deviation of the finite values; 1 where they do not vary or cannot be squared."""
    known = values[np.isfinite(values) & (np.abs(values) < 1e150)]
    return (float(known.std()) if len(known) else 0.0) or 1.0


def _vectors(X: Matrix) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(X, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, X.shape[1])


def _texts(table: pa.Table, name: str) -> list[str | None]:
    values: list[str | None] = pc.cast(table.column(name), pa.large_string()).to_pylist()
    return values


def _strings(values: list[str | None]) -> pa.Array:
    return pa.array(values, pa.large_string())


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _with(table: pa.Table, new: dict[str, pa.Array]) -> pa.Table:
    """Put new values into columns, in the types that these have."""
    columns = []
    for field in table.schema:
        values = new.get(field.name)
        if values is None:
            columns.append(table.column(field.name))
        elif pa.types.is_dictionary(field.type):
            columns.append(pc.cast(pc.cast(values, field.type.value_type).dictionary_encode(), field.type))
        else:
            columns.append(pc.cast(values, field.type))
    return pa.table(columns, schema=table.schema)
