"""Answers: what one rule says of some rows, checked, with what went wrong counted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import nearest
from dross.weak.functions import LabelingFunction

Codes = npt.NDArray[np.int32]
RAISED, UNKNOWN, UNFIT = "raised", "unknown label", "no label"
"""Kinds of failure: the rule raised; it named a class that is not among those declared; it gave no usable answer."""
LONGEST = 300
SPREAD = 1e-3
"""By how much the chances of a soft vote may miss 1."""


@dataclass
class Failure:
    """One way in which a rule failed: how often, and the first time."""

    kind: str
    message: str
    row: int
    count: int = 1

    def joined(self, other: Failure) -> Failure:
        """Both together; the example is that of the earlier row."""
        first = self if self.row <= other.row else other
        return Failure(self.kind, first.message, first.row, self.count + other.count)


@dataclass
class Answers:
    """What a rule says of ``n`` consecutive rows.

    Attributes
    ----------
    codes
        The (likeliest) label of each row as a position in ``classes``, shape (n,), int32; -1 where it abstains.
    classes
        The labels named, plain values, in order of first use.
    soft_rows, soft
        Rows answered with chances, shape (s,), and the chances by class, shape (s, k).
    failures
        What went wrong, by kind and type of error. A row on which the rule failed counts as one it abstains on.
    seconds
        How long the rule took.
    """

    codes: Codes
    classes: list[Any]
    soft_rows: npt.NDArray[np.int64]
    soft: npt.NDArray[np.float32]
    failures: dict[str, Failure] = field(default_factory=dict)
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.codes)


def text_of(label: Any) -> str:
    """A label as text, the way Arrow writes it, so that 1, 1.0 and "1" are one class.

    >>> text_of(1.0), text_of(True), text_of("ham")
    ('1', 'true', 'ham')
    """
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


class Unfit(Exception):
    """An answer that is no vote."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


class Ballot:
    """Turns what rules return into codes of classes.

    Parameters
    ----------
    known
        The texts of the classes declared; None where any label is welcome.
    """

    def __init__(self, known: Sequence[str] | None) -> None:
        self.known = None if known is None else frozenset(known)
        self.classes: list[Any] = []
        self._by_text: dict[str, int] = {}
        self._seen: dict[tuple[type, Any], int] = {}

    def code(self, value: Any) -> int:
        """The code of a label, -1 for an abstention (None, NaN, or -1 where that is no class)."""
        key = (value.__class__, value)
        try:
            return self._seen[key]
        except KeyError:
            pass
        except TypeError:
            raise Unfit(UNFIT, f"the rule returned {_shown(value)}, which is no label") from None
        value = value.item() if isinstance(value, np.generic) else value
        if value is not None and not isinstance(value, str | bool | int | float):
            raise Unfit(UNFIT, f"the rule returned {_shown(value)}, which is no label")
        code = self._new(value)
        self._seen[key] = code
        return code

    def _new(self, value: Any) -> int:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return -1
        text = text_of(value)
        if text == "-1" and not isinstance(value, str) and (self.known is None or text not in self.known):
            return -1
        if self.known is not None and text not in self.known:
            raise Unfit(UNKNOWN, f"there is no class {_shown(value)}; {nearest(text, sorted(self.known))}")
        if isinstance(value, float) and math.isinf(value):
            raise Unfit(UNFIT, f"the rule returned {value}, which is no label")
        code = self._by_text.setdefault(text, len(self.classes))
        if code == len(self.classes):
            self.classes.append(value)
        return code

    def chances(self, value: Any) -> dict[int, float] | None:
        """The chances of a soft vote by code; None where it abstains. Several labels share the chance equally."""
        if not isinstance(value, Mapping):
            codes = sorted({self.code(label) for label in value} - {-1})
            return {code: 1 / len(codes) for code in codes} or None
        found: dict[int, float] = {}
        for label, chance in value.items():
            code = self.code(label)
            number = float(chance)
            if code < 0 or not number >= 0 or math.isinf(number):
                raise Unfit(UNFIT, f"the rule returned {_shown(value)}: chances of labels, at least 0, are needed")
            found[code] = found.get(code, 0.0) + number
        if not found:
            return None
        total = sum(found.values())
        if abs(total - 1) > SPREAD:
            raise Unfit(UNFIT, f"the rule returned {_shown(value)}: the chances add up to {total:.4g} and not to 1")
        return {code: chance / total for code, chance in found.items() if chance > 0}


class Collector:
    """Gathers the answers to the rows of one range."""

    def __init__(self, n: int, known: Sequence[str] | None) -> None:
        self.ballot = Ballot(known)
        self.codes: Codes = np.full(n, -1, np.int32)
        self.soft: list[tuple[int, dict[int, float]]] = []
        self.failures: dict[str, Failure] = {}

    def take(self, i: int, value: Any) -> None:
        """Count the answer to row ``i``."""
        try:
            if isinstance(value, Mapping | list | tuple | set | frozenset):
                chances = self.ballot.chances(value)
                if chances is None:
                    return
                self.codes[i] = max(chances, key=lambda code: (chances[code], -code))
                if len(chances) > 1:
                    self.soft.append((i, chances))
            else:
                self.codes[i] = self.ballot.code(value)
        except Unfit as error:
            self.fail(error.kind, str(error), i)
        except (TypeError, ValueError) as error:
            self.fail(UNFIT, f"the rule returned {_shown(value)}: {error}", i)

    def fail(self, kind: str, message: str, row: int, count: int = 1, detail: str = "") -> None:
        """Count a failure."""
        key = f"{kind}: {detail}" if detail else kind
        new = Failure(kind, message[:LONGEST], row, count)
        old = self.failures.get(key)
        self.failures[key] = old.joined(new) if old else new

    def raised(self, error: BaseException, row: int, count: int = 1) -> None:
        """Count an exception, by its type."""
        text = str(error).strip().split("\n")[0]
        name = type(error).__name__
        self.fail(RAISED, f"{name}: {text}" if text else name, row, count, name)

    def done(self, n: int, seconds: float) -> Answers:
        """The answers to the first ``n`` rows."""
        soft = np.zeros((len(self.soft), len(self.ballot.classes)), np.float32)
        for place, (_, chances) in enumerate(self.soft):
            soft[place, list(chances)] = list(chances.values())
        rows = np.array([i for i, _ in self.soft], np.int64)
        return Answers(self.codes[:n], self.ballot.classes, rows, soft, self.failures, seconds)


