"""Small pictures for the report, made afresh from the pixels: nothing of the original file gets into the page."""

from __future__ import annotations

import base64
import io
import math
import warnings
from pathlib import Path
from typing import Any

SMALL = 96
BUDGET = 1_200_000
"""Bytes that all pictures of one report may take together."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "MPO")


class Thumbnails:
    """Makes data URIs of the pictures of one dataset until the report's share of bytes is used up.

    Parameters
    ----------
    root
        Where relative paths start.
    left
        Bytes that are left for them.
    """

    def __init__(self, root: Path, left: float = BUDGET) -> None:
        self.root = root
        self.left = left

    def of(self, cell: Any, size: int = SMALL) -> str | None:
        """A data URI of at most ``size`` pixels a side; None where the picture cannot be read or there is no room."""
        from dross.io.images import content

        raw = content(cell, self.root)
        encoded = shrink(raw, size) if raw is not None and self.left > 0 else None
        if encoded is None:
            return None
        uri = f"data:image/{encoded[0]};base64,{base64.b64encode(encoded[1]).decode()}"
        self.left -= len(uri)
        return uri


def shrink(raw: bytes, size: int) -> tuple[str, bytes] | None:
    """The picture at most ``size`` pixels a side, as ``("jpeg" or "png", bytes)``; None where it does not decode.

    Small pictures become PNG, which keeps their pixels; larger ones JPEG. None too where Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        return None
    broken = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata and of large pictures; both are shown
        try:
            picture: Any = Image.open(io.BytesIO(raw), formats=_FORMATS)
            picture.draft("RGB", (2 * size, 2 * size))
            kind = "png" if max(picture.size) <= size and math.prod(picture.size) <= 4096 else "jpeg"
            picture = ImageOps.exif_transpose(picture)
            if picture.mode == "I" or picture.mode.startswith("I;16"):
                picture = picture.point(lambda v: v / 257).convert("L")
            picture = picture.convert("L" if picture.mode in {"1", "L", "LA"} else "RGB")
            picture.thumbnail((size, size))
        except (*broken, Image.DecompressionBombError):  # whatever a damaged file makes Pillow's decoders raise
            return None
    out = io.BytesIO()
    if kind == "png":
        picture.save(out, "PNG", optimize=True)
    else:
        picture.save(out, "JPEG", quality=72)
    return kind, out.getvalue()
