from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.ledger.made import dross
from tests.weak.made import GOLD, TEXTS, python, yaml


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f'"{text}",{len(text)},{label}\n' for text, label in zip(TEXTS, GOLD, strict=True)]
    Path("data.csv").write_text("text,length,label\n" + "".join(rows * 4))
    yaml(tmp_path, "rules:\n  - {name: prize, label: spam, keywords: [free, win]}\n", "more.yaml")
    python(
        tmp_path,
        """
        @labeling_function
        def short(row):
            return "ham" if row["length"] < 10 else None

        @labeling_function
        def fragile(row):
            return {"ok": "ham", "hello mum": "spam"}[row["text"]]
        """,
    )
    return tmp_path


RULES = ("--rules", "rules.py", "--rules", "more.yaml", "--text", "text")


def test_the_analysis_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("label", "data.csv", *RULES, "--label", "label", "--model", "majority") == 0
    said = capsys.readouterr().out
    assert "3 sources on 24 rows" in said
    assert "right on" in said
    assert "fragile (" in said
    assert "16 rows: KeyError: 'win a free prize' (first on row 0)" in said
    assert "fragile and short differ on 4 rows" in said or "short and fragile differ on 4 rows" in said
    assert not Path("out.parquet").exists()


def test_labels_are_written_and_replaced_only_where_they_are_ours(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dross("label", "data.csv", *RULES, "--model", "majority", "--out", "out.parquet") == 0
    assert "24 rows, 20 of them labelled, written to out.parquet" in " ".join(capsys.readouterr().err.split())
    table = pq.read_table("out.parquet")
    assert table.column_names[:3] == ["text", "length", "label"]
    assert table.column("dross_label").to_pylist()[:6] == ["spam", "ham", "spam", None, "spam", "ham"]
    assert dross("label", "data.csv", *RULES, "--model", "majority", "--out", "out.parquet") == 0  # our own
    Path("out.parquet").write_bytes(b"mine")
    assert dross("label", "data.csv", *RULES, "--out", "out.parquet") == 2
    assert "the file exists" in capsys.readouterr().err
    assert Path("out.parquet").read_bytes() == b"mine"
    assert dross("label", "data.csv", *RULES, "--out", "data.csv") == 2
    assert Path("data.csv").read_text().startswith("text,length,label\n")


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("label", "data.csv", *RULES, "--label", "label", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 24
    assert told["labelled"] == 20
    assert {rule["name"]: rule["failed"] for rule in told["rules"]} == {"short": 0, "fragile": 16, "prize": 0}
    assert told["rules"][2]["measured"][0] == 1.0


def test_a_dry_run_leaves_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(Path().iterdir())
    assert dross("label", "data.csv", *RULES, "--out", "out.csv", "--dry-run") == 0
    assert "would be written" in " ".join(capsys.readouterr().err.split())
    assert sorted(Path().iterdir()) == before


def test_columns_of_votes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("votes.csv").write_text("x,a,b,c\n" + "1,0,0,\n2,1,1,0\n3,,1,1\n" * 5)
    assert dross("label", "votes.csv", "--votes", "a,b,c", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["labelled"], told["disputed"]) == (15, 15, 5)
    assert not Path(".dross").exists()


def test_a_rule_that_is_left_out_exits_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python(folder, "@labeling_function\ndef bad(row):\n    return 1 / 0\n", "bad.py")
    assert dross("label", "data.csv", *RULES, "--rules", "bad.py") == 1
    said = capsys.readouterr().out
    assert "bad is left out: it failed on every row" in said
    assert "ZeroDivisionError: division by zero (first on row 0)" in said


def test_the_votes_are_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for again in (False, True):
        assert dross("label", "data.csv", *RULES, "--json") == 0
        told = {rule["name"]: rule["reused"] for rule in json.loads(capsys.readouterr().out)["rules"]}
        assert told == {"short": again, "fragile": False, "prize": again}  # what raised is asked again


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "neither a rule nor a column of votes"),
        (["--rules", "none.py"], "no such file of rules"),
        (["--rules", "data.csv"], "no kind of rules"),
        ([*RULES, "--model", "magic"], "no label model 'magic'"),
        ([*RULES, "--classes", "ham,eggs"], "there is no class 'spam'"),
        ([*RULES, "--balance", "ham=much"], "gives no share"),
        ([*RULES, "--balance", "ham=0.9,spam=0.9"], "adds up to 1.8"),
        ([*RULES, "--timeout", "0"], "timeout above 0"),
        ([*RULES, "--out", "nowhere/out.csv"], "no folder"),
        ([*RULES, "--out", "out.xlsx"], "names no format"),
        ([*RULES, "--out", ".dross/out.csv"], "inside the workspace"),
        (["--votes", "a,b"], "no column 'a'"),
    ],
)
def test_mistakes_exit_with_2(folder: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(Path().iterdir())
    assert dross("label", "data.csv", *words) == 2
    assert problem in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before


def test_text_of_the_data_and_of_rules_cannot_act_on_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python(
        folder, "@labeling_function(name='a\\x1b[31mb')\ndef bad(row):\n    raise ValueError('x\\x1b[2Jy')\n", "bad.py"
    )
    dross("label", "data.csv", *RULES, "--rules", "bad.py")
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    assert "\x1b" not in captured.err
