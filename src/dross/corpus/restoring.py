"""Taking drops back: a new corpus in which rows that a step dropped stand where they stood."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dross.core.errors import DrossError, nearest
from dross.corpus.files import full, new, read_json, write_json
from dross.corpus.finishing import FILE, NUMBER, ROWS
from dross.corpus.passes import COPY_OF, WHY
from dross.corpus.passes import NUMBER as VALUE
from dross.corpus.reading import RAW, as_text
from dross.corpus.report import REPORT, Report

_RECORD = (WHY, VALUE, COPY_OF, FILE, NUMBER)
_GROUP = 1000


@dataclass(frozen=True)
class Restored:
    """How many rows were put back, and how many the new corpus has."""

    back: int
    rows: int


def restore(corpus: str | Path, out: str | Path, step: str, reason: str = "", rows: Sequence[str] = ()) -> Restored:
    """Write a corpus again with rows of one step put back; the old one stays as it is.

    A row comes back as it was when the step dropped it: steps after it never saw it, so it may be one that they would
    have dropped. Rows go where they stood in the files they came from, or to the end where a step gave the corpus
    another order.

    Parameters
    ----------
    corpus
        The folder of a finished run.
    out
        A new folder.
    step
        The label of the step, as in the report: ``02-minhash-deduplication``; its number; or the method's name.
    reason
        Only rows dropped for this reason; all when empty.
    rows
        Only these rows, as ``FILE#ROW``; all when empty.
    """
    corpus, out = Path(corpus), Path(out)
    plain = read_json(corpus / REPORT)
    if plain is None:
        raise DrossError("this is no finished corpus", where=str(corpus), fix="name the folder that dross curate wrote")
    if out.exists():
        raise DrossError("there is something already", where=str(out), fix="name a new folder")
    report = Report.of(plain)
    back = _chosen(corpus, report, _label(report, step), reason, rows)
    with full(out):
        (out / "origins").mkdir(parents=True)
    count = _write(corpus, out, back)
    told = {"step": _label(report, step), "reason": reason, "rows": back.num_rows}
    again = replace(report, out=str(out), rows_out=count, restored=[*report.restored, told])
    for name in ("recipe.yaml",):
        with new(out / name) as other:
            other.write_bytes((corpus / name).read_bytes())
    with new(out / "README.md") as other:
        other.write_text(again.markdown(), encoding="utf-8")
    write_json(out / REPORT, again.plain())
    return Restored(back.num_rows, count)


def _label(report: Report, step: str) -> str:
    labels = [stage.label for stage in report.stages]
    if step.isdigit() and 0 < int(step) < len(labels):
        return labels[int(step)]
    named = [label for label in labels if label.partition("-")[2] == step]
    if len(named) == 1:
        return named[0]
    if step not in labels:
        raise DrossError(f"there is no step {step!r}", where=report.out, fix=nearest(step, labels))
    return step


def _chosen(corpus: Path, report: Report, label: str, reason: str, rows: Sequence[str]) -> pa.Table:
    """The dropped rows to put back."""
    stage = next(stage for stage in report.stages if stage.label == label)
    if reason and reason not in stage.reasons:
        known = list(stage.reasons)
        raise DrossError(f"{label} dropped no row for {reason!r}", where=str(corpus), fix=nearest(reason, known))
    files = sorted((corpus / "dropped" / label).glob("*.parquet"))
    if not files or label == "reading":
        raise DrossError(f"{label} dropped no row that can come back", where=str(corpus))
    tables = []
    for file in files:
        table = pq.read_table(file)
        if reason:
            table = table.filter(pc.equal(table.column(WHY), reason))
        if rows:
            names = pc.binary_join_element_wise(table.column(FILE), table.column(NUMBER).cast(pa.string()), "#")
            table = table.filter(pc.is_in(names, pa.array(list(rows))))
        tables.append(table)
    found = pa.concat_tables(tables, promote_options="permissive")
    if rows and found.num_rows < len(set(rows)):
        raise DrossError(
            f"{len(set(rows)) - found.num_rows} of these rows were not dropped by {label}", where=str(corpus)
        )
    return found


def _write(corpus: Path, out: Path, back: pa.Table) -> int:
    """Merge the rows that are left and those that come back, by file and row."""
    parts = sorted(corpus.glob("part-*"))
    if not parts:
        raise DrossError("the corpus has no rows to put others back among", where=str(corpus))
    lines = parts[0].suffix == ".zst"
    kept = _Merged(corpus, parts, back, lines)
    total, number = 0, 0
    for group in kept.parts():
        path = out / f"part-{number:05d}.{'jsonl.zst' if lines else 'parquet'}"
        places = out / "origins" / f"part-{number:05d}.parquet"
        with new(path) as other, full(out):
            if lines:
                with pa.CompressedOutputStream(pa.OSFile(str(other), "wb"), "zstd") as stream:
                    stream.write(b"".join(line + b"\n" for line in group.column(RAW).to_pylist()))
            else:
                pq.write_table(group.drop_columns([FILE, NUMBER]), other, compression="zstd", row_group_size=_GROUP)
        with new(places) as other:
            pq.write_table(group.select([FILE, NUMBER]), other, compression="zstd")
        total, number = total + group.num_rows, number + 1
    return total


@dataclass(frozen=True)
class _Merged:
    corpus: Path
    files: list[Path]
    back: pa.Table
    lines: bool

    def parts(self) -> Iterator[pa.Table]:
        """The merged rows, as many in each as the corpus has in a file."""
        order = self._order()
        back = self._sorted(_as_lines(self.back) if self.lines else self._bare(), order)
        merged = self._in_place(back, order) if self._in_order(order) else self._at_the_end(back)
        waiting: pa.Table | None = None
        for table in merged:
            waiting = table if waiting is None else pa.concat_tables([waiting, table], promote_options="permissive")
            while waiting.num_rows > ROWS:
                yield waiting.slice(0, ROWS).combine_chunks()
                waiting = waiting.slice(ROWS)
        if waiting is not None and waiting.num_rows:
            yield waiting.combine_chunks()

    def _in_place(self, back: pa.Table, order: dict[str, int]) -> Iterator[pa.Table]:
        at = 0
        for file in self.files:
            table = self._read(file)
            last = (order[table.column(FILE)[-1].as_py()], table.column(NUMBER)[-1].as_py())
            stop = back.num_rows if file is self.files[-1] else _before(back, order, last)
            part = back.slice(at, stop - at).select(table.column_names)
            at = stop
            yield self._sorted(pa.concat_tables([table, part], promote_options="permissive"), order)

    def _at_the_end(self, back: pa.Table) -> Iterator[pa.Table]:
        for file in self.files:
            table = self._read(file)
            yield table
        yield back.select(table.column_names)

    def _in_order(self, order: dict[str, int]) -> bool:
        """Whether the rows that are left stand in the order of their files; a step may have put them in another."""
        before = (-1, -1)
        for file in self.files:
            places = self._places(file)
            ranks = np.array([order[name] for name in places.column(FILE).to_pylist()], np.int64)
            numbers = places.column(NUMBER).to_numpy()
            rises = (np.diff(ranks) > 0) | ((np.diff(ranks) == 0) & (np.diff(numbers) >= 0))
            if not rises.all() or (len(ranks) and (int(ranks[0]), int(numbers[0])) < before):
                return False
            before = (int(ranks[-1]), int(numbers[-1])) if len(ranks) else before
        return True

    def _places(self, file: Path) -> pa.Table:
        return pq.read_table(self.corpus / "origins" / f"{file.name.split('.')[0]}.parquet")

    def _order(self) -> dict[str, int]:
        """The files in the order in which they first occur; others by name."""
        seen: dict[str, int] = {}
        for file in sorted((self.corpus / "origins").glob("*.parquet")):
            for name in pq.read_table(file).column(FILE).cast(pa.string()).unique().to_pylist():
                seen.setdefault(name, len(seen))
        more = [name for name in self.back.column(FILE).unique().to_pylist() if name not in seen]
        ordered = sorted([*seen, *more])
        return {name: i for i, name in enumerate(ordered)}

    def _sorted(self, table: pa.Table, order: dict[str, int]) -> pa.Table:
        rank = np.array([order[name] for name in table.column(FILE).to_pylist()], np.int64)
        return table.take(pa.array(np.lexsort([table.column(NUMBER).to_numpy(), rank])))

    def _bare(self) -> pa.Table:
        return self.back.drop_columns([name for name in (WHY, VALUE, COPY_OF) if name in self.back.column_names])

    def _read(self, file: Path) -> pa.Table:
        if self.lines:
            with pa.input_stream(str(file), compression="zstd") as stream:
                table = pa.table({RAW: pa.array(bytes(stream.read()).split(b"\n")[:-1], pa.large_binary())})
        else:
            table = pq.read_table(file)
        places = self._places(file)
        table = table.append_column(FILE, places.column(FILE).cast(pa.string()))
        return table.append_column(NUMBER, places.column(NUMBER).cast(pa.int64()))


def _before(back: pa.Table, order: dict[str, int], last: tuple[int, int]) -> int:
    places = zip(back.column(FILE).to_pylist(), back.column(NUMBER).to_pylist(), strict=True)
    return sum((order[file], row) <= last for file, row in places)


def _as_lines(back: pa.Table) -> pa.Table:
    """The rows as lines of JSON: the raw line, with what earlier steps had changed in place."""
    names = [name for name in back.column_names if name not in {*_RECORD, RAW}]
    lines = []
    for raw, values in zip(back.column(RAW).to_pylist(), back.select(names).to_pylist(), strict=True):
        lines.append(_line(raw, values))
    return pa.table({RAW: pa.array(lines, pa.large_binary()), FILE: back.column(FILE), NUMBER: back.column(NUMBER)})


def _line(raw: str | None, values: dict[str, Any]) -> bytes:
    kept: dict[str, Any] = {} if raw is None else json.loads(raw)
    changed = {name: value for name, value in values.items() if as_text(kept.get(name)) != value}
    if raw is not None and not changed:
        return raw.encode()
    return json.dumps({**kept, **changed}, ensure_ascii=False).encode()
