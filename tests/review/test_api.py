from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dross.core.roles import Role
from dross.review.desk import Desk
from dross.review.queue import Filter
from tests.review.conftest import HOSTILE, ROWS, Browser, signed_in


@pytest.fixture
def browser(desk: Desk) -> Browser:
    return signed_in(desk)


@pytest.fixture(scope="module")
def reader(audited: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for tests that write nothing."""
    desk = Desk.open(shutil.copytree(audited, tmp_path_factory.mktemp("read") / ".dross"))
    yield signed_in(desk)
    desk.close()


def decide(browser: Browser, rows: list[int], says: str = "keep", **more: Any) -> Any:
    answer = browser.post("/api/decisions", {"issue": "label", "rows": rows, "says": says, **more})
    assert answer.status == 200, answer.text
    return answer.json


# ---- reading --------------------------------------------------------------------------------------------------------


def test_summary(browser: Browser, desk: Desk) -> None:
    found = browser.api("/api/summary").json
    assert (found["run"], found["rows"], found["person"], found["needed"]) == ("r1", ROWS, "ada", 1)
    assert found["issues"] == browser.api("/api/issues").json
    assert [one["issue"] for one in found["issues"]] == desk.issues == ["label", "outlier", "form"]
    assert all(one["open"] == one["findings"] > 0 for one in found["issues"])


def test_a_queue_is_the_desks_in_order_and_in_stretches(browser: Browser, desk: Desk) -> None:
    queue = desk.queue("label")
    everything = [int(queue.rows[at]) for at in queue.order(Filter(state="all"))]
    rows: list[int] = []
    while len(rows) < len(queue):
        page = browser.api(f"/api/queue/label?state=all&start={len(rows)}&size=100").json
        assert (page["start"], page["total"]) == (len(rows), len(queue))
        rows += [one["row"] for one in page["rows"]]
    assert rows == everything
    first = browser.api("/api/queue/label?size=1").json["rows"][0]
    at = queue.index_of(first["row"])
    assert first["chance"] == pytest.approx(float(queue.chances[at]))
    assert first["value"] == pytest.approx(float(queue.value[at]))
    assert first["given"] == desk.data.column(Role.LABEL)[first["row"]].as_py()
    assert first["id"] == f"n{first['row']}"


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("label=tools", Filter(label="tools")),
        ("label=%3Ci%3Eplants%3C/i%3E&split=test", Filter(label="<i>plants</i>", split="test")),
        ("at_least=0.5&at_most=0.9&flagged=true", Filter(at_least=0.5, at_most=0.9, flagged=True)),
        ("text=WOLF", Filter(text="WOLF")),
        ("rows=3,5,7&state=all", Filter(rows=(3, 5, 7), state="all")),
        ("state=decided", Filter(state="decided")),
    ],
)
def test_filters(browser: Browser, desk: Desk, query: str, chosen: Filter) -> None:
    decide(browser, [5, 9])
    queue = desk.queue("label")
    page = browser.api(f"/api/queue/label?{query}&size=500").json
    assert [one["row"] for one in page["rows"]] == queue.rows[queue.order(chosen)].tolist()
    assert page["total"] == queue.count(chosen)
    assert list(page["counts"].values()) == queue.progress(chosen).tolist()
    assert browser.api(f"/api/next/label?{query}").json["row"] == desk.next("label", chosen)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/queue/label?state=odd", 422), ("/api/queue/label?at_least=2", 422),
        ("/api/queue/label?at_least=nan", 422),
        ("/api/queue/label?size=0", 422), ("/api/queue/label?size=501", 422), ("/api/queue/label?start=-1", 422),
        ("/api/queue/label?start=99999999999999999999", 422), ("/api/queue/label?rows=a", 422),
        ("/api/queue/label?rows=999999", 400), ("/api/queue/label?label=nobody", 400),
        ("/api/queue/label?cluster=0", 400),
        ("/api/queue/duplicate", 404), ("/api/queue/..%2f..%2fetc", 404), ("/api/next/nothing", 404),
        ("/api/items/label/9999", 404), ("/api/items/label/-1", 422), ("/api/items/label/x", 422),
        ("/api/items/label/99999999999999999999", 422), ("/api/texts/0/label", 404), ("/api/texts/9999/text", 404),
        ("/api/texts/0/../../etc/passwd", 404), ("/pictures/0", 404), ("/audio/0", 404), ("/api/agreement/x", 404),
        ("/api/sample/label?size=0", 422), ("/api/sample/label?seed=-1", 422), ("/api/export?format=exe", 422),
        ("/api", 404), ("/docs", 404), ("/redoc", 404), ("/static/../security.py", 404), ("/static/%2e%2e/app.py", 404),
        ("/static//etc/passwd", 404), ("/static/", 404),
    ],
)  # fmt: skip
def test_what_is_not_there(reader: Browser, path: str, status: int) -> None:
    answer = reader.api(path)
    assert answer.status == status, answer.text
    assert set(answer.json) == {"what", "where", "fix"}
    assert answer.json["what"]


def test_an_item_is_all_of_the_desks(browser: Browser, desk: Desk) -> None:
    row = desk.next("label")
    assert row is not None
    item = browser.api(f"/api/items/label/{row}").json
    made = desk.item("label", row)
    assert (item["row"], item["key"], item["accept"], item["state"]) == (row, f"n{row}", "relabel", "open")
    assert item["card"]["suggested"] == made.card.suggested
    assert item["likeliest"] == [list(one) for one in made.likeliest]
    assert len(item["card"]["neighbours"]) == 6
    assert item["seen"] == made.seen == 0


def test_hostile_texts_come_inert_in_an_item_and_whole_for_editing(browser: Browser, desk: Desk) -> None:
    for row, hostile in enumerate(HOSTILE):
        item = browser.api(f"/api/items/label/{row}")
        assert item.headers["content-type"] == "application/json"
        assert not set(item.json["texts"][0]["shown"]) & set("\u202e\u200f\x1b\x00")
        assert len(item.body) < 100_000
        whole = browser.api(f"/api/texts/{row}/text").json
        assert whole == {"row": row, "column": "text", "text": desk.data.table.column("text")[row].as_py()}
        assert whole["text"].endswith(hostile)


# ---- deciding -------------------------------------------------------------------------------------------------------


def test_a_decision_is_in_the_ledger_under_the_sessions_name(browser: Browser, desk: Desk) -> None:
    row = desk.next("label")
    assert row is not None
    suggested = desk.item("label", row).card.suggested
    done = decide(browser, [row], "accept", comment="clear")
    assert (done["issue"], done["rows"], done["counts"]["decided"]) == ("label", [row], 1)
    edits = list(desk.ledger.log())
    assert {edit.author for edit in edits} == {"ada"}
    assert next(edit for edit in edits if edit.action == "relabel").after == suggested
    assert next(edit for edit in edits if edit.action == "opinion").reason == "clear"
    item = browser.api(f"/api/items/label/{row}").json
    assert item["state"] == "decided"
    assert [(one["author"], one["says"], one["value"]) for one in item["opinions"]] == [("ada", "relabel", suggested)]


def test_nobody_can_decide_in_anothers_name(browser: Browser, desk: Desk) -> None:
    asked = {"issue": "label", "rows": [3], "says": "keep"}
    assert browser.post("/api/decisions", {**asked, "author": "eve"}).status == 422
    assert browser.post("/api/decisions?author=eve&person=eve", asked, x_person="eve").status == 200
    assert {edit.author for edit in desk.ledger.log()} == {"ada"}


def test_undo_and_redo(browser: Browser, desk: Desk) -> None:
    assert browser.post("/api/undo").json is None
    decide(browser, [3])
    decide(browser, [4], "drop")
    assert browser.post("/api/undo").json["rows"] == [4]
    assert browser.post("/api/undo").json["counts"]["decided"] == 0
    assert browser.post("/api/undo").json is None
    assert [browser.post("/api/redo").json["rows"] for _ in range(2)] == [[3], [4]]
    assert browser.post("/api/redo").json is None
    assert desk.heading("label").decided == 2


def test_two_people_at_one_row(browser: Browser, workspace: Path) -> None:
    with_other = Desk.open(workspace)  # as another process would
    bob = signed_in(with_other, "bob")
    seen = [one.api("/api/items/label/3").json["seen"] for one in (browser, bob)]
    decide(browser, [3], "drop", seen=seen[0])
    refused = bob.post("/api/decisions", {"issue": "label", "rows": [3, 4], "says": "keep", "seen": seen[1]})
    assert refused.status == 409
    assert "ada" in refused.json["what"]
    now = bob.api("/api/items/label/3").json
    assert [one["says"] for one in now["opinions"]] == ["drop"]
    assert bob.api("/api/items/label/4").json["state"] == "open"  # nothing of what was refused is written
    decide(bob, [3, 4], seen=now["seen"])
    agreeing = browser.api("/api/agreement/label").json
    assert agreeing["people"] == {"ada": 1, "bob": 2}
    assert agreeing["split"] == [3]
    assert agreeing["pairs"][0]["agreement"] == 0
    with_other.close()


def test_a_preview_writes_nothing(browser: Browser, desk: Desk) -> None:
    rows = desk.queue("label").rows[:20].tolist()
    would = browser.post("/api/preview", {"issue": "label", "rows": rows, "says": "accept"}).json
    assert (would["rows"], sum(would["changes"].values()) + would["without"]) == (20, 20)
    assert list(desk.ledger.log()) == []


def test_comments(browser: Browser) -> None:
    sent = browser.post("/api/comments", {"issue": "label", "rows": [3], "text": "<b>hm</b>"})
    assert sent.json["counts"]["decided"] == 0
    item = browser.api("/api/items/label/3").json
    assert [one["comment"] for one in item["comments"]] == ["<b>hm</b>"]
    assert browser.post("/api/comments", {"issue": "label", "rows": [3], "text": " "}).status == 400


def test_a_text_is_edited(browser: Browser, desk: Desk) -> None:
    decide(browser, [0], "set", field="text", value="what it should say \U0001f98a")
    assert desk.ledger.current().table.column("text")[0].as_py() == "what it should say \U0001f98a"
    assert browser.post("/api/undo").status == 200
    assert desk.ledger.current().table.column("text")[0] == desk.data.table.column("text")[0]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"says": "destroy"}, 422), ({"says": None}, 422), ({"rows": []}, 422), ({"rows": [-1]}, 422),
        ({"rows": [2**63]}, 422), ({"rows": ["3"], "extra": 1}, 422), ({"rows": [9999]}, 404), ({"issue": "x"}, 404),
        ({"says": "relabel"}, 400), ({"says": "set", "value": "x"}, 400),
        ({"says": "set", "field": "nope", "value": "x"}, 400),
        ({"says": "set", "field": "text", "value": {"a": 1}}, 422), ({"says": "relabel", "value": ["tools"]}, 400),
        ({"says": "set", "field": "name", "value": "n4"}, 400), ({"says": "set", "field": "text", "value": 3}, 400),
        ({"says": "relabel", "value": ""}, 400), ({"comment": "x\ud800"}, 422), ({"seen": -1}, 422),
    ],
)  # fmt: skip
def test_decisions_that_make_no_sense(reader: Browser, sent: dict[str, Any], status: int) -> None:
    answer = reader.post("/api/decisions", {"issue": "label", "rows": [3], "says": "keep", **sent})
    assert answer.status == status, answer.text
    assert answer.json["what"]
    assert reader.api("/api/history").json == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"issue": NaN}', b"[" * 100_000])
def test_bodies_that_are_no_json(reader: Browser, body: bytes) -> None:
    headers = {"origin": "http://127.0.0.1:8000", "content-type": "application/json"}
    answer = reader.send("POST", "/api/decisions", headers, [body])
    assert answer.status in {400, 422}
    assert answer.json["what"]


def test_an_error_never_repeats_what_was_sent(browser: Browser) -> None:
    answer = browser.post("/api/decisions", {"issue": "SECRET" * 100, "rows": "SECRET", "says": "SECRET"})
    assert answer.status == 422
    assert "SECRET" not in answer.text


# ---- figures and files ----------------------------------------------------------------------------------------------


def test_a_sample(browser: Browser) -> None:
    sample = browser.api("/api/sample/label?size=10&seed=3").json
    assert len(sample["rows"]) == len(sample["strata"]) == 10
    assert sample["measured"]["precision"] == {"estimate": None, "low": 0, "high": 1}
    decide(browser, sample["rows"][:4], "drop")
    again = browser.api("/api/sample/label?size=10&seed=3").json
    assert again["rows"] == sample["rows"]
    assert sum(again["drawn"].values()) == sum(again["defects"].values()) == 4


def test_the_map_and_the_history(browser: Browser) -> None:
    points = browser.api("/api/map").json
    assert len(points["rows"]) == len(points["places"]) == len(points["flagged"]) == ROWS
    assert all(0 <= value <= 1 for place in points["places"] for value in place)
    decide(browser, [3], "drop")
    steps = browser.api("/api/history").json
    assert [(one["author"], one["action"], one["rows"]) for one in steps] == [("ada", "drop", 1)]


def test_exports_hold_every_opinion(browser: Browser) -> None:
    decide(browser, [3, 4], "drop", comment="=1+1")
    decide(browser, [5])
    lines = [json.loads(line) for line in browser.api("/api/export?format=json").text.splitlines()]
    assert [(one["row"], one["says"], one["author"]) for one in lines] == [
        (3, "drop", "ada"), (4, "drop", "ada"), (5, "keep", "ada"),
    ]  # fmt: skip
    table = pq.read_table(io.BytesIO(browser.api("/api/export?format=parquet").body))
    assert table.column("row").to_pylist() == [3, 4, 5]
    answer = browser.api("/api/export?format=csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="decisions.csv"'
    assert answer.text.count("\n") == 4
    assert ",'=1+1," in answer.text  # a spreadsheet would run it


def test_static_files(browser: Browser) -> None:
    answer = browser.api("/static/htmx.min.js")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    again = browser.api("/static/htmx.min.js", if_none_match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_the_description_names_every_address(browser: Browser) -> None:
    paths = browser.api("/openapi.json").json["paths"]
    assert {path for path in paths if path.startswith("/api")} >= {
        "/api/summary", "/api/issues", "/api/queue/{issue}", "/api/next/{issue}", "/api/items/{issue}/{row}",
        "/api/decisions", "/api/preview", "/api/comments", "/api/undo", "/api/redo", "/api/texts/{row}/{column}",
        "/api/agreement/{issue}", "/api/sample/{issue}", "/api/map", "/api/history", "/api/export",
    }  # fmt: skip
    assert {"/pictures/{row}", "/audio/{row}"} <= set(paths)
    for address in json.dumps(browser.api("/openapi.json").json).split('"'):
        assert not address.startswith(("http://", "https://"))


# ---- pages of this file ---------------------------------------------------------------------------------------------


def test_people_get_pages_and_programs_json(browser: Browser) -> None:
    page = browser.get("/nowhere/<script>")
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<script" not in page.text
    assert "To the overview" in page.text
    assert browser.get("/api/nowhere").json["what"]
    assert browser.get("/nowhere", hx_request="true").json["what"]


def test_a_missing_library_is_not_needed_to_import_the_command() -> None:
    code = "import sys; sys.modules['fastapi'] = None; import dross.cli.review, dross.review.server, dross.review.media"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_copy_of_each_test_is_its_own(workspace: Path, audited: Path) -> None:
    desk = Desk.open(workspace)
    desk.decide("label", [3], "drop", author="ada")
    desk.close()
    fresh = Desk.open(shutil.copytree(audited, workspace.parent / "other"))
    assert fresh.heading("label").decided == 0
    fresh.close()


# ---- several opinions, runs, the calibration ------------------------------------------------------------------------


def test_a_row_asks_for_opinions(browser: Browser, desk: Desk) -> None:
    row = desk.next("label")
    assert row is not None
    answer = browser.post("/api/asks", {"issue": "label", "rows": [row], "opinions": 2})
    assert answer.status == 200, answer.text
    decide(browser, [row], "drop")
    item = browser.api(f"/api/items/label/{row}").json
    assert (item["needed"], item["state"], len(item["opinions"])) == (2, "open", 1)
    assert browser.api("/api/next/label").json["row"] != row, "nobody is asked twice"
    assert browser.post("/api/asks", {"issue": "label", "rows": [row], "opinions": 0}).status == 422


def test_all_that_pass_can_be_decided_at_once(browser: Browser, desk: Desk) -> None:
    found = browser.api("/api/rows/label?label=tools").json
    queue = desk.queue("label")
    assert found["total"] == len(found["rows"]) == queue.count(Filter(label="tools")) > 50
    assert found["rows"] == [int(queue.rows[at]) for at in queue.order(Filter(label="tools"))]
    done = decide(browser, found["rows"])
    assert done["counts"]["decided"] == found["total"]
    browser.post("/api/undo", {})
    assert browser.api("/api/summary").json["issues"][0]["decided"] == 0


def test_a_run_is_taken_back(browser: Browser, desk: Desk) -> None:
    decide(browser, [5, 9], "drop")
    answer = browser.post(f"/api/runs/{desk.run}/undo", {})
    assert answer.status == 200, answer.text
    assert [one["decided"] for one in answer.json["issues"]] == [0, 0, 0]
    assert browser.api("/api/history").json[0]["undoes"]
    assert browser.post("/api/runs/r99/undo", {}).status == 400


def test_a_sample_corrects_the_calibration(browser: Browser, desk: Desk) -> None:
    before = browser.api("/api/calibration/label?size=30&seed=2").json
    assert before["checked"] == 0
    for row in desk.sample("label", 30, 2).rows:
        decide(browser, [row])
    after = browser.api("/api/calibration/label?size=30&seed=2").json
    assert after["checked"] > 5
    assert after["offset"] < before["offset"] == 0, "all were false alarms"
    assert (before["flagged"], before["promised"]) == (0, None), "nothing is promised of what was not flagged"
