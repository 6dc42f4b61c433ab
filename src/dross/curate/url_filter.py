"""URL filter: rows whose address stands on a list, or has words of a list in it, are dropped."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.compiled import kernel, over_rows
from dross.core.errors import DrossError
from dross.core.hashing import Hashes
from dross.core.step import Rows, RowStep, Verdict
from dross.models.listed_entries import entries
from dross.signals.content_hash import text_buffers
from dross.signals.words import find, lookup

LISTS = ("domains", "urls", "words", "soft_words")
DOMAIN, ADDRESS, WORD, SOFT = range(4)
"""Columns of what is found of each address, and the tables in which it is looked for."""
SMALL = np.arange(256, dtype=np.uint8)
"""Each byte with ASCII letters in lower case."""
SMALL[65:91] += 32
SMALL.flags.writeable = False
_APART = re.compile(r"[\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+")
_SOFT = 16


# ---- kernels -----------------------------------------------------------------------------------------------------


@kernel()
def trim(data: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """An address without the white space around it and without its fragment."""
    while a < b and data[a] <= 32:
        a += 1
    for j in range(a, b):
        if data[j] == 0x23:
            b = j
            break
    while a < b and data[b - 1] <= 32:
        b -= 1
    return a, b


@kernel()
def host_of(data: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Where the host of an address begins and ends, and where what follows it (port, path, query) begins."""
    j = a
    while j < b and data[j] not in (0x2F, 0x3F):
        if data[j] == 0x3A and j + 2 < b and data[j + 1] == 0x2F and data[j + 2] == 0x2F:
            a = j + 3
            break
        j += 1
    if a + 1 < b and data[a] == 0x2F and data[a + 1] == 0x2F:
        a += 2
    stop = a
    while stop < b and data[stop] not in (0x2F, 0x3F, 0x5C):
        if data[stop] == 0x40:
            a = stop + 1
        stop += 1
    end, inside = a, False
    while end < stop and (data[end] != 0x3A or inside):
        inside = (inside or data[end] == 0x5B) and data[end] != 0x5D
        end += 1
    rest = end
    while end > a and data[end - 1] == 0x2E:
        end -= 1
    return a, end, rest


@kernel()
def domain_hash(data: Any, small: Any, a: Any, b: Any, slots: Any, which: Any) -> tuple[Any, int]:
    """The hash of a host, read backwards, and how many labels of it make a domain of the table; 0 for none."""
    h, labels = np.uint64(0x9FB21C651E98DF25), 0
    for t in range(b - a):
        j = b - 1 - t
        h = (h ^ np.uint64(small[data[j]])) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
        if j == a or data[j - 1] == 0x2E:
            labels += 1
            if find(slots, which, h) >= 0:
                return h, labels
    return h, 0


@kernel()
def address_hash(data: Any, small: Any, a: Any, end: Any, rest: Any, b: Any) -> Any:
    """The hash of an address without its scheme, a leading ``www.`` and a slash at the end; case of the host aside."""
    if end - a > 4 and small[data[a]] == 119 and small[data[a + 1]] == 119:
        a = a + 4 if small[data[a + 2]] == 119 and data[a + 3] == 0x2E else a
    while b > rest and data[b - 1] == 0x2F:
        b -= 1
    h = np.uint64(0xD6E8FEB86659FD93)
    for j in range(a, end):
        h = (h ^ np.uint64(small[data[j]])) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
    for j in range(rest, b):
        h = (h ^ np.uint64(data[j])) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
    return h


@kernel()
def next_word(data: Any, small: Any, j: Any, b: Any) -> tuple[Any, Any, Any]:
    """The next run of letters and digits from byte ``j`` on: its bytes, its hash and the position after it."""
    h, size = np.uint64(0x2545F4914F6CDD1D), 0
    while j < b:
        c = small[data[j]]
        if (0x30 <= c <= 0x39) or (0x61 <= c <= 0x7A) or c >= 0x80:
            h = (h ^ np.uint64(c)) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(32)
            size += 1
        elif size:
            break
        j += 1
    return size, h, j


