"""The end of a run: the rows that are left, the record of those that are not, and the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dross.core.step import RANK
from dross.corpus.files import batches, new, write_json
from dross.corpus.finishing import Part, Scatter, scatter, spans, write_part, write_record
from dross.corpus.passes import Segment
from dross.corpus.places import Places
from dross.corpus.report import REPORT, Report, stages

if TYPE_CHECKING:
    from dross.corpus.curating import Run


def close(run: Run, segments: list[Segment], engine: str, started: float) -> Report:
    """Write everything, the report last."""
    first = run.passes[0]
    names = tuple(path for task in first for kind, _, path in task["files"] if kind == "names")
    counts = [task["count"] for task in first]
    places = Places(tuple(run.pieces), tuple(counts), tuple(run.others), tuple(run.other_counts), names)
    done = [*(task for one in run.passes for task in one), *run.between]
    touched = sorted({name for task in done for name in task["touched"]})
    (run.out / "origins").mkdir(exist_ok=True)
    sizes = run.over("writing", write_part, _parts(run, segments, places, tuple(touched)))
    run.over("writing the record", write_record, list(_records(run, places, done)))
    report = Report(
        out=str(run.out),
        recipe=run.recipe.plain(),
        stages=stages(run.recipe.labels, done),
        rows_in=sum(counts),
        rows_out=sum(segment.rows for segment in segments),
        bytes_in=sum(Path(file).stat().st_size for file in {piece.file for piece in run.pieces}),
        bytes_out=sum(sizes),
        files_in=len({piece.file for piece in run.pieces}),
        seconds=round(time.time() - started, 3),
        engine=engine,
        workers=run.engine.workers,
    )
    _write(run.out, report)
    return report


def _write(out: Path, report: Report) -> None:
    import yaml

    with new(out / "recipe.yaml") as other:
        other.write_text(yaml.safe_dump(report.recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")
    with new(out / "README.md") as other:
        other.write_text(report.markdown(), encoding="utf-8")
    write_json(out / REPORT, report.plain())


def _parts(run: Run, segments: list[Segment], places: Places, touched: tuple[str, ...]) -> list[Part]:
    """The files of the finished corpus."""
    if not segments:
        return []
    suffix = "jsonl.zst" if run.pieces[0].format == "jsonl" else "parquet"
    schema = _schema([segment.file for segment in segments])
    rows, total = run.layout.rows, sum(segment.rows for segment in segments)
    paths = [str(run.out / f"part-{i:05d}.{suffix}") for i in range(-(-total // rows))]
    if RANK not in pa.ipc.read_schema(pa.py_buffer(schema)).names:
        cut = spans([(segment.file, segment.rows) for segment in segments], rows)
        return [Part(path, schema, places, part, touched=touched) for path, part in zip(paths, cut, strict=True)]
    files = _scattered(run, segments, len(paths))
    return [
        Part(path, schema, places, scattered=files, number=i, parts=len(paths), touched=touched)
        for i, path in enumerate(paths)
    ]


def _scattered(run: Run, segments: list[Segment], parts: int) -> tuple[str, ...]:
    """Send every row to its part by its rank; equal ranks keep their order."""
    ranks = [table.column(RANK).to_numpy() for segment in segments for table in batches(Path(segment.file))]
    order = np.argsort(np.concatenate(ranks), kind="stable")
    positions = np.empty(len(order), np.int64)
    positions[order] = np.arange(len(order))
    path = run.work / "positions.npy"
    np.save(path, positions)
    firsts = np.cumsum([0, *(segment.rows for segment in segments[:-1])]).tolist()
    tasks = [
        Scatter(segment, first, str(path), run.layout.rows, parts, str(run.work / f"{i:06d}.scattered"))
        for i, (segment, first) in enumerate(zip(segments, firsts, strict=True))
    ]
    run.over("ordering", scatter, tasks, [segment.rows for segment in segments])
    return tuple(task.path for task in tasks)


def _records(run: Run, places: Places, done: list[dict[str, Any]]) -> Iterator[Part]:
    """The files of dropped rows, and of the old values of changed ones."""
    for number, label in enumerate(["00-reading", *run.recipe.labels], -1):
        for kind in ("dropped", "changed"):
            files = [path for task in done for k, n, path in task["files"] if (k, n) == (kind, number)]
            if not files:
                continue
            folder = run.out / kind / label
            folder.mkdir(parents=True, exist_ok=True)
            schema = _schema(files)
            for i, part in enumerate(spans([(path, _count(path)) for path in files])):
                yield Part(str(folder / f"part-{i:05d}.parquet"), schema, places, part)


def _count(path: str) -> int:
    with pa.memory_map(path) as source, pa.ipc.open_file(source) as file:
        return sum(file.get_batch(i).num_rows for i in range(file.num_record_batches))


def _schema(files: list[str]) -> bytes:
    """The columns of all files together."""
    schemas: list[Any] = []
    for path in files:
        with pa.memory_map(path) as source, pa.ipc.open_file(source) as file:
            if file.schema not in schemas:
                schemas.append(file.schema)
    return bytes(pa.unify_schemas(schemas, promote_options="permissive").serialize())
