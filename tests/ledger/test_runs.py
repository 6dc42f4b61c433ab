from __future__ import annotations

import io
import json
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dross.calibrate.assessment import Assessment
from dross.core.errors import DrossError
from dross.core.results import Findings, Issue
from dross.job.table import COLUMNS, tabulate
from dross.ledger import Ledger, workspace_for
from dross.ledger.listing import write_findings
from dross.testing.planted import blobs
from tests.ledger.made import audited, dataset, found, relabelled, summary


def test_a_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    data = dataset()
    tables = {"outlier": found(data, "outlier", [3, 7]), "label": relabelled(data, [1])}
    ledger = audited(tmp_path, data, tables)
    again = Ledger.open(ledger.workspace)
    assert again.run() == {**summary(data), "run": "r1"} == again.run("r1")
    (run,) = again.runs()
    assert (run.id, run.rows, run.source, run.fingerprint) == ("r1", 12, None, data.fingerprint())
    whole = again.findings()
    assert whole.column_names == list(COLUMNS)
    assert whole.column("issue").to_pylist() == ["label", "outlier", "outlier"]
    assert whole.column("row").to_pylist() == [1, 3, 7]
    assert again.findings(issue="label").equals(whole.slice(0, 1))


def test_findings_can_be_narrowed(tmp_path: Path) -> None:
    data = dataset()
    tables = {"label": relabelled(data, [1, 2, 3], flagged=[True, False, True]), "form": found(data, "form", [4])}
    ledger = audited(tmp_path, data, tables)
    assert ledger.findings(flagged=True).column("row").to_pylist() == [1, 3, 4]
    assert ledger.findings(issue="label", flagged=True).column("row").to_pylist() == [1, 3]
    assert ledger.findings(issue="drift").num_rows == 0
    assert ledger.findings(issue="drift").schema == ledger.findings(issue="label").schema
    with pytest.raises(DrossError, match="did you mean 'label'"):
        ledger.findings(issue="lable")


def test_evidence_comes_when_asked_for(tmp_path: Path) -> None:
    data = dataset()
    findings = Findings(
        Issue.LABEL,
        np.array([1, 2]),
        np.array([0.9, 0.8], np.float32),
        evidence={"margin": np.array([0.5, 0.25]), "probs": np.eye(3)[:2]},
    )
    one = Assessment(Issue.LABEL, findings, ("m",), np.zeros(2, np.int8), np.ones(2, bool), np.ones(2, np.float32))
    ledger = audited(tmp_path, data, {"label": tabulate(data, one)})
    table = ledger.findings(issue="label", evidence=True)
    assert table.column_names == [*COLUMNS, "evidence_margin", "evidence_probs"]
    assert table.column("evidence_probs").to_pylist() == [[1, 0, 0], [0, 1, 0]]
    with pytest.raises(DrossError, match="name one issue"):
        ledger.findings(evidence=True)


def test_runs_are_told_apart(tmp_path: Path) -> None:
    data = dataset()
    ledger = audited(tmp_path, data, {"label": relabelled(data, [1])})
    assert ledger.record(summary(data), {"label": relabelled(data, [1, 2])}) == "r2"
    assert [ledger.findings(run).num_rows for run in ("r1", "r2", None)] == [1, 2, 2]
    with pytest.raises(DrossError, match=r"there is no run 'r3'"):
        ledger.run("r3")


def test_no_run_yet(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / ".dross", create=True)
    for ask in (ledger.run, ledger.findings, ledger.apply, ledger.current):
        with pytest.raises(DrossError, match="no audit is recorded here yet"):
            ask()


@pytest.mark.parametrize("how", ["gone", "cut", "flipped"])
def test_damaged_findings_are_not_acted_on(tmp_path: Path, how: str) -> None:
    data = dataset()
    ledger = audited(tmp_path, data, {"label": relabelled(data, [1, 2])})
    file = ledger.workspace / "runs" / "r1" / "label.arrow"
    content = bytearray(file.read_bytes())
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_bytes(content[:-100])
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(DrossError, match=r"a file of the audit is (gone|damaged).*run dross audit again"):
        ledger.apply()


