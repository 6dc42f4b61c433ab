"""Images: folders of them, arrays of them, and their pixels.

A column with the role image holds, in each row, either a **path** (text; relative paths start at the folder of the
source, see :func:`root_of`) or the **encoded bytes** of an image file, or both as Hugging Face writes them (an object
with ``bytes`` and ``path``). Arrays of pixels are encoded as binary PGM or PPM (netpbm), which is the pixels themselves
behind a short header: nothing is lost, the bytes do not depend on any library's version, and every reader knows it.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.compiled import threads
from dross.core.dataset import Dataset, Source
from dross.core.errors import DrossError, MissingExtra
from dross.core.paths import expanded
from dross.core.roles import Role
from dross.io.paths import IMAGES, reading

Pixels = npt.NDArray[np.uint8]
SPLITS = frozenset({"train", "training", "valid", "validation", "val", "dev", "test", "testing", "eval", "holdout"})
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_TOGETHER = 256


def read_folder(folder: Path) -> tuple[pa.Table, list[str]]:
    """The images below a folder as a table of ``file`` (path from the folder), ``folder`` (the class) and ``split``.

    The class is the folder an image stands in; the column is absent where there are no such folders. Folders called
    train, test and the like at the top are splits.
    """
    found, passed_over = [], 0
    with reading(folder):
        for where, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
            images = sorted(name for name in names if Path(name).suffix.lower() in IMAGES and not name.startswith("."))
            passed_over += len(names) - len(images)
            below = Path(where).relative_to(folder)
            found += [(below / name).as_posix() for name in images]
    columns = {"file": pa.array(found, pa.large_string())}
    parts = [path.split("/")[:-1] for path in found]
    if all(part and part[0].lower() in SPLITS for part in parts):
        splits = pa.array([part[0] for part in parts], pa.large_string())
        parts = [part[1:] for part in parts]
    else:
        splits = None
    if any(parts):
        columns["folder"] = pa.array(["/".join(part) or None for part in parts], pa.large_string())
    if splits is not None:
        columns["split"] = splits
    notes = [f"{passed_over:,} files that are no images were passed over"] if passed_over else []
    return pa.table(columns), notes


def encode(images: npt.NDArray[Any], name: str = "X") -> pa.Array:
    """Pixels as a column of encoded images, without loss.

    Parameters
    ----------
    images
        ``uint8``, shape (n, h, w), (n, h, w, 1), (n, h, w, 3), or with the channels first.
    name
        What to call the array in an error.

    Examples
    --------
    >>> column = encode(np.zeros((2, 4, 3), np.uint8))
    >>> column[0].as_py()[:11], decode(column[0].as_py()).shape
    (b'P5\\n3 4\\n255\\n', (4, 3))
    """
    if images.ndim == 4 and images.shape[3] not in {1, 3} and images.shape[1] in {1, 3}:
        images = np.moveaxis(images, 1, 3)
    colours = images.shape[3] if images.ndim == 4 else 1
    if images.dtype != np.uint8 or images.ndim not in {3, 4} or colours not in {1, 3} or 0 in images.shape[1:]:
        raise DrossError(
            f"{name} of shape {images.shape} and type {images.dtype} is neither a matrix nor images",
            fix="images are uint8 from 0 to 255, shape (n, height, width) or (n, height, width, 3)",
        )
    n, height, width = images.shape[:3]
    kind = "P6" if colours == 3 else "P5"
    header = np.frombuffer(f"{kind}\n{width} {height}\n255\n".encode(), np.uint8)
    size = len(header) + height * width * colours
    rows = np.empty((n, size), np.uint8)
    rows[:, : len(header)] = header
    rows[:, len(header) :] = images.reshape(n, -1)
    offsets = np.arange(n + 1, dtype=np.int64) * size
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows.reshape(-1))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), n, buffers)


def looks_encoded(value: bytes) -> bool:
    """Whether the bytes begin as an image file does.

    >>> looks_encoded(b"\\x89PNG\\r\\n\\x1a\\n"), looks_encoded(b"text")
    (True, False)
    """
    marks = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"P5\n", b"P6\n")
    return value.startswith(marks) or (value[:4] == b"RIFF" and value[8:12] == b"WEBP")


def root_of(source: Source | None) -> Path:
    """The folder at which relative paths of images start: that of the source, else the working folder."""
    if source is None:
        return Path()
    path = expanded(source.path)
    if path.is_dir():
        return path
    fixed = path.parent
    while any(mark in str(fixed) for mark in "*?["):
        fixed = fixed.parent
    return fixed


def content(value: Any, root: Path = Path()) -> bytes | None:
    """The encoded bytes of one value of an image column; None when it is null or the file cannot be read."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None or isinstance(value, bytes):
        return value
    try:
        return (root / str(value)).read_bytes()
    except (OSError, ValueError):  # a missing picture is a finding about the row, not a reason to stop
        return None


def decode(value: Any, root: Path = Path()) -> Pixels | None:
    """The pixels of one value of an image column, upright: shape (h, w) when grey, (h, w, 3) when in colour, uint8.

    None when the value is null, the file is missing, or it is no image that can be decoded. Transparency is dropped.
    Raises :class:`MissingExtra` without Pillow.
    """
    return _decoded([value], root, map)[0]


def images(data: Dataset, rows: npt.NDArray[np.int64] | None = None) -> Iterator[Pixels | None]:
    """The pixels of the given rows (all when none are given), in order; see :func:`decode`.

    Decodes on all cores, a few hundred images ahead, so memory does not grow with the number of rows.
    """
    column, root = data.column(Role.IMAGE), root_of(data.source)
    chosen = np.arange(len(data)) if rows is None else rows
    with ThreadPoolExecutor(threads()) as pool:
        for start in range(0, len(chosen), _TOGETHER):
            values = column.take(pa.array(chosen[start : start + _TOGETHER], pa.int64())).to_pylist()
            yield from _decoded(values, root, pool.map)


def _decoded(values: list[Any], root: Path, each: Callable[..., Iterable[Any]]) -> list[Pixels | None]:
    try:
        import PIL  # noqa: F401  (asked for here, so that it is missing before the first image, not at it)
    except ImportError as error:
        raise MissingExtra.of("PIL", "images") from error
    # Pillow warns of odd metadata and large images, which are decoded all the same. The filter is global to the
    # process, so it is set once around the threads and never inside them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(each(lambda value: _pixels(content(value, root)), values))


def _pixels(encoded: bytes | None) -> Pixels | None:
    from PIL import Image, ImageOps

    if encoded is None:
        return None
    broken = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError)
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits a pixel
                return np.asarray(np.clip(np.asarray(image, np.float64) / 257, 0, 255), np.uint8)
            grey = image.mode in {"1", "L", "LA"}
            return np.asarray(image.convert("L" if grey else "RGB"), np.uint8)
    except (*broken, Image.DecompressionBombError):  # whatever a damaged file makes Pillow's decoders raise
        return None
