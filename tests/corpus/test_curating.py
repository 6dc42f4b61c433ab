"""Curating: what stays, what is kept of what does not, and that neither engine nor cutting shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dross.core.errors import DrossError
from dross.corpus.curating import WORK, Layout, curate
from dross.corpus.report import Report
from dross.curate.budget import Budget
from tests.corpus.conftest import content, dropped, read, rows, write

STEPS = [
    "exact-deduplication",
    {"minhash-deduplication": {"keep": "longest", "similarity": 0.6}},
    {"budget": {"share": 0.9}},
]
Corpus = Callable[..., str]


def test_rows_that_stay_and_rows_that_go_are_all_the_rows(corpus: Corpus, tmp_path: Path) -> None:
    report = curate({"id": "id", "steps": STEPS}, corpus(600, 3), tmp_path / "out", workers=1)
    left, gone = read(tmp_path / "out"), dropped(tmp_path / "out")
    assert (report.rows_in, report.rows_out, len(left)) == (600, len(left), 600 - len(gone))
    given = {row["id"]: row for row in rows(600)}
    assert all(given[row["id"]] == row for row in left)
    assert sorted([row["id"] for row in left] + gone["id"].to_list()) == sorted(given)
    assert [json.loads(line) for line in gone["dross_raw"]] == [given[i] for i in gone["id"]]
    assert [stage.label for stage in report.stages] == [
        "reading",
        "01-exact-deduplication",
        "02-minhash-deduplication",
        "03-budget",
    ]
    told = Counter(gone["dross_reason"].to_list())
    assert told == Counter({reason: n for stage in report.stages for reason, n in stage.reasons.items()})
    assert told["copy"] == told["near_copy"] == 60
    for before, after in zip(report.stages[:-1], report.stages[1:], strict=True):
        assert after.rows_in == before.rows_out == after.rows_out + sum(after.reasons.values())
    assert all(stage.memory > 0 for stage in report.stages)


def test_a_drop_names_its_match_and_where_it_came_from(corpus: Corpus, tmp_path: Path) -> None:
    source = corpus(600, 3)
    curate({"id": "id", "steps": STEPS[:1]}, source, tmp_path / "named", workers=1)
    gone = dropped(tmp_path / "named")
    assert gone["dross_match"].to_list() == [f"d{599 - int(i[1:])}" for i in gone["id"]]
    lines = {str(file): file.read_text().splitlines() for file in Path(source).iterdir()}
    assert all(json.loads(lines[f][r - 1])["id"] == i for f, r, i in gone["dross_file", "dross_row", "id"].rows())
    curate(STEPS[:1], source, tmp_path / "unnamed", workers=1)
    file, _, row = dropped(tmp_path / "unnamed")["dross_match"][0].partition("#")
    assert json.loads(Path(file).read_text().splitlines()[int(row) - 1])["text"] == gone["text"][0]
    origins = pl.read_parquet(tmp_path / "named" / "origins" / "*.parquet")
    assert [json.loads(lines[f][r - 1])["id"] for f, r in origins.rows()] == [r["id"] for r in read(tmp_path / "named")]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_cutting_does_not_show(corpus: Corpus, tmp_path: Path, kind: str) -> None:
    """One file or seven, small pieces, few parts, small blocks of rows: the same bytes."""
    layouts = {(1, 1): Layout(rows=100), (7, 1): Layout(rows=100), (3, 2): Layout(piece=5_000, parts=3, rows=100)}
    found = {}
    for i, ((files, workers), layout) in enumerate(layouts.items()):
        out = tmp_path / f"out{i}"
        curate([*STEPS, "ordering"], corpus(600, files, kind), out, workers=workers, layout=layout)
        found[files] = (
            content(out),
            dropped(out).drop("dross_file", "dross_row", "dross_match").sort("text").fill_nan(-1).rows(),
        )
    assert found[1] == found[3] == found[7]
    assert len(list((tmp_path / "out0").glob("part-*"))) == 5


def test_parquet_keeps_its_columns_and_types(corpus: Corpus, tmp_path: Path) -> None:
    source = corpus(600, 2, "parquet")
    curate(STEPS[:1], source, tmp_path / "out", workers=1)
    left = pl.read_parquet(tmp_path / "out" / "part-*.parquet")
    given = pl.read_parquet(f"{source}/*.parquet")
    assert left.equals(given.filter(pl.col("id").is_in(left["id"].implode())))
    assert left.schema == given.schema


def test_another_corpus_is_compared_with_and_its_rows_are_named(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", rows(300), 2, "jsonl.zst"), rows(900)[300:700]
    near = [{**row, "id": f"near{i}", "text": row["text"] + " and more"} for i, row in enumerate(rows(300)[:50])]
    same = [{**row, "id": f"same{i}"} for i, row in enumerate(rows(300)[50:80])]
    source = write(tmp_path / "new", [*new, *near, *same], 3)
    steps = [
        {"exact-deduplication": {"against": [old]}},
        {"minhash-deduplication": {"against": [old], "similarity": 0.6}},
    ]
    curate({"id": "id", "steps": steps}, source, tmp_path / "out", workers=2)
    gone = dropped(tmp_path / "out")
    told = gone.filter(pl.col("dross_reason").is_in(["in_the_other_corpus", "near_the_other_corpus"]))
    assert sorted(told["id"]) == sorted(row["id"] for row in [*near, *same])
    for name, match in told["id", "dross_match"].rows():
        file, _, row = match.partition("#")
        assert file.startswith(old), match
        number = int(row) - 1 + (75 if file.endswith("001.jsonl.zst") else 0)
        expected = int(name[4:]) + (50 if name.startswith("same") else 0)
        assert rows(300)[number]["text"] == rows(300)[expected]["text"]


def test_an_order_and_weights_are_carried_out(corpus: Corpus, tmp_path: Path) -> None:
    source = corpus(300, 3)
    steps = [{"ordering": {"by": "highest score", "folds": 2}}]
    curate(steps, source, tmp_path / "out", workers=1, layout=Layout(rows=70))
    scores = [row["score"] for row in read(tmp_path / "out")]
    expected = sorted((row["score"] for row in rows(300)), reverse=True)
    assert scores == expected[::2] + expected[1::2]


def test_a_selector_sees_all_rows_at_once(corpus: Corpus, tmp_path: Path) -> None:
    curate([{"k-center": {"count": 20}}], corpus(200, 2), tmp_path / "out", workers=1)
    assert len(read(tmp_path / "out")) == 20
    assert set(dropped(tmp_path / "out")["dross_reason"]) == {"not_selected"}


def test_the_folder_documents_the_corpus(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = curate([Budget(rows=10)], corpus(100), out, workers=1)
    assert Report.of(json.loads((out / "report.json").read_text())) == report
    assert "| 01-budget | 100 | 10 | 90.0% |" in (out / "README.md").read_text()
    again = curate(out / "recipe.yaml", corpus(), tmp_path / "again", workers=1)
    assert again.recipe == report.recipe
    assert not (out / WORK).exists()


def test_nothing_is_overwritten(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    curate(STEPS, corpus(100), out, workers=1)
    before = content(out)
    with pytest.raises(DrossError, match="a finished corpus already"):
        curate(STEPS, corpus(), out, workers=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DrossError, match="not empty"):
        curate(STEPS, corpus(50), tmp_path / "mine", workers=1)
    assert content(out) == before


def test_no_row_may_be_left(corpus: Corpus, tmp_path: Path) -> None:
    source = corpus(50)
    report = curate([{"exact-deduplication": {"against": [source]}}], source, tmp_path / "out", workers=1)
    assert (report.rows_out, read(tmp_path / "out")) == (0, [])
    assert len(dropped(tmp_path / "out")) == 50


def test_mixtures_have_their_shares(corpus: Corpus, tmp_path: Path) -> None:
    steps = [{"domain-mixture": {"shares": ["web=0.75", "wiki=0.25"]}}]
    curate(steps, corpus(600, 2), tmp_path / "out", workers=1)
    left = read(tmp_path / "out")
    size = {name: sum(len(row["text"]) for row in left if row["domain"] == name) for name in ("web", "wiki")}
    assert size["web"] == sum(len(row["text"]) for row in rows(600) if row["domain"] == "web")
    assert np.isclose(size["wiki"] / sum(size.values()), 0.25, atol=0.005)
