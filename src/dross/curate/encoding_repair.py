"""Encoding repair: text that was read in the wrong encoding, and marks that do not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.step import Rows, RowStep, Verdict, replaced_at
from dross.signals.text_statistics import COLUMNS, measure

HIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\x{200b}\x{2060}\x{feff}\x{fff9}-\x{fffb}]"
"""Control characters and characters without width, apart from joiners that writing systems need."""
_SLOPPY = {i: i for i in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_ROUNDS = 3


def misread(text: str) -> bytes | None:
    """The bytes that give this text when they are read as Windows-1252, or Latin-1 where that has no sign; else None.

    >>> misread("Ã©"), misread("語")
    (b'\\xc3\\xa9', None)
    """
    out = bytearray()
    for c in text:
        code = ord(c)
        if code < 0x80 or 0xA0 <= code < 0x100 or code in _SLOPPY:
            out.append(code)
            continue
        try:
            out += c.encode("cp1252")
        except UnicodeEncodeError:
            return None
    return bytes(out)


def repaired(text: str) -> str:
    """The text as it was before its UTF-8 was read as Windows-1252, once or several times; as it is where it never was.

    Runs of characters above ASCII are undone one by one, so that a text with a correct part is mended too. What does
    not read as UTF-8 stays.

    >>> repaired("cafÃ© â€“ dÃ©jÃ  vu"), repaired("ÃƒÂ©lite"), repaired("café"), repaired("naÃ¯ve 語")
    ('café – déjà vu', 'élite', 'café', 'naïve 語')
    """
    for _ in range(_ROUNDS):
        new = _once(text)
        if new == text:
            break
        text = new
    return text


def _once(text: str) -> str:
    parts: list[str] = []
    i = 0
    while i < len(text):
        j = i
        while j < len(text) and (ord(text[j]) < 0x80) == (ord(text[i]) < 0x80):
            j += 1
        run = text[i:j]
        if ord(run[0]) >= 0x80:
            if (
                run[-1] == "Ã" and text[j : j + 1] == " "
            ):  # the second byte was a hard space, and someone made it a plain one
                run, j = run + "\xa0", j + 1
            raw = misread(run)
            if raw is not None and len(raw) > 1:
                try:
                    run = raw.decode("utf-8")
                except UnicodeDecodeError:
                    run = text[i:j]
            else:
                run = text[i:j]
        parts.append(run)
        i = j
    return "".join(parts)


def damaged(texts: pa.LargeStringArray) -> npt.NDArray[np.float32]:
    """The share of replacement characters of each text, shape (n,): letters that were lost and cannot be had back.

    >>> damaged(pa.array(["f�r", "fine", ""], pa.large_string())).round(2).tolist()
    [0.33000001311302185, 0.0, 0.0]
    """
    found = measure(texts)
    lost = found[:, COLUMNS.index("replacement")] / np.maximum(found[:, COLUMNS.index("characters")], 1)
    return np.asarray(lost, np.float32)


@dataclass(frozen=True)
class EncodingRepair(RowStep):
    """UTF-8 that was read as Windows-1252 is read again; marks that do not show go; texts with many lost letters drop.

    Attributes
    ----------
    lost
        Share of replacement characters above which a text is dropped.
    hidden
        Whether control characters and characters without width are taken out.
    normalise
        Whether text is brought into Unicode's composed form (NFC).
    """

    reasons: ClassVar[tuple[str, ...]] = ("many_letters_lost",)

    lost: float = 0.01
    hidden: bool = True
    normalise: bool = True

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """A quick look at all texts, and a close one at those that look misread."""
        texts = new = rows.text(self.column)
        suspects = np.flatnonzero(measure(texts)[:, COLUMNS.index("mojibake")] > 0)
        if len(suspects):
            mended = [repaired(text) for text in texts.take(pa.array(suspects)).to_pylist()]
            new = replaced_at(texts, suspects, mended)
        if self.hidden:
            new = pc.replace_substring_regex(new, HIDDEN, "")
        if self.normalise:
            new = pc.utf8_normalize(new, form="NFC")
        share = damaged(new)
        reason = np.where(share > self.lost, 0, -1).astype(np.int16)
        value = np.where(reason == 0, share, np.nan).astype(np.float32)
        return Verdict(reason, value, changed={self.column or rows.default: new})
