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
    for name in data.roles.get(Role.TEXT, ()):
        new[name] = _strings([None if t is None else edit_text(t, strength, rng) for t in _texts(table, name)])
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


def mixed(data: Dataset, signals: Signals, one: Rows, other: Rows, rng: np.random.Generator, folder: Path) -> pa.Table:
    """Sound new rows that are copies of none, shape (m rows); what is not content comes from ``one``.

    Texts and images take one half from each of two rows; a record takes its fields from either; vectors and cells are
    mixed from the surroundings of ``one``, so that the new row lies where the data lies.
    """
    table, second = data.table.take(pa.array(one)), data.table.take(pa.array(other))
    fields, cells = data.roles.get(Role.TEXT, ()), data.roles.get(Role.FEATURES, ())
    swap = some_of_each(len(one), len(fields) + len(cells), rng)
    new = _mixed_texts(data, table, second, swap)
    if data.has(Role.IMAGE):
        new[data.name_of(Role.IMAGE)] = _mixed_images(data, one, other, folder)
    near = neighbour_of(signals, one, rng)
    if data.has(Role.EMBEDDING):
        X = data.matrix(Role.EMBEDDING)
        new[data.name_of(Role.EMBEDDING)] = _vectors(X[one] + X[near] - X[neighbour_of(signals, one, rng)])
    third = data.table.take(pa.array(near))
    for f, name in enumerate(cells, len(fields)):
        new[name] = pc.if_else(pa.array(swap[:, f]), _plain(third.column(name)), _plain(table.column(name)))
    return _with(table, new)


def misplaced(data: Dataset, one: Rows, other: Rows, rng: np.random.Generator, folder: Path) -> pa.Table:
    """Rows that fit nowhere, shape (m rows): texts and images half from each of two rows, every number of a vector and
    every cell from a row of its own; what is not content comes from ``one``.
    """
    table, second = data.table.take(pa.array(one)), data.table.take(pa.array(other))
    new = _mixed_texts(data, table, second, some_of_each(len(one), len(data.roles.get(Role.TEXT, ())), rng))
    if data.has(Role.IMAGE):
        new[data.name_of(Role.IMAGE)] = _mixed_images(data, one, other, folder)
    if data.has(Role.EMBEDDING):
        X = data.matrix(Role.EMBEDDING)
        drawn = rng.integers(len(X), size=(len(one), X.shape[1]))
        new[data.name_of(Role.EMBEDDING)] = _vectors(np.take_along_axis(X, drawn, axis=0))
    for name in data.roles.get(Role.FEATURES, ()):
        new[name] = _plain(data.table.column(name).take(pa.array(rng.integers(len(data), size=len(one)))))
    return _with(table, new)


def some_of_each(m: int, fields: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which fields of a record come from its other parent, shape (m, fields): some, but not all, where there are two.

    >>> taken = some_of_each(50, 3, np.random.default_rng(0)).sum(axis=1)
    >>> int(taken.min()), int(taken.max())
    (1, 2)
    """
    swap = rng.random((m, fields)) < 0.5
    if fields > 1:
        same = np.flatnonzero(swap.all(axis=1) | ~swap.any(axis=1))
        turned = rng.integers(fields, size=len(same))
        swap[same, turned] = ~swap[same, turned]
    return swap


def _mixed_texts(data: Dataset, table: pa.Table, second: pa.Table, swap: npt.NDArray[np.bool_]) -> dict[str, pa.Array]:
    fields = data.roles.get(Role.TEXT, ())
    new = {}
    for f, name in enumerate(fields):
        pairs = zip(_texts(table, name), _texts(second, name), swap[:, f], strict=True)
        if swap.shape[1] > 1:  # records: a field is the one row's or the other's
            new[name] = _strings([b if swapped else a for a, b, swapped in pairs])
        else:
            new[name] = _strings([mix_texts(a, b) for a, b, _ in pairs])
    return new


def _mixed_images(data: Dataset, one: Rows, other: Rows, folder: Path) -> pa.Array:
    halves = zip(_pictures(data, one), _pictures(data, other), strict=True)
    return _encoded(data, [mix_images(a, b) for a, b in halves], folder)


# ---- texts ----------------------------------------------------------------------------------------------------------


def edit_text(text: str, strength: float, rng: np.random.Generator) -> str:
    """The text with a share of its words dropped, swapped or misspelt; at least one where ``strength`` is above 0.

    >>> edit_text("a quiet river", 0.0, np.random.default_rng(0))
    'A  quiet  river'
    """
    words = text.split()
    if not words:
        return text
    if not strength:
        return "  ".join([words[0].capitalize(), *words[1:]]) if rng.random() < 0.8 else f" {text.upper()} "
    for _ in range(max(1, round(strength * len(words)))):
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
    return " ".join(words)


def mix_texts(one: str | None, other: str | None) -> str | None:
    """The first half of one text and the second half of another, by words (by letters where there are few words).

    >>> mix_texts("a b c d", "w x y z")
    'a b y z'
    """
    if one is None or other is None:
        return one
    a, b = one.split(), other.split()
    if min(len(a), len(b)) < 4:
        return one[: (len(one) + 1) // 2] + other[len(other) // 2 :]
    return " ".join([*a[: (len(a) + 1) // 2], *b[len(b) // 2 :]])


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
    """One of the nearest rows of each row, drawn evenly, shape (m,); the row itself where none is known."""
    if Neighbours() not in signals:
        return rows
    near = signals[Neighbours()].indices[rows]
    known = (near >= 0).sum(axis=1)
    at = (rng.random(len(rows)) * np.maximum(known, 1)).astype(np.int64)
    drawn = near[np.arange(len(rows)), at] if near.shape[1] else np.full(len(rows), -1)
    return np.where(drawn >= 0, drawn, rows)


def _one_cell(data: Dataset, table: pa.Table, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Each row gets another row's value in one feature column, or a number moved by a hundredth of its spread."""
    names = data.roles[Role.FEATURES]
    which = rng.integers(len(names), size=table.num_rows)
    new = {}
    for c in np.unique(which).tolist():
        name = names[c]
        column = _plain(table.column(name))
        kind = column.type
        if pa.types.is_floating(kind):
            spread = float(np.nanstd(data.numbers(name))) or 1.0
            moved = pc.add(pc.cast(column, pa.float64()), pa.array(rng.normal(size=len(column)) * 0.01 * spread))
            changed = pc.cast(moved, kind)
        else:
            changed = _plain(data.table.column(name).take(pa.array(rng.integers(len(data), size=len(column)))))
        new[name] = pc.if_else(pa.array(which == c), changed, column)
    return new


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