class Row(Mapping[str, Any]):
    """One row, as rules see it: values by column, converted when they are asked for."""

    __slots__ = ("_columns", "_i")

    def __init__(self, columns: Columns, i: int) -> None:
        self._columns, self._i = columns, i

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][self._i]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.table.column_names)

    def __len__(self) -> int:
        return int(self._columns.table.num_columns)

    def __repr__(self) -> str:
        return f"Row({dict(self)!r})"


class Columns(dict[str, list[Any]]):
    """The columns of a table as lists of plain values, each converted at its first use."""

    def __init__(self, table: pa.Table, hidden: Sequence[str] = ()) -> None:
        super().__init__()
        self.table, self.hidden = table, hidden

    def __missing__(self, name: str) -> list[Any]:
        if name in self.hidden:
            raise KeyError(f"{name!r} holds what is to be learned; rules do not see it")
        if name not in self.table.column_names:
            raise KeyError(f"there is no column {name!r}; {nearest(str(name), self.table.column_names)}")
        values: list[Any] = self.table.column(name).to_pylist()
        self[name] = values
        return values


def answer_rows(
    rule: LabelingFunction, columns: Columns, first: int, known: Sequence[str] | None, seconds: float = math.inf
) -> Answers:
    """Ask a rule about each row from ``first`` on, until ``seconds`` have passed; at least one row is answered.

    Rows count from ``first``. Whatever the rule raises is counted and the next row is asked.
    """
    n = columns.table.num_rows - first
    got = Collector(n, known)
    function, resources = rule.function, rule.resources
    started = time.perf_counter()
    done = n
    for i in range(n):
        try:
            value = function(Row(columns, first + i), **resources)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's rule may raise anything; it is counted
            got.raised(error, i)
        else:
            if value is not None:
                got.take(i, value)
        if time.perf_counter() - started > seconds:
            done = i + 1
            break
    return got.done(done, time.perf_counter() - started)


def answer_table(rule: LabelingFunction, table: pa.Table, known: Sequence[str] | None) -> Answers:
    """Ask a vectorised rule about all rows of a table at once; where it fails, it fails on all of them."""
    n = table.num_rows
    got = Collector(n, known)
    started = time.perf_counter()
    try:
        value = rule.function(table, **rule.resources)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's rule may raise anything; it is counted
        got.raised(error, 0, n)
        return got.done(n, time.perf_counter() - started)
    seconds = time.perf_counter() - started
    try:
        _take_all(got, value, n)
    except Unfit as error:
        got.fail(error.kind, str(error), 0, n)
    except (TypeError, ValueError, pa.ArrowException) as error:
        got.fail(UNFIT, f"the rule returned {type(value).__name__}: {error}", 0, n)
    return got.done(n, seconds)


def _take_all(got: Collector, value: Any, n: int) -> None:
    if value is None:
        return
    if isinstance(value, Mapping):
        chances = {label: np.asarray(part, np.float64) for label, part in value.items()}
        _check_length([len(part) for part in chances.values()], n)
        spoken = ~np.any([np.isnan(part) for part in chances.values()] or np.ones((1, n), bool), axis=0)
        for row in np.flatnonzero(spoken).tolist():
            got.take(row, {label: part[row] for label, part in chances.items()})
        return
    if isinstance(value, str | bytes) or not hasattr(value, "__len__"):
        raise Unfit(UNFIT, f"the rule returned {_shown(value)}, not one answer for each row")
    _check_length([len(value)], n)
    try:
        column = _as_arrow(value).dictionary_encode()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):  # mixed types, lists or mappings
        for i, one in enumerate(value):
            if one is not None:
                got.take(i, one)
        return
    take_encoded(got, column)


def take_encoded(got: Collector, column: pa.DictionaryArray) -> None:
    """Check each distinct answer once."""
    indices = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    codes = np.full(len(column.dictionary) + 1, -1, np.int32)
    for place, value in enumerate(column.dictionary.to_pylist()):
        try:
            codes[place] = got.ballot.code(value)
        except Unfit as error:
            rows = np.flatnonzero(indices == place)
            got.fail(error.kind, str(error), int(rows[0]), len(rows))
    got.codes[:] = codes[indices]


def _as_arrow(value: Any) -> pa.Array:
    if hasattr(value, "to_arrow"):  # polars
        value = value.to_arrow()
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
        value = pa.concat_arrays(value.chunks) if isinstance(value, pa.ChunkedArray) else value
    array = value if isinstance(value, pa.Array) else pa.array(value, from_pandas=True)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_nested(array.type):
        raise pa.ArrowTypeError("several labels in one answer")
    return array


def _check_length(lengths: list[int], n: int) -> None:
    for length in lengths:
        if length != n:
            raise Unfit(UNFIT, f"the rule returned {length:,} answers for {n:,} rows")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
