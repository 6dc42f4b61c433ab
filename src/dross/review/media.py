"""What the page hands out beside its views: texts, pictures and sounds of single rows, and all decisions as a file.

What a request names is a row, never a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dross.core.errors import DrossError, MissingExtra
from dross.core.roles import Role
from dross.report.pictures import shrink
from dross.report.text import visible
from dross.review.desk import Desk

BIGGEST = 64 * 1024 * 1024
"""Bytes of a file that is read."""
MOST_TEXT = 3_000_000
"""Characters of a text that can be fetched whole to be edited: more could not be sent back."""


class NotHere(DrossError):
    """An address that names what is not there."""


@dataclass(frozen=True)
class Medium:
    """Bytes and their type."""

    kind: str
    content: bytes


def whole_text(desk: Desk, row: int, column: str) -> tuple[str, str]:
    """A text as it is in the data, to be edited: (column, text). Columns go by their name, or as the page shows it."""
    columns = desk.items.evidence.contents.texts
    name = next((one for one in columns if column in {one, visible(one)}), None)
    if name is None:
        raise NotHere("there is no such text column", fix="choose one that the item shows")
    words, length = desk.items.evidence.contents.beginning(name, row, MOST_TEXT)
    if length > MOST_TEXT:
        raise DrossError(
            f"this text has {length:,} characters", where=f"row {row}", fix=f"up to {MOST_TEXT:,} can be edited here"
        )
    return name, words


def write_decisions(desk: Desk, kind: str, out: Path) -> int:
    """Write all that people said, one line for each opinion, as ``csv``, ``json`` or ``parquet``; how many lines."""
    from dross.ledger.listing import write_findings

    table = desk.decisions()
    write_findings(table, kind, out, desk.ledger.workspace)
    return int(table.num_rows)


def picture(desk: Desk, row: int, size: int) -> Medium:
    """The row's picture, at most ``size`` pixels a side, made anew from its pixels."""
    raw = _content(desk, Role.IMAGE, row)
    made = shrink(raw, size)
    if made is None:
        _check_pillow()
        raise NotHere("this picture cannot be decoded", where=f"row {row}")
    return Medium(f"image/{made[0]}", made[1])


def sound(desk: Desk, row: int) -> Medium:
    """The row's sound as it is, if it begins as a sound file does."""
    raw = _content(desk, Role.AUDIO, row)
    kind = sniffed(raw)
    if kind is None:
        raise NotHere(
            "this is no sound file that browsers play", where=f"row {row}", fix="they play wav, flac, ogg, mp3"
        )
    return Medium(kind, raw)


def sniffed(raw: bytes) -> str | None:
    """The type of a sound file by its first bytes; None where it is none.

    >>> sniffed(b"RIFF\\x00\\x00\\x00\\x00WAVEfmt "), sniffed(b"<html>")
    ('audio/wav', None)
    """
    if raw[:4] == b"RIFF" and raw[8:12] == b"WAVE":
        return "audio/wav"
    for mark, kind in ((b"fLaC", "audio/flac"), (b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg")):
        if raw.startswith(mark):
            return kind
    # a frame of MPEG audio: eleven bits set, then a version, a layer, a bit rate and a sampling rate that exist
    frame = raw[:3]
    if len(frame) == 3 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0:
        version, layer, rate, sampling = frame[1] >> 3 & 3, frame[1] >> 1 & 3, frame[2] >> 4, frame[2] >> 2 & 3
        if version != 1 and layer != 0 and rate not in {0, 15} and sampling != 3:
            return "audio/mpeg"
    return None


def stretch(asked: str | None, size: int) -> tuple[int, int] | None:
    """The first and last byte that a Range header asks for; None for the whole. Players seek with it.

    Raises ValueError where the stretch lies outside.

    >>> stretch("bytes=2-5", 10), stretch("bytes=-3", 10), stretch("bytes=4-", 10), stretch(None, 10)
    ((2, 5), (7, 9), (4, 9), None)
    """
    unit, _, one = (asked or "").partition("=")
    first, dash, last = one.strip().partition("-")
    if unit.strip() != "bytes" or not dash or not all(part.isdecimal() or not part for part in (first, last)):
        return None  # several stretches, or another unit: a server may give the whole
    if not first:
        begin, end = max(0, size - int(last or 0)), size - 1
    else:
        begin, end = int(first), min(int(last), size - 1) if last else size - 1
    if begin > end or begin >= size:
        raise ValueError(asked)
    return begin, end


def _content(desk: Desk, role: Role, row: int) -> bytes:
    from dross.io.images import content

    if not desk.data.has(role):
        raise NotHere(f"the data has no column of the kind {role}")
    cell: Any = desk.data.column(role)[row].as_py()
    root = desk.items.evidence.contents.thumbnails.root
    path = cell.get("path") if isinstance(cell, dict) and not cell.get("bytes") else cell
    if isinstance(path, str):
        file = root / path
        try:
            fits = file.is_file() and file.stat().st_size <= BIGGEST  # no device, no pipe: they never end
        except (OSError, ValueError):  # a name that no file can have
            fits = False
        cell = path if fits else None
    raw = content(cell, root)
    if raw is None:
        raise NotHere("the file is not there, or too large", where=f"row {row}")
    return raw


def _check_pillow() -> None:
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise MissingExtra.of("PIL", "images") from None
