"""``dross label`` beyond rules: annotators, language models, automatic labels, what to label next."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dross.ledger import Ledger
from tests.ledger.made import dross
from tests.llm.served import FENCE, Does, row_of, served

JOB = """
servers:
  - url: "{url}"
    model: tiny
    key_variable: ""
    retries: 1
    timeout: {timeout}
    concurrency: 2
    price: {{sent: 1, answered: 1}}
classes: [ham, spam]
task: Is it spam?
{more}
"""


def answer(body: dict[str, Any], number: int) -> Does:
    return Does(json.dumps({"label": "spam" if "prize" in row_of(body) else "ham"}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    words = ["{} the meeting at {}", "{} a free prize {}"]
    given = [("ham", "spam")[t] if i < 80 else "" for i, t in enumerate(truth)]
    said = np.where(rng.random((200, 3)) < 0.85, truth[:, None], 1 - truth[:, None])
    lines = [
        f"m{i},{words[t].format(i, i)},{','.join(('ham', 'spam')[v] for v in row)},{1 + i % 2},{g}\n"
        for i, (t, row, g) in enumerate(zip(truth, said, given, strict=True))
    ]
    Path("mail.csv").write_text("id,text,ann,bob,cy,cost,label\n" + "".join(lines))
    return tmp_path


def job(url: str, more: str = "", timeout: int = 30) -> None:
    Path("job.yaml").write_text(JOB.format(url=url, more=more, timeout=timeout))


ROLES = ("--text", "text", "--role", "id=id")


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_annotators_their_quality_and_where_another_opinion_is_wanted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("label", "mail.csv", *ROLES, "--votes", "ann,bob,cy", "--again", "7")
    assert dross(*words, "--label", "label", "--out", "out.parquet", "--json") == 0
    found = told(capsys)
    assert {one["name"] for one in found["rules"]} == {"ann", "bob", "cy"}
    assert all(one["measured"][0] > 0.7 for one in found["rules"])
    table = pq.read_table("out.parquet")
    order = table.column("dross_ask_again").to_pylist()
    assert sorted(n for n in order if n is not None) == list(range(1, 8))
    assert [one["row"] for one in found["ask_again"]] == [order.index(n) for n in range(1, 8)]
    votes = np.array([table.column(name).to_pylist() for name in ("ann", "bob", "cy")])
    assert all(len(set(votes[:, one["row"]])) == 2 for one in found["ask_again"])  # those they dispute
    assert dross(*words) == 0
    assert "Another opinion is worth most on these 7 rows" in capsys.readouterr().out


def test_votes_in_a_file_of_their_own_do_not_swell_the_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("votes.csv").write_text("item,who,label\n" + "".join(f"m{i},w{i % 5},ham\nm{i},x,spam\n" for i in range(200)))
    assert dross("label", "mail.csv", *ROLES, "--votes-file", "votes.csv", "--out", "out.parquet", "--json") == 0
    assert len(told(capsys)["rules"]) == 6
    assert [n for n in pq.read_table("out.parquet").column_names if not n.startswith("dross")] == [
        "id", "text", "ann", "bob", "cy", "cost", "label",
    ]  # fmt: skip


@pytest.mark.parametrize("sources", [("--votes", "ann,bob,cy"), ()])
def test_what_can_be_is_labelled_and_people_get_the_rest(
    folder: Path, capsys: pytest.CaptureFixture[str], sources: tuple[str, ...]
) -> None:
    words = ("label", "mail.csv", *ROLES, *sources, "--label", "label", "--auto", "0.9")
    assert dross(*words, "--dry-run", "--json") == 0
    said = told(capsys)["automatic"]
    assert said["automatic"] + said["review"] == 120
    assert not Path(".dross").exists()
    assert dross(*words, "--out", "out.parquet") == 0
    captured = capsys.readouterr()
    assert "Automatic at 0.9" in captured.out
    table = pq.read_table("out.parquet")
    marked = np.array(table.column("dross_automatic").to_pylist())
    assert marked.sum() == said["automatic"] > 0
    assert not marked[:80].any()
    assert set(table.column("dross_set").to_pylist()[0]) <= {"ham", "spam"}
    with Ledger.open(".dross") as ledger:
        now = ledger.current()
        assert (now.codes >= 0).sum() == 80 + said["automatic"]
        if said["review"]:
            assert ledger.run()["issues"]["label"]["findings"] == said["review"]
    assert Path("mail.csv").read_text().count(",\n") == 120  # the user's file is untouched


def test_the_next_rows_and_the_budget(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("label", "mail.csv", *ROLES, "--label", "label")
    assert dross(*words, "--next", "12", "--out", "next.csv") == 0
    assert "Label these 12 rows next" in capsys.readouterr().out
    lines = Path("next.csv").read_text().splitlines()
    assert (len(lines), lines[0].split(",")[-1]) == (13, "dross_order")
    assert all(line.split(",")[-2] == "" for line in lines[1:])  # none has a label yet
    assert dross(*words, "--next", "9", "--cost", "cost", "--strategy", "margin", "--json") == 0
    assert told(capsys)["spent"] <= 9
    assert dross(*words, "--votes", "ann", "--budget", "40", "--cost-ratio", "4", "--json") == 0
    found = told(capsys)
    assert found["regime"] in ("quantity", "quality", "mixed")
    assert 0.05 < found["noise"] < 0.3  # read off the votes


def test_the_cost_first_then_the_answers_within_the_limit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("label", "mail.csv", *ROLES, "--llm", "job.yaml")
    with served(answer) as seen:
        job(seen.url)
        assert dross(*words, "--estimate", "--json") == 0
        most = told(capsys)["tiny"]["most"]
        assert (most["requests"], len(seen)) == (200, 0)
        assert not Path(".dross").exists()
        job(seen.url, "limits: {requests: 50}")
        assert dross(*words, "--out", "out.parquet") == 1
        assert "the budget is used up" in capsys.readouterr().out
        assert len(seen) == 50
        assert pq.read_table("out.parquet").column("dross_label").drop_null().length() == 50
        job(seen.url)
        assert dross(*words, "--estimate") == 0
        assert "200 prompts, 50 of them answered already" in capsys.readouterr().out
        assert dross(*words, "--label", "label", "--auto", "0.9", "--out", "out.parquet") == 0
        assert len(seen) == 200
        said = capsys.readouterr()
    assert "together: 100 %" in said.out
    assert "120 rows labelled automatically" in " ".join(said.err.split())
    assert pq.read_table("out.parquet").column("dross_label").drop_null().length() == 200


def test_a_language_model_is_one_more_source(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(answer) as seen:
        job(seen.url)
        assert dross("label", "mail.csv", *ROLES, "--votes", "ann,bob", "--llm", "job.yaml", "--json") == 0
    found = told(capsys)
    assert [one["name"] for one in found["rules"]] == ["ann", "bob", "job"]
    assert found["language_models"]["labelled"] == 200


def dies(body: dict[str, Any], number: int) -> Does:
    return answer(body, number) if number <= 60 else Does(reset=True)


def limits_the_rate(body: dict[str, Any], number: int) -> Does:
    return answer(body, number) if number <= 60 else Does(status=429, headers={"Retry-After": "9999"})


def hangs(body: dict[str, Any], number: int) -> Does:
    return answer(body, number) if number <= 60 else Does(sleep=4)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [(dies, "closed the connection"), (limits_the_rate, "asks to wait"), (hangs, "no answer within 2 s")],
)
def test_a_server_that_fails_half_way_loses_nothing(
    folder: Path, behaviour: Callable[..., Does], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("label", "mail.csv", *ROLES, "--llm", "job.yaml", "--out", "out.parquet")
    with served(behaviour) as seen:
        job(seen.url, timeout=2 if behaviour is hangs else 30)
        assert dross(*words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert why in said
    kept = int(re.findall(r"answers that came \((\d+)\) are kept", said)[0])
    assert 0 < kept <= 60
    assert not Path("out.parquet").exists()
    with served(answer) as seen:
        job(seen.url)
        assert dross(*words) == 0
        assert len(seen) == 200 - kept
    assert pq.read_table("out.parquet").column("dross_label").null_count == 0


def test_garbage_is_counted_and_the_rest_is_labelled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def garbage(body: dict[str, Any], number: int) -> Does:
        row = FENCE.findall(str([m["content"] for m in body["messages"]]).replace("\\n", "\n"))[-1][1]
        return Does("<html>") if "7" in row else answer(body, number)

    with served(garbage) as seen:
        job(seen.url)
        assert dross("label", "mail.csv", *ROLES, "--llm", "job.yaml", "--out", "out.parquet") == 0
    assert "without an answer" in capsys.readouterr().out
    missing = pq.read_table("out.parquet").column("dross_label").null_count
    assert missing == sum("7" in str(i) for i in range(200))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--estimate"], "--estimate is about language models"),
        (["--llm", "none.yaml"], "cannot be read"),
        (["--llm", "job.yaml", "--dry-run"], "paid for twice"),
        (["--auto", "1.5"], "cannot be promised"),
        (["--auto", "0.9", "--votes", "ann", "--role", "label="], "no row has a given label"),
        (["--votes", "ann", "--next", "5", "--again", "2"], "label nothing"),
        (["--next", "0", "--label", "label"], "above 0"),
        (["--next", "5", "--label", "label", "--cost", "price"], "no column 'price'"),
        (["--next", "5", "--label", "label", "--strategy", "margn"], "did you mean 'margin'"),
        (["--budget", "5", "--label", "label"], "cannot be tried out"),
        (["--votes-file", "mail.csv", "--role", "id=text"], "not in the data"),
    ],
)
def test_mistakes_exit_with_2_and_leave_nothing(
    folder: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job("http://127.0.0.1:9/v1")
    before = sorted(Path().iterdir())
    assert dross("label", "mail.csv", *words, *(ROLES[:2] if "id=text" in words else ROLES)) == 2
    assert problem in " ".join(capsys.readouterr().err.split())
    assert sorted(Path().iterdir()) == before
