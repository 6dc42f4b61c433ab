"""The page on rules: its files and commands work as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.ledger.made import dross

PAGE = Path(__file__).resolve().parents[2] / "docs" / "labelling.md"


def test_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for _, text in blocks:
        if named := re.match(r"# (rules\.\w+)\n", text):
            Path(named[1]).write_text(text)
    Path("senders.csv").write_text("sender,label\neve,spam\nbob,ham\n")
    rows = [
        "free prize win now 0800123,eve,POS,0.9,spam",
        "hi there,bob,NEG,0.9,ham",
        "CALL ME,zoe,NEG,0.1,ham",
        "a long friendly letter about the garden and dogs,zoe,NEG,0.95,",
    ]
    body = "".join(f"{row.split(',')[0]},{len(row.split(',')[0])},{','.join(row.split(',')[1:])}\n" for row in rows)
    Path("data.csv").write_text("text,length,sender,prediction,score,label\n" + body * 5)
    for kind, text in blocks:
        if kind == "sh":
            assert dross(*shlex.split(text)[1:]) == 0, capsys.readouterr().err
    assert "7 sources on 20 rows" in capsys.readouterr().out
    labels = pq.read_table("labelled.parquet").column("dross_label").to_pylist()
    assert labels[:2] == ["spam", "ham"]
    Path("labelled.parquet").unlink()
    (python,) = (text for kind, text in blocks if kind == "python" and "dross.load" in text)
    exec(python, {})  # noqa: S102 - the page's own example
    assert pq.read_table("labelled.parquet").num_rows == 20
