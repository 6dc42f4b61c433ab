"""Conditions of rules in YAML as Polars expressions: keywords, regular expressions, thresholds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dross.core.errors import DrossError, nearest
from dross.weak.located import Entry

if TYPE_CHECKING:
    import polars as pl

KEYS = ("column", "keywords", "pattern", "where", "whole_words", "case")
_COMPARISONS = ("above", "at_least", "below", "at_most", "equals", "one_of", "missing")
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&\-~]")
WORDS = 500
"""Keywords in one regular expression; more make several."""


@dataclass(frozen=True)
class Condition:
    """When a rule applies: an expression that is true or false on each row, the columns it reads, and both in words."""

    test: pl.Expr
    columns: frozenset[str]
    told: list[Any]


@dataclass(frozen=True)
class Reading:
    """What rules may read.

    Attributes
    ----------
    columns
        The names of the columns they see.
    hidden
        Those that hold what is to be learned.
    texts
        Where keywords and patterns are looked for when a rule names no column.
    """

    columns: Sequence[str]
    hidden: Sequence[str]
    texts: Sequence[str]

    def check(self, name: str, entry: Entry, key: str) -> str:
        """The name of a column that exists and may be seen."""
        if name in self.hidden:
            raise entry.wrong(f"the column {name!r} holds what is to be learned; rules do not see it", key)
        if name not in self.columns:
            raise entry.wrong(f"there is no column {name!r}", key, nearest(name, list(self.columns)))
        return name


def condition(entry: Entry, reading: Reading) -> Condition | None:
    """What the entry demands of a row, all of it together; None where it demands nothing."""
    parts = []
    if "keywords" in entry.values:
        parts.append(_texts(entry, "keywords", _keywords(entry), reading))
    if "pattern" in entry.values:
        parts.append(_texts(entry, "pattern", entry.texts("pattern"), reading))
    parts += [_where(one, reading) for one in _wheres(entry)]
    for key in ("column", "case", "whole_words"):
        if key in entry.values and not {"keywords", "pattern"} & set(entry.values):
            raise entry.wrong(f"{key!r} says nothing without keywords or a pattern", key)
    if not parts:
        return None
    test = parts[0].test
    for part in parts[1:]:
        test = test & part.test
    return Condition(test, frozenset().union(*(p.columns for p in parts)), [p.told for p in parts])


def _wheres(entry: Entry) -> list[Entry]:
    if "where" not in entry.values:
        return []
    found = entry.values["where"]
    found = found if isinstance(found, list) else [found]
    if not found or not all(isinstance(one, Entry) for one in found):
        raise entry.wrong(
            "'where' needs a column and a comparison", "where", "write where: {column: length, above: 10}"
        )
    return [one for one in found if isinstance(one, Entry)]


def _keywords(entry: Entry) -> list[str]:
    """The keywords as regular expressions, a batch of words each."""
    given = entry.values["keywords"]
    words = _words_of_file(given) if isinstance(given, Entry) else entry.texts("keywords")
    words = sorted({" ".join(word.split()) for word in words} - {""})
    if not words:
        raise entry.wrong("there is no keyword", "keywords")
    whole = entry.get("whole_words", bool, "true or false")
    patterns = [_word(word, whole is None or whole) for word in words]
    return ["|".join(patterns[i : i + WORDS]) for i in range(0, len(patterns), WORDS)]


def _word(word: str, whole: bool) -> str:
    text = r"\s+".join(_SPECIAL.sub(r"\\\g<0>", part) for part in word.split())
    if not whole:
        return text
    # a boundary stands beside a letter only, so that "$$$" and "c++" can be keywords too
    first, last = (r"\b" if c.isalnum() or c == "_" else "" for c in (word[0], word[-1]))
    return f"{first}{text}{last}"


def _words_of_file(entry: Entry) -> list[str]:
    """The lines of the file that ``file:`` names, beside the rules."""
    entry.only(("file",), "a list of keywords")
    return text_of_file(file_beside(entry)).splitlines()


def text_of_file(path: Path) -> str:
    """The text of a file that rules name."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DrossError("the file is not UTF-8", where=str(path), fix="save it as UTF-8") from error
    except OSError as error:
        raise DrossError(f"cannot read the file: {error.strerror}", where=str(path)) from error