def test_a_damaged_base_is_not_exported(tmp_path: Path) -> None:
    data = dataset()
    ledger = audited(tmp_path, data, {"label": relabelled(data, [1, 2])})
    file = ledger.workspace / "versions" / "0.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DrossError, match="the file of version 0 is damaged"):
        Ledger.open(ledger.workspace).current()
    file.unlink()
    with pytest.raises(DrossError, match="the file of version 0 is gone"):
        Ledger.open(ledger.workspace).current()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("train.csv", ".dross"),
        ("a/train.csv", "a/.dross"),
        ("a/*.parquet", "a/.dross"),
        ("a/*/part-[0-9].csv", "a/.dross"),
        ("photos", ".dross"),
        ("a/photos/", "a/.dross"),
        ("/data/x.csv", "/data/.dross"),
        ("hf://datasets/x", ".dross"),
        (None, ".dross"),
    ],
)
def test_where_the_workspace_is(source: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DROSS_WORKSPACE", raising=False)
    assert workspace_for(source) == Path(expected)
    assert workspace_for(source, given="elsewhere") == Path("elsewhere")
    monkeypatch.setenv("DROSS_WORKSPACE", "from/outside")
    assert workspace_for(source) == Path("from/outside")
    assert workspace_for(source, given="elsewhere") == Path("elsewhere")


def test_a_file_with_wildcards_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").touch()
    assert workspace_for(tmp_path / "a[1].csv") == tmp_path / ".dross"


# ---- listings -------------------------------------------------------------------------------------------------------

HOSTILE = ['=HYPERLINK("http://x")', "-5", "@cmd", "\x1b[31mred", "a\u202eb", 'plain, "quoted"', "line\nbreak", "é"]


def _hostile() -> pa.Table:
    m = len(HOSTILE)
    return pa.table(
        {
            "row": pa.array(range(m)),
            "id": pa.array(HOSTILE),
            "issue": pa.array(["label"] * m).dictionary_encode(),
            "score": pa.array([0.95] * m, pa.float32()),
            "flagged": pa.array([True] * m),
            "suggestion": pa.array(HOSTILE[::-1]),
            "method": pa.array(["m"] * m).dictionary_encode(),
            "expected_precision": pa.array([None] * m, pa.float32()),
        }
    )


def _printed(table: pa.Table, kind: str) -> str:
    with redirect_stdout(io.StringIO()) as text:
        write_findings(table, kind, None, Path())
    return text.getvalue()


def test_hostile_cells_are_inert_in_csv() -> None:
    text = _printed(_hostile(), "csv")
    assert not {"\x1b", "\u202e"} & set(text)
    back = pyarrow.csv.read_csv(
        io.BytesIO(text.encode()),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types={"id": pa.string()}),
    )
    assert back.column_names == list(COLUMNS)
    assert back.column("id").to_pylist() == [
        '\'=HYPERLINK("http://x")', "-5", "'@cmd", "�[31mred", "a�b", 'plain, "quoted"', "line�break", "é",
    ]  # fmt: skip
    assert back.column("expected_precision").null_count == len(HOSTILE)
    assert text.splitlines()[1] == """0,"'=HYPERLINK(""http://x"")",label,0.95,true,é,m,"""


def test_json_lines_are_ascii_and_lossless() -> None:
    text = _printed(_hostile(), "json")
    assert text.isascii()
    assert text.isprintable() or set(text) - {c for c in text if c.isprintable()} == {"\n"}
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["id"] for row in rows] == HOSTILE
    assert rows[0] == {
        "row": 0, "id": HOSTILE[0], "issue": "label", "score": 0.95, "flagged": True, "suggestion": "é",
        "method": "m", "expected_precision": None,
    }  # fmt: skip


def test_no_findings_are_a_header_or_nothing() -> None:
    none = _hostile().slice(0, 0)
    assert _printed(none, "csv") == ",".join(COLUMNS) + "\n"
    assert _printed(none, "json") == ""


def test_files_of_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dross.ledger.listing.BATCH", 3)
    workspace = Ledger.open(tmp_path / ".dross", create=True).workspace
    for kind in ("csv", "json", "parquet"):
        out = tmp_path / f"f.{kind}"
        write_findings(_hostile(), kind, out, workspace)
        first = out.read_bytes()
        write_findings(_hostile(), kind, out, workspace)  # its own may be replaced
        assert out.read_bytes() == first
    assert pq.read_table(tmp_path / "f.parquet").column("id").to_pylist() == HOSTILE
    assert len((tmp_path / "f.json").read_text().splitlines()) == len(HOSTILE)
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(DrossError, match="it may be yours"):
        write_findings(_hostile(), "csv", tmp_path / "mine.csv", workspace)
    assert (tmp_path / "mine.csv").read_text() == "mine"
    with pytest.raises(DrossError, match="name a file with --out"):
        write_findings(_hostile(), "parquet", None, workspace)


# ---- size -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_million_findings(tmp_path: Path) -> None:
    n = 1_000_000
    data = blobs(n, d=1).data
    rng = np.random.default_rng(0)
    findings = Findings(
        Issue.LABEL, np.arange(n), rng.random(n).astype(np.float32), suggestion=rng.integers(0, 4, n).astype(np.int32)
    )
    flagged = findings.scores > 0.99
    one = Assessment(Issue.LABEL, findings, ("m",), np.zeros(n, np.int8), flagged, findings.scores)
    table = tabulate(data, one)
    ledger = Ledger.open(tmp_path / ".dross", create=True)
    spent = time.process_time()
    ledger.record(summary(data), {"label": table})
    recorded = time.process_time() - spent
    spent = time.process_time()
    assert ledger.findings().num_rows == n
    assert ledger.findings(flagged=True).num_rows == flagged.sum()
    asked = time.process_time() - spent
    assert recorded < 5
    assert asked < 1
