"""The page on labels: its files, commands and examples work as they stand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dross.label.llm_annotation import LlmAnnotation
from dross.llm.job import read_job
from dross.llm.prompts import ClassName
from tests.ledger.made import dross
from tests.llm.served import Does, row_of, served

PAGE = Path(__file__).resolve().parents[2] / "docs" / "labelling.md"
ROWS = [
    "free prize win now 0800123,eve,POS,0.9,spam",
    "hi there,bob,NEG,0.9,ham",
    "CALL ME,zoe,NEG,0.1,ham",
    "a long friendly letter about the garden and dogs,zoe,NEG,0.95,",
]


def answer(body: dict[str, Any], number: int) -> Does:
    return Does(json.dumps({"label": "spam" if "prize" in row_of(body) else "ham"}))


def files(blocks: list[tuple[str, str]], url: str) -> None:
    """The page's own files, and data for its commands."""
    for _, text in blocks:
        if named := re.match(r"# ((?:rules|job|mine)\.\w+)\n", text):
            Path(named[1]).write_text(text.replace("http://localhost:8000/v1", url))
    Path("senders.csv").write_text("sender,label\neve,spam\nbob,ham\n")
    body = "".join(f"{row.split(',')[0]},{len(row.split(',')[0])},{','.join(row.split(',')[1:])}\n" for row in ROWS)
    Path("data.csv").write_text("text,length,sender,prediction,score,label\n" + body * 5)
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    said = np.where(rng.random((60, 3)) < 0.8, truth[:, None], 1 - truth[:, None])
    lines = [f"t{i},tweet number {i},{','.join('ab'[v] for v in row)}\n" for i, row in enumerate(said)]
    Path("tweets.csv").write_text("id,text,ann,bob,cy\n" + "".join(lines))
    votes = [f"t{i},w{j},{'ab'[v]}\n" for i, row in enumerate(said) for j, v in enumerate(row)]
    Path("votes.csv").write_text("item,worker,label\n" + "".join(votes))
    x = rng.normal(size=(200, 2)) + 3 * rng.integers(0, 2, 200)[:, None]
    known = [("low", "high")[int(a + b > 3)] if i < 120 else "" for i, (a, b) in enumerate(x)]
    lines = [f"{a:.3f},{b:.3f},{1 + i % 3},{y}\n" for i, ((a, b), y) in enumerate(zip(x, known, strict=True))]
    Path("some.csv").write_text("a,b,minutes,label\n" + "".join(lines))
    Path("mail.csv").write_text("text\n" + "win a prize\nsee you at lunch\nprize draw\n")


def test_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    printed = ""
    with served(answer) as seen:
        files(blocks, seen.url)
        for kind, text in blocks:
            for line in text.splitlines() if kind == "sh" else ():
                before = len(seen)
                assert dross(*shlex.split(line)[1:]) == 0, (line, capsys.readouterr().err)
                printed += capsys.readouterr().out
                if "--estimate" in line:
                    assert len(seen) == before
        assert len(seen) == 6  # two templates on three rows, asked once
    assert "7 sources on 20 rows" in printed
    assert "Automatic at 0.9" in printed
    assert pq.read_table("labelled.parquet").column("dross_label").to_pylist()[:2] == ["spam", "ham"]
    assert pq.read_table("answered.parquet").column("dross_label").to_pylist() == ["spam", "ham", "spam"]
    assert Path("consensus.csv").read_text().startswith("id,text,ann,bob,cy,dross_label,")
    assert len(Path("next.csv").read_text().splitlines()) == 6
    for name in ("labelled.parquet", "consensus.csv"):
        Path(name).unlink()
    examples = [text for kind, text in blocks if kind == "python" and "dross.load" in text]
    assert len(examples) == 4
    for text in examples:
        exec(text, {})  # noqa: S102 - the page's own example
    assert pq.read_table("labelled.parquet").num_rows == 20


def test_the_template_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files(re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL), "http://localhost:8000/v1")
    Path("job.yaml").write_text(Path("job.yaml").read_text().replace("[direct, question]", "[mine.yaml]"))
    (template,) = LlmAnnotation(**read_job("job.yaml")).templates
    assert not isinstance(template, str)
    assert (template.name, template.version) == ("mine", 1)
    asked = template.messages("x", task="Which?", classes=[ClassName("a"), ClassName("b")])
    assert asked[0].text == 'Which? Answer with JSON: {"label": "…"}, one of: a, b.'
