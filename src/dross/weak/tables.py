"""Rules in YAML: read, checked against the data, and applied to all rows at once."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError, nearest
from dross.core.hashing import digest
from dross.weak import conditions
from dross.weak.answers import Answers, Collector, Unfit, take_encoded, text_of
from dross.weak.conditions import Condition, Reading
from dross.weak.located import Entry

if TYPE_CHECKING:
    import polars as pl

_KEYS = ("name", "label", "lookup", "model", "unless", *conditions.KEYS)


@dataclass(frozen=True)
class TableRule:
    """A rule of a YAML file.

    Attributes
    ----------
    name, where
        What it is called, and its file and line.
    digest
        Of what decides its answers.
    columns
        The columns it reads.
    label
        What it votes for: one label, several, or chances by label; None where ``value`` says.
    test
        Where it votes; None for everywhere.
    value
        The label of each row, where it comes from a table or a column.
    """

    name: str
    where: str
    digest: str
    columns: frozenset[str]
    label: Any
    test: pl.Expr | None
    value: pl.Expr | None


def declared(top: Entry) -> list[Any] | None:
    """The classes that a file of rules declares; None where it declares none."""
    if "classes" not in top.values:
        return None
    found = top.values["classes"]
    if not isinstance(found, list) or not found or any(isinstance(one, list | Entry) or one is None for one in found):
        raise top.wrong("'classes' must be a list of labels", "classes", "write classes: [ham, spam]")
    return found


def read_rules(top: Entry, reading: Reading, schema: pa.Schema, known: Sequence[str] | None) -> list[TableRule]:
    """The rules of a YAML file, checked against the columns that rules may see and the classes that are known.

    Raises DrossError with file and line.
    """
    top.only(("classes", "column", "rules"), "a file of rules")
    if "column" in top.values:
        reading = Reading(reading.columns, reading.hidden, top.texts("column"))
        for name in reading.texts:
            reading.check(name, top, "column")
    entries = top.values.get("rules")
    if not isinstance(entries, list) or not entries or not all(isinstance(one, Entry) for one in entries):
        raise top.wrong("the file holds no rules", "rules", "list them under rules:, each with a name and a label")
    return [_rule(entry, reading, schema, known) for entry in entries]


def _rule(entry: Entry, reading: Reading, schema: pa.Schema, known: Sequence[str] | None) -> TableRule:
    import polars as pl

    entry.only(_KEYS, "a rule")
    name = entry.values.get("name")
    if name is None or isinstance(name, list | Entry) or not str(name).strip():
        raise entry.wrong("a rule has no name", None, "write name: …")
    given = [key for key in ("label", "lookup", "model") if key in entry.values]
    if len(given) != 1:
        said = " and ".join(given) or "none of them"
        raise entry.wrong(f"the rule {name!r} needs one of label, lookup and model, and has {said}")
    demanded = conditions.condition(entry, reading)
    refused = _unless(entry, reading)
    told: list[Any] = [str(name), demanded.told if demanded else None, refused.told if refused else None]
    columns = frozenset().union(*(one.columns for one in (demanded, refused) if one))
    label, value = None, None
    if given == ["label"]:
        label = _label(entry, known)
        if demanded is None:
            raise entry.wrong(f"the rule {name!r} would vote on every row", None, "add keywords, pattern or where")
        told.append(label)
    else:
        value, read_columns, more = (
            _lookup(entry, reading, known) if given == ["lookup"] else _model(entry, reading, known)
        )
        columns |= read_columns
        told.append(more)
    test = _both(demanded, refused)
    frame = pl.DataFrame(schema.empty_table().select(sorted(columns)))
    for expression in (test, value):
        if expression is not None:
            conditions.tried(expression, frame, entry)
    text = json.dumps(told, sort_keys=True, default=str)
    return TableRule(str(name), entry.where(), digest(text), columns, label, test, value)


def _unless(entry: Entry, reading: Reading) -> Condition | None:
    if "unless" not in entry.values:
        return None
    inner = entry.get("unless", Entry, "a condition: keywords, pattern or where")
    inner.only(conditions.KEYS, "'unless'")
    found = conditions.condition(inner, reading)
    if found is None:
        raise entry.wrong("'unless' says nothing", "unless", "add keywords, pattern or where")
    return found


def _both(demanded: Condition | None, refused: Condition | None) -> pl.Expr | None:
    if demanded is None:
        return None if refused is None else ~refused.test
    return demanded.test if refused is None else demanded.test & ~refused.test


def _label(entry: Entry, known: Sequence[str] | None) -> Any:
    """The label, checked as an answer of any rule is."""
    given = entry.values["label"]
    value = given.values if isinstance(given, Entry) else given
    if value is None or (isinstance(value, list) and not value):
        raise entry.wrong("'label' is empty", "label", "name what the rule votes for")
    got = Collector(1, known)
    got.take(0, value)
    if got.failures or got.codes[0] < 0:
        why = next((one.message for one in got.failures.values()), "-1 is an abstention")
        raise entry.wrong(f"'label' is no vote: {why}", "label")
    return value


def _lookup(entry: Entry, reading: Reading, known: Sequence[str] | None) -> tuple[pl.Expr, frozenset[str], Any]:
    """The label that a table gives for the value of a column."""
    import polars as pl

    inner = entry.get("lookup", Entry, "a file and a column: lookup: {file: senders.csv, column: sender}")
    inner.only(("file", "column", "key", "label"), "'lookup'")
    name = inner.get("column", str, "the name of a column of the data")
    if name is None:
        raise inner.wrong("'lookup' names no column of the data", None, "write column: …")
    reading.check(name, inner, "column")
    path = conditions.file_beside(inner)
    table = _table(path, inner)
    strange = [label for label in table.values() if known is not None and label not in known]
    if strange:
        raise DrossError(
            f"there is no class {strange[0]!r}", where=str(path), fix=nearest(strange[0], list(known or ()))
        )
    value = pl.col(name).cast(pl.String).replace_strict(list(table), list(table.values()), default=None)
    return value.cast(pl.String), frozenset({name}), [name, table]


def _table(path: Path, entry: Entry) -> dict[str, str]:
    """The keys of a CSV file with their labels; a key without a label is left out."""
    table: dict[str, str] = {}
    rows = csv.reader(io.StringIO(conditions.text_of_file(path), newline=""))
    try:
        key, label = _chosen(next(rows, []), path, entry)
        for cells in rows:
            if not cells:
                continue
            if len(cells) <= max(key, label):
                raise DrossError("the row is too short", where=f"{path}:{rows.line_num}")
            if table.get(cells[key], cells[label]) != cells[label]:
                raise DrossError(f"{cells[key]!r} has two labels", where=f"{path}:{rows.line_num}", fix="keep one")
            if cells[label]:
                table[cells[key]] = cells[label]
    except csv.Error as error:
        raise DrossError(f"this is no CSV: {error}", where=f"{path}:{rows.line_num}") from error
    if not table:
        raise DrossError("the table has no rows", where=str(path))
    return table


def _chosen(header: list[str], path: Path, entry: Entry) -> tuple[int, int]:
    places = []
    for key, default in (("key", 0), ("label", 1)):
        name = entry.values.get(key)
        if name is None and len(header) != 2:
            raise entry.wrong(f"{path.name} has {len(header)} columns", None, f"say which is the {key}: {key}: NAME")
        if name is not None and str(name) not in header:
            raise entry.wrong(f"{path.name} has no column {name!r}", key, nearest(str(name), header))
        places.append(default if name is None else header.index(str(name)))
    return places[0], places[1]


def _model(entry: Entry, reading: Reading, known: Sequence[str] | None) -> tuple[pl.Expr, frozenset[str], Any]:
    """The label that a column holds: another model's answer."""
    import polars as pl

    given = entry.values["model"]
    inner = given if isinstance(given, Entry) else Entry({"column": given}, {}, entry.file, entry.lines["model"])
    inner.only(("column", "map"), "'model'")
    name = inner.get("column", str, "the name of a column")
    if name is None:
        raise inner.wrong("'model' names no column", None, "write model: COLUMN")
    reading.check(name, inner, "column")
    meaning = inner.get("map", Entry, "what each value means: map: {POS: spam}")
    if meaning is None:
        return pl.col(name), frozenset({name}), [name, None]
    table = {}
    for key in meaning.values:
        label = meaning.get(key, (str, int, float, bool), "a label")
        if known is not None and text_of(label) not in known:
            raise meaning.wrong(f"there is no class {label!r}", key, nearest(text_of(label), sorted(known)))
        table[key] = text_of(label)
    value = pl.col(name).cast(pl.String).replace_strict(list(table), list(table.values()), default=None)
    return value.cast(pl.String), frozenset({name}), [name, table]


