"""Which files a path, glob or folder names, in which format, and what it means when they cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dross.core.errors import DrossError, nearest
from dross.core.paths import expanded

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""The format that each suffix means."""
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
COMPRESSIBLE = ("csv", "tsv", "jsonl")
IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_SUPPORTED = "CSV, TSV, JSONL (each also .gz or .zst), Parquet, Arrow, Feather, a folder of these or of images"


@dataclass(frozen=True)
class Found:
    """The files that a path stands for."""

    format: str
    """``csv``, ``tsv``, ``jsonl``, ``parquet``, ``arrow``, ``huggingface`` or ``images``."""
    files: tuple[Path, ...]
    """The shards in order; for a folder of images or of Hugging Face data, that folder alone."""
    root: Path
    """The folder to which relative paths inside the data refer."""


def format_of(path: Path) -> str | None:
    """The tabular format that the file's suffix means, or None.

    >>> format_of(Path("a/train.csv.gz")), format_of(Path("notes.txt"))
    ('csv', None)
    """
    compressed = path.suffix.lower() in COMPRESSIONS
    kind = FORMATS.get(Path(path.stem if compressed else path.name).suffix.lower())
    return kind if kind in COMPRESSIBLE or not compressed else None


def compression_of(path: Path) -> str | None:
    """The compression that the file's suffix means, or None.

    >>> compression_of(Path("train.csv.gz"))
    'gzip'
    """
    return COMPRESSIONS.get(path.suffix.lower())


def find(source: str) -> Found:
    """The files that a path, glob or folder names; raises :class:`DrossError` when there is nothing to read.

    Shards are taken in the order of their names. Hidden files and those that begin with ``_`` are passed over.
    """
    if "://" in source:
        raise DrossError("dross reads files on this machine", where=source, fix="download it first and name the file")
    path = expanded(source)
    with reading(source):
        there = path.exists() and source != ""
    if not there:
        if any(mark in source for mark in "*?["):
            root = _fixed_part(path)
            return _shards(list(root.glob(str(path.relative_to(root)))), source, root)
        raise DrossError("no such file or folder", where=source, fix=_like(path))
    if path.is_dir():
        return _folder(path, source)
    kind = format_of(path)
    if kind is None:
        raise DrossError(f"the suffix {path.suffix!r} names no format dross reads", where=source, fix=_by_suffix(path))
    return Found(kind, (path,), path.parent)


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into a :class:`DrossError` that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise DrossError("no such file or folder", where=str(path)) from error
    except PermissionError as error:
        raise DrossError("no permission to read this file", where=str(path), fix="check its owner and mode") from error
    except EOFError as error:
        raise DrossError("the file ends too early", where=str(path), fix="copy or download it again") from error
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DrossError(
            _reason(error), where=str(path), fix="check that the file is complete and undamaged"
        ) from error


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "runcated" in text or "end of file" in text or "incomplete frame" in text:
        return "the compressed file is cut short: its end is missing"
    return f"the file cannot be read: {text[:300]}"


def _shards(paths: list[Path], source: str, root: Path) -> Found:
    files = sorted(p for p in paths if p.is_file() and not p.name.startswith((".", "_")))
    kinds = {file: kind for file in files if (kind := format_of(file)) is not None}
    if not kinds:
        raise DrossError("no readable file here", where=source, fix=f"dross reads {_SUPPORTED}")
    first, kind = next(iter(kinds.items()))
    for file, other in kinds.items():
        if other != kind:
            raise DrossError(
                f"the files are of different formats: {first.name} is {kind}, {file.name} is {other}",
                where=source,
                fix=f"name the ones you mean, for example {source.rstrip('/')}/*{first.suffix}",
            )
    return Found(kind, tuple(kinds), root)


def _folder(path: Path, source: str) -> Found:
    with reading(source):
        entries = sorted(path.iterdir())
    names = {entry.name for entry in entries}
    if "dataset_dict.json" in names or {"state.json", "dataset_info.json"} <= names:
        return Found("huggingface", (path,), path)
    here = [entry for entry in entries if entry.is_file()]
    if any(format_of(file) for file in here if not file.name.startswith((".", "_"))):
        return _shards(here, source, path)
    below = [p for p in path.rglob("*") if not any(part.startswith((".", "_")) for part in p.relative_to(path).parts)]
    if any(p.suffix.lower() in IMAGES for p in below):
        return Found("images", (path,), path)
    return _shards(below, source, path)


def _fixed_part(pattern: Path) -> Path:
    """The folder above the first wildcard."""
    fixed = []
    for part in pattern.parts[:-1]:
        if any(mark in part for mark in "*?["):
            break
        fixed.append(part)
    return Path(*fixed)


def _like(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r} either"
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    return nearest(path.name, names) if names else f"the folder {str(folder)!r} is empty"


def _by_suffix(path: Path) -> str:
    if path.suffix.lower() in IMAGES:
        return "name the folder of images"
    if path.suffix.lower() in {".npy", ".npz"}:
        return "load arrays with dross.load(X=..., label=...)"
    return f"dross reads {_SUPPORTED}; rename the file if it is one of them"
