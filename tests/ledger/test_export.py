from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.io import load
from dross.ledger import Ledger
from tests.ledger.made import audited, dataset, found, relabelled, summary

CSV = 'x,note, y \r\n1.50,"a, b",cat\r\n 2.0,,dog\r\n3,"say ""hi""",cat\r\n0004,plain,dog\r\n5e3,é,cat\r\n'


def _audit(path: Path, tables: dict[str, Any] | None = None, **options: Any) -> tuple[Ledger, Dataset]:
    data = load(str(path), **options)
    assert data.source is not None
    source = {"path": str(path), "format": data.source.format, "options": dict(data.source.options)}
    ledger = Ledger.open(path.parent / ".dross", create=True)
    made = tables or {
        "label": found(data, "label", [0, 1], suggestion=[1 - data.codes[0], 1 - data.codes[1]]),
        "duplicate": found(data, "duplicate", [3], suggestion=[2]),
    }
    ledger.record(summary(data) | {"source": source}, made)
    return ledger, data


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_bytes(CSV.encode())
    return path


def test_untouched_cells_keep_their_text(csv: Path) -> None:
    ledger, _ = _audit(csv, label=" y ")
    ledger.apply()
    made = ledger.export(csv.with_name("out.csv"))
    assert (made.rows, made.inert, made.exact) == (4, 0, True)
    lines = CSV.splitlines(keepends=True)
    assert made.path.read_bytes().decode().splitlines(keepends=True) == [
        lines[0], '1.50,"a, b",dog\r\n', " 2.0,,cat\r\n", lines[3], lines[5],
    ]  # fmt: skip


def test_after_undoing_everything_the_export_is_the_input(csv: Path) -> None:
    ledger, _ = _audit(csv, label=" y ")
    ledger.apply()
    ledger.undo(everything=True)
    assert ledger.export(csv.with_name("out.csv")).path.read_bytes() == csv.read_bytes()


def test_before_any_change_the_export_is_the_input(csv: Path) -> None:
    ledger, _ = _audit(csv, label=" y ")
    assert ledger.export(csv.with_name("out.csv")).path.read_bytes() == csv.read_bytes()
    assert ledger.versions() == []


@pytest.mark.parametrize(
    "name", ["data.jsonl", "data.jsonl.gz", "data.parquet", "data.arrow", "data.tsv", "data.csv.gz"]
)
def test_every_format_comes_back_byte_for_byte(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = dataset().table
    rows = table.to_pylist()
    if "json" in name:
        text = "".join(json.dumps(row) + "  \n" for row in rows).encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    elif name.endswith("parquet"):
        pq.write_table(table, path, row_group_size=5, compression="gzip")
    elif name.endswith("arrow"):
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=5)
    else:
        mark = "\t" if "tsv" in name else ","
        text = "\n".join(mark.join(map(str, row)) for row in [table.column_names, *(r.values() for r in rows)]).encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    data = load(str(path), label="label")
    ledger, _ = _audit(path, {"label": relabelled(data, [0, 1, 2])}, label="label")
    ledger.apply()
    treated = ledger.export(tmp_path / f"treated{''.join(path.suffixes)}").path
    assert load(str(treated), label="label").table.equals(ledger.current().table)
    ledger.undo(everything=True)
    back = ledger.export(tmp_path / f"back{''.join(path.suffixes)}").path
    plain = gzip.decompress if name.endswith("gz") else bytes
    assert plain(back.read_bytes()) == plain(path.read_bytes())


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".tsv", ".arrow", ""])
def test_the_suffix_tells_the_format(tmp_path: Path, suffix: str) -> None:
    data = dataset()
    ledger = audited(
        tmp_path, data, {"label": relabelled(data, [1]), "duplicate": found(data, "duplicate", [4], suggestion=[3])}
    )
    ledger.apply()
    out = ledger.export(tmp_path / f"out{suffix}").path
    back = load(str(out), label="label")
    assert back.table.to_pylist() == ledger.current().table.to_pylist()
    assert back.table.column_names == data.table.column_names