def file_beside(entry: Entry) -> Path:
    """The file that ``file:`` names; a relative name counts from the folder of the rules."""
    name = entry.get("file", str, "the name of a file")
    if name is None:
        raise entry.wrong("no file is named", None, "write file: NAME")
    path: Path = entry.file.parent / name
    if not path.is_file():
        raise entry.wrong(f"there is no file {str(path)!r}", "file")
    return path


def _texts(entry: Entry, key: str, patterns: list[str], reading: Reading) -> Condition:
    import polars as pl

    names = entry.texts("column") if "column" in entry.values else list(reading.texts)
    if not names:
        raise entry.wrong(f"where are the {key} to be looked for?", key, "name a column: column: body")
    for name in names:
        reading.check(name, entry, "column")
    case = entry.get("case", bool, "true or false")
    matched = [f"{'' if case else '(?i)'}(?:{pattern})" for pattern in patterns]
    for given, pattern in zip(patterns, matched, strict=True):
        _compiles(pattern, given, entry, key)
    tests = [pl.col(name).cast(pl.String).str.contains(pattern) for name in names for pattern in matched]
    return Condition(pl.any_horizontal(tests).fill_null(False), frozenset(names), [names, matched])


def _compiles(pattern: str, given: str, entry: Entry, key: str) -> None:
    import polars as pl

    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError as error:
        lines = [line for line in str(error).splitlines() if line.startswith("error:")]
        why = lines[-1].removeprefix("error:").strip() if lines else str(error).splitlines()[0]
        raise entry.wrong(
            f"the regular expression {given!r} is not understood: {why}",
            key,
            "look-around and backreferences need a labeling function in Python",
        ) from None


def _where(entry: Entry, reading: Reading) -> Condition:
    import polars as pl

    entry.only(("column", *_COMPARISONS), "'where'")
    name = entry.get("column", str, "the name of a column")
    if name is None:
        raise entry.wrong("'where' names no column", None, "write where: {column: length, above: 10}")
    reading.check(name, entry, "column")
    column, tests, kinds = pl.col(name), [], (int, float, str)
    for key in entry.values:
        if key == "column":
            continue
        if key == "missing":
            tests.append(column.is_null() if entry.get(key, bool, "true or false") else column.is_not_null())
        elif key == "one_of":
            tests.append(column.is_in(_choices(entry)))
        else:
            tests.append(
                _compare(
                    column, key, entry.get(key, kinds if key != "equals" else (*kinds, bool), "a number or a text")
                )
            )
    if not tests:
        raise entry.wrong("'where' compares with nothing", None, f"add one of: {', '.join(_COMPARISONS)}")
    return Condition(pl.all_horizontal(tests).fill_null(False), frozenset({name}), [name, _plain(entry)])


def _choices(entry: Entry) -> list[Any]:
    values = entry.get("one_of", list, "a list")
    if not values or any(isinstance(one, list | Entry) or one is None for one in values):
        raise entry.wrong("'one_of' must be a list of numbers or texts", "one_of")
    return list(values)


def _compare(column: pl.Expr, key: str, value: Any) -> pl.Expr:
    comparisons = {
        "above": column.gt, "at_least": column.ge, "below": column.lt, "at_most": column.le, "equals": column.eq,
    }  # fmt: skip
    return comparisons[key](value)


def _plain(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in entry.values.items() if not isinstance(value, Entry)}


def tried(test: pl.Expr, frame: pl.DataFrame, entry: Entry) -> None:
    """Refuse an expression that does not fit the types of the columns."""
    import polars as pl

    try:
        frame.head(0).select(test.alias("test"))
    except pl.exceptions.PolarsError as error:
        raise DrossError(
            f"the rule does not fit its column: {str(error).splitlines()[0]}", where=entry.where()
        ) from None