@kernel()
def look_for_words(data: Any, small: Any, a: Any, b: Any, tables: Any, soft: Any, row: Any) -> None:
    """Count the words of an address that are listed, and the different soft ones up to the length of ``soft``."""
    met = 0
    while a < b:
        size, h, a = next_word(data, small, a, b)
        if size == 0:
            break
        row[2] += find(tables[4], tables[5], h) >= 0
        known = find(tables[6], tables[7], h)
        if known >= 0 and met < len(soft):
            new = True
            for t in range(met):
                new = new and soft[t] != known
            if new:
                soft[met] = known
                met += 1
    row[3] = met


@kernel()
def look_at_all(data: Any, offsets: Any, small: Any, tables: Any, out: Any, start: int, stop: int) -> None:
    """Look up the addresses from ``start`` to ``stop``; ``tables`` holds the two arrays of each of the lists."""
    soft = np.empty(16, np.int32)
    for i in range(start, stop):
        a, b = trim(data, offsets[i], offsets[i + 1])
        begin, end, rest = host_of(data, a, b)
        _, out[i, 0] = domain_hash(data, small, begin, end, tables[0], tables[1])
        known = address_hash(data, small, begin, end, rest, b)
        out[i, 1] = b > a and find(tables[2], tables[3], known) >= 0
        look_for_words(data, small, a, b, tables, soft, out[i])


@kernel()
def hash_entries(data: Any, offsets: Any, small: Any, kind: int, slots: Any, which: Any, out: Any) -> None:
    """The hashes of entries of a list of that kind; the table is an empty one."""
    for i in range(len(out)):
        a, b = trim(data, offsets[i], offsets[i + 1])
        begin, end, rest = host_of(data, a, b)
        if kind == 0:
            out[i], _ = domain_hash(data, small, begin, end, slots, which)
        elif kind == 1:
            out[i] = address_hash(data, small, begin, end, rest, b)
        else:
            _, out[i], _ = next_word(data, small, a, b)


def hashed(listed: list[str], kind: int) -> Hashes:
    """The hashes of the entries of a list, shape (n,).

    >>> one, other = hashed(["http://www.A.example/x/", "a.example/x"], ADDRESS).tolist(); one == other
    True
    """
    data, offsets = text_buffers(pa.array(listed, pa.large_string()))
    data.flags.writeable = offsets.flags.writeable = False
    out = np.empty(len(listed), np.uint64)
    slots, which = lookup(np.empty(0, np.uint64))
    hash_entries(data, offsets, SMALL, kind, slots, which, out)
    return out


def together(text: str) -> str:
    """Letters and digits alone, in lower case: how words of addresses are written.

    >>> together("Live-Cams")
    'livecams'
    """
    return _APART.sub("", text).lower()


def listed_domain(entry: str) -> str:
    """A domain as block lists write it: alone, after an address (hosts files), after ``*.`` or ``||``.

    >>> [listed_domain(entry) for entry in ("0.0.0.0 a.example", "*.b.example", "||c.example^")]
    ['a.example', 'b.example', 'c.example']
    """
    last = entry.split("#", maxsplit=1)[0].split()[-1:] or [""]
    return last[0].strip("|^").removeprefix("*").strip(".")