def test_values_are_spelled_as_the_source_spells_them(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,good\n1,yes\n2,no\n3,yes\n4,no\n5,yes\n")
    data = load(str(path), label="good")
    ledger, _ = _audit(
        path, {"label": found(data, "label", [0, 1], suggestion=[1 - c for c in data.codes[:2]])}, label="good"
    )
    ledger.apply()
    out = ledger.export(tmp_path / "out.csv").path
    assert out.read_text() == "x,good\n1,no\n2,yes\n3,yes\n4,no\n5,yes\n"


def test_numbers_are_spelled_as_the_source_spells_them(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,y\n1,1.0\n2,2.0\n3,1.0\n4,2.0\n" + "5,1.0\n6,2.0\n" * 20)
    data = load(str(path), label="y")
    ledger, _ = _audit(path, {"label": found(data, "label", [0], suggestion=[1])}, label="y")
    ledger.apply()
    assert ledger.export(tmp_path / "out.csv").path.read_text() == path.read_text().replace("1,1.0", "1,2.0", 1)


def test_shards_become_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "a.csv").write_text("x,y\n1.0,a\n2.0,b\n")
    (folder / "b.csv").write_text("x,y\n3.0,a\n4.0,b\n")
    source = str(folder / "*.csv")
    data = load(source, label="y")
    ledger = Ledger.open(tmp_path / ".dross", create=True)
    run = summary(data) | {"source": {"path": source, "format": "csv", "options": {"label": "y"}}}
    ledger.record(run, {"label": found(data, "label", [2], suggestion=[1])})
    ledger.apply()
    assert ledger.export(tmp_path / "out.csv").path.read_text() == "x,y\n1.0,a\n2.0,b\n3.0,b\n4.0,b\n"
    with pytest.raises(DrossError, match="never changes a source"):
        ledger.export(folder / "c.csv")


def test_weights_are_a_new_last_column(csv: Path) -> None:
    data = load(str(csv), label=" y ")
    ledger, _ = _audit(csv, {"outlier": found(data, "outlier", [1], precision=0.75)}, label=" y ")
    ledger.apply("outlier=reweight")
    made = ledger.export(csv.with_name("out.csv"))
    assert not made.exact
    lines = made.path.read_text().splitlines()
    assert lines[0].endswith(",dross_weight")
    assert [line.rpartition(",")[2] for line in lines[1:]] == ["1.0", "0.25", "1.0", "1.0", "1.0"]


def test_nothing_of_dross_is_exported(tmp_path: Path) -> None:
    data = dataset()
    ledger = audited(tmp_path, data, {"label": relabelled(data, [1])})
    ledger.apply()
    out = ledger.export(tmp_path / "out.parquet").path
    table = pq.read_table(out)
    assert table.column_names == data.table.column_names
    assert not any(b"dross" in key for key in (table.schema.metadata or {}))


def test_probabilities_given_at_load_are_not_exported(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "data.csv"
    path.write_text("x,y\n1,a\n2,b\n3,a\n4,b\n")
    np.save(tmp_path / "probs.npy", np.full((4, 2), 0.5, np.float32))
    options = {"label": "y", "pred_probs": str(tmp_path / "probs.npy")}
    data = load(str(path), **options)
    ledger, _ = _audit(path, {"label": found(data, "label", [0], suggestion=[1])}, **options)
    ledger.apply()
    assert ledger.current().has(Role.PROBS)
    assert ledger.export(tmp_path / "out.csv").path.read_text() == "x,y\n1,b\n2,b\n3,a\n4,b\n"
    assert pq.read_table(ledger.export(tmp_path / "out.parquet").path).column_names == ["x", "y"]


def test_formulas_are_made_inert_unless_verbatim(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('x,note,y\n1,"=HYPERLINK(""http://x"")",a\n2,fine,b\n3,-5,a\n')
    ledger, _ = _audit(path, {"outlier": found(load(str(path), label="y"), "outlier", [1])}, label="y")
    made = ledger.export(tmp_path / "out.csv")
    assert made.inert == 1
    assert "'=HYPERLINK" in made.path.read_text()
    made = ledger.export(tmp_path / "verbatim.csv", verbatim=True)
    assert (made.inert, made.path.read_bytes()) == (0, path.read_bytes())


# ---- where it may be written ----------------------------------------------------------------------------------------


def test_only_an_export_is_replaced(csv: Path) -> None:
    ledger, _ = _audit(csv, label=" y ")
    out = csv.with_name("out.csv")
    ledger.export(out)
    ledger.apply()
    ledger.export(out)
    assert len(out.read_text().splitlines()) == 5
    out.write_text("mine now\n")
    with pytest.raises(DrossError, match="it may be yours"):
        ledger.export(out)
    assert out.read_text() == "mine now\n"
    folder = csv.with_name("hf")
    ledger.export(folder)
    ledger.undo(everything=True)
    ledger.export(folder)
    assert len(load(str(folder), label=" y ")) == 5


def test_the_source_and_the_workspace_are_not_written_to(csv: Path) -> None:
    ledger, _ = _audit(csv, label=" y ")
    link = csv.with_name("link.csv")
    link.symlink_to(csv)
    for out in (csv, link):
        with pytest.raises(DrossError):
            ledger.export(out)
    with pytest.raises(DrossError, match="inside the workspace"):
        ledger.export(ledger.workspace / "out.csv")
    assert csv.read_bytes() == CSV.encode()


def test_an_unknown_suffix_and_a_missing_folder(csv: Path) -> None:
    ledger, _ = _audit(csv, label=" y ")
    with pytest.raises(DrossError, match=r"suffix '.xlsx' names no format"):
        ledger.export(csv.with_name("out.xlsx"))
    with pytest.raises(DrossError, match="no folder"):
        ledger.export(csv.parent / "nowhere" / "out.csv")


def test_a_full_disk_leaves_no_half_export(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, _ = _audit(csv, label=" y ")
    before = sorted(csv.parent.iterdir())

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for suffix in (".csv", ".parquet", ""):
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(DrossError, match="No space left"):
            ledger.export(csv.with_name(f"out{suffix}"))
        monkeypatch.undo()
        assert sorted(csv.parent.iterdir()) == before


def test_the_current_folder_does_not_matter(csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(csv.parent)
    ledger, _ = _audit(Path(csv.name), label=" y ")
    workspace = ledger.workspace.absolute()
    monkeypatch.chdir("/")
    ledger = Ledger.open(workspace)
    ledger.apply()
    ledger.undo(everything=True)
    assert ledger.export(tmp_path / "out.csv").path.read_bytes() == csv.read_bytes()