def answer(rules: Sequence[TableRule], table: pa.Table, known: Sequence[str] | None) -> list[Answers]:
    """What each rule says of the rows of a table; Polars works on all rules at once."""
    import polars as pl

    columns = sorted(set().union(*(rule.columns for rule in rules)))
    started = time.perf_counter()
    frame = pl.DataFrame(table.select(columns))
    expressions = []
    for i, rule in enumerate(rules):
        expressions += [] if rule.test is None else [rule.test.alias(f"test{i}")]
        expressions += [] if rule.value is None else [rule.value.alias(f"value{i}")]
    try:
        found = frame.select(expressions)
    except pl.exceptions.PolarsError as error:
        if len(rules) > 1:
            return [one for rule in rules for one in answer([rule], table, known)]
        got = Collector(table.num_rows, known)
        got.raised(error, 0, table.num_rows)
        return [got.done(table.num_rows, time.perf_counter() - started)]
    seconds = (time.perf_counter() - started) / len(rules)
    return [_vote(rule, found, i, table.num_rows, known, seconds) for i, rule in enumerate(rules)]


def _vote(rule: TableRule, found: pl.DataFrame, i: int, n: int, known: Sequence[str] | None, seconds: float) -> Answers:
    holds = np.ones(n, bool) if rule.test is None else found[f"test{i}"].to_numpy()
    got = Collector(n, known)
    if rule.value is not None:
        values = found[f"value{i}"].to_arrow()
        values = pa.compute.if_else(pa.array(holds), values, pa.scalar(None, values.type))
        try:
            take_encoded(got, values.dictionary_encode() if not pa.types.is_dictionary(values.type) else values)
        except (Unfit, pa.ArrowException) as error:
            got.raised(error, 0, n)
        return got.done(n, seconds)
    one = Collector(1, known)
    one.take(0, rule.label)
    first = one.done(1, 0.0)
    rows = np.flatnonzero(holds) if len(first.soft_rows) else np.empty(0, np.int64)
    codes = np.where(holds, first.codes[0], -1).astype(np.int32)
    return Answers(codes, first.classes, rows, np.repeat(first.soft, len(rows), axis=0), {}, seconds)