# ---- the step ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UrlFilter(RowStep):
    """Rows are dropped whose address stands on a list, or has words of a list in it.

    Penedo et al., "The RefinedWeb Dataset for Falcon LLM", 2023, section 3.1 and appendix G.1. In every list
    ``file:PATH`` stands for the lines of a file, without those that begin with ``#``; block lists of domains may be
    written as hosts files. Words of an address are its runs of letters and digits, and case never counts but in paths.
    Lists are kept as 64-bit hashes, 24 to 48 bytes an entry; a row without an address stays.

    Attributes
    ----------
    url
        The column with the addresses.
    domains
        Domains; a subdomain of one is blocked too.
    urls
        Whole addresses; scheme, ``www.``, fragment and a slash at the end aside.
    words
        Words of which none may be in an address.
    soft_words, max_soft_words
        Words of which so many different ones may be in an address, below 16.
    subwords
        What may stand nowhere in an address, even within or across words.

    Examples
    --------
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> urls = ["https://www.bad.example/a", "http://notbad.example", "http://ok.example/casino-win"]
    >>> data = Dataset(pa.table({"text": ["a", "b", "c"], "url": urls}), {Role.TEXT: ["text"]})
    >>> UrlFilter(domains=("bad.example",), words=("casino",)).run(data, Signals(data)).summary
    {'dropped': {'blocked_domain': 1, 'listed_word_in_url': 1}}
    """

    reasons: ClassVar[tuple[str, ...]] = (
        "blocked_domain", "blocked_url", "listed_word_in_url", "too_many_soft_words_in_url", "listed_subword_in_url",
    )  # fmt: skip

    url: str = "url"
    domains: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    soft_words: tuple[str, ...] = ()
    max_soft_words: int = 1
    subwords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.max_soft_words < _SOFT:
            what = f"max_soft_words is {self.max_soft_words}"
            raise DrossError(what, where="url-filter", fix=f"give 0 to {_SOFT - 1}")

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), self.url)

    def prepare(self, place: Path) -> None:
        """Read the lists and write the tables of their hashes."""
        given = {name: entries(getattr(self, name)) for name in (*LISTS, "subwords")}
        if not any(given.values()):
            raise DrossError("all lists are empty", where="url-filter", fix="give domains: [file:PATH], or other lists")
        given["domains"] = [listed_domain(entry) for entry in given["domains"]]
        for name in ("words", "soft_words", "subwords"):
            given[name] = [together(entry) for entry in given[name]]
        for kind, name in enumerate(LISTS):
            slots, which = lookup(hashed([entry for entry in given[name] if entry], kind))
            np.save(place / f"{name}_slots.npy", slots)
            np.save(place / f"{name}_which.npy", which)
        subwords = sorted({entry for entry in given["subwords"] if entry})
        (place / "subwords.json").write_text(json.dumps(subwords), encoding="utf-8")

    def ready(self, place: Path) -> Any:
        """The tables, shared by all workers of a machine, and the subwords."""
        names = [f"{name}_{part}" for name in LISTS for part in ("slots", "which")]
        tables = tuple(np.asarray(np.load(place / f"{name}.npy", mmap_mode="r")) for name in names)
        return tables, json.loads((place / "subwords.json").read_text(encoding="utf-8"))

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """Look up each address."""
        tables, subwords = ready
        urls = rows.strings(self.url)
        urls = urls.fill_null("") if urls.null_count else urls
        data, offsets = text_buffers(urls)
        data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernel compiles once
        found = np.zeros((len(urls), 4), np.int64)
        over_rows(lambda a, b: look_at_all(data, offsets, SMALL, tables, found, a, b), len(urls))
        inside = holds_any(urls, subwords)
        return Verdict.first(
            (found[:, DOMAIN] > 0, found[:, DOMAIN]),
            (found[:, ADDRESS] > 0, found[:, ADDRESS]),
            (found[:, WORD] > 0, found[:, WORD]),
            (found[:, SOFT] > self.max_soft_words, found[:, SOFT]),
            (inside, inside),
        )


def holds_any(urls: pa.LargeStringArray, subwords: list[str]) -> npt.NDArray[np.bool_]:
    """Which addresses hold one of these subwords once only letters and digits are left of them, shape (n,).

    >>> holds_any(pa.array(["a.example/Live-Cams", "b.example"], pa.large_string()), ["livecams"]).tolist()
    [True, False]
    """
    import polars as pl

    if not subwords:
        return np.zeros(len(urls), np.bool_)
    plain = pc.utf8_lower(pc.replace_substring_regex(urls, pattern=_APART.pattern, replacement=""))
    held = pl.DataFrame({"url": pl.Series(plain)}).select(pl.col("url").str.contains_any(subwords))
    return np.asarray(held.to_series().to_numpy(), np.bool_)
