"""The desk: queues, items and decisions of several people on a small audited dataset."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import dross
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.ledger import Ledger
from dross.ledger.opinions import Overtaken
from dross.review import overviews
from dross.review.desk import Desk
from dross.review.queue import Filter, State
from dross.testing.planted import blobs
from tests.ledger.made import audited, dataset, found, relabelled

N = 30


def at_desk(folder: Path, needed: int = 1) -> Desk:
    data = dataset(N)
    scores = np.linspace(0.99, 0.51, 20)
    tables = {
        "label": relabelled(data, range(20), precision=scores),
        "duplicate": found(data, "duplicate", [3, 7], suggestion=[1, 2]),
        "outlier": found(data, "outlier", [5]),
    }
    ledger = audited(folder, data, {})
    issues = {i: {"meaning": "m", "findings": t.num_rows, "flagged": t.num_rows} for i, t in tables.items()}
    summary = ledger.run() | {"issues": issues}
    ledger.record(summary, tables, data=data)
    return Desk.open(folder / ".dross", needed=needed)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return at_desk(tmp_path)


def test_the_likeliest_comes_first_and_decided_rows_go(desk: Desk) -> None:
    assert [desk.next("label", after=row) for row in (None, 0, 19)] == [0, 1, 0]
    desk.decide("label", [0, 1], "keep", author="ada")
    assert desk.next("label") == 2
    assert desk.heading("label").decided == 2
    assert desk.next("label", Filter(state="decided")) == 0
    desk.decide("label", list(range(2, 20)), "drop", author="ada")
    assert desk.next("label") is None


def test_accepting_relabels_or_drops(desk: Desk) -> None:
    before = desk.data.table["label"].to_pylist()
    suggested = desk.queue("label").table["suggestion"].to_pylist()
    desk.decide("label", [0, 4], "accept", author="ada")
    desk.decide("duplicate", [3], "accept", author="ada")
    now = desk.ledger.current()
    labels = dict(zip(now.row_ids.tolist(), now.table["label"].to_pylist(), strict=True))
    ids = desk.data.row_ids.tolist()
    assert (labels[ids[0]], labels[ids[4]]) == (suggested[0], suggested[4]) != (before[0], before[4])
    assert ids[3] not in labels


def test_a_new_label_and_a_new_text(desk: Desk) -> None:
    desk.decide("label", [2], "relabel", "dog", author="ada")
    desk.decide("label", [2], "set", "a better text", field="text", author="ada")
    row = desk.ledger.current().table.slice(2, 1).to_pylist()[0]
    assert (row["text"], row["label"]) == ("a better text", desk.data.table["label"][2].as_py()), (
        "the last opinion holds"
    )


@pytest.mark.parametrize(
    ("rows", "says", "value", "words"),
    [
        ([], "keep", None, "no row is chosen"),
        ([N], "keep", None, f"there is no row {N}"),
        ([-1], "keep", None, "there is no row -1"),
        ([1], "approve", None, "no opinion is called 'approve'"),
        ([25], "accept", None, "nothing is suggested here"),
    ],
)
def test_what_makes_no_sense_is_refused(desk: Desk, rows: list[int], says: str, value: str | None, words: str) -> None:
    with pytest.raises(DrossError, match=words):
        desk.decide("label", rows, says, value)
    assert not list(desk.ledger.log())
    with pytest.raises(DrossError, match=r"no findings of the kind 'lable'.*'label'"):
        desk.queue("lable")


def test_preview_tells_and_writes_nothing(desk: Desk) -> None:
    desk.decide("label", [1], "unsure", author="ada")
    shown = desk.preview("label", [0, 1, 2, 25], "accept")
    assert (shown.rows, shown.without, shown.before) == (4, 1, 1)
    assert sum(shown.changes.values()) == 3
    assert all(words.startswith("relabel to ") for words in shown.changes)
    assert desk.heading("label").unsure == 1
    assert desk.heading("label").decided == 0


def test_undo_and_redo_without_limit(desk: Desk) -> None:
    start = desk.ledger.current().fingerprint()
    states = [start]
    for row in range(10):
        desk.decide("label", [row, row + 1], "accept" if row % 2 else "drop", author="ada")
        states.append(desk.ledger.current().fingerprint())
    desk.decide("label", [15], "drop", author="bob")
    desk.undo("bob")
    for state in states[-2::-1]:
        assert desk.undo("ada") is not None
        assert desk.ledger.current().fingerprint() == state
    assert desk.undo("ada") is None
    for state in states[1:]:
        assert desk.redo("ada") is not None
        assert desk.ledger.current().fingerprint() == state
    assert desk.redo("ada") is None
    assert desk.heading("label").decided == 11


def test_two_desks_see_each_other(tmp_path: Path) -> None:
    one, two = at_desk(tmp_path), Desk.open(tmp_path / ".dross")
    seen = two.item("label", 3).seen
    one.decide("label", [3], "drop", author="ada", seen=one.item("label", 3).seen)
    with pytest.raises(Overtaken, match="ada"):
        two.decide("label", [3], "keep", author="bob", seen=seen)
    two.refresh()
    assert two.item("label", 3).state == "decided"
    assert [(o.author, o.says) for o in two.item("label", 3).opinions] == [("ada", "drop")]
    two.decide("label", [3], "keep", author="bob", seen=two.item("label", 3).seen)
    one.refresh()
    assert len(one.ledger.current()) == N


def test_two_opinions_needed(tmp_path: Path) -> None:
    desk = at_desk(tmp_path, needed=2)
    desk.decide("label", [0], "drop", author="ada")
    assert desk.item("label", 0).state == "open"
    assert desk.next("label", author="ada") == 1
    assert desk.next("label", author="bob") == 0
    assert len(desk.ledger.current()) == N
    desk.decide("label", [0], "keep", author="bob")
    assert desk.item("label", 0).state == "disputed"
    desk.decide("label", [0], "drop", author="cleo")
    assert desk.item("label", 0).state == "decided"
    assert len(desk.ledger.current()) == N - 1
    desk.undo("cleo")
    assert len(desk.ledger.current()) == N
    found = desk.agreement("label")
    assert found.people == {"ada": 1, "bob": 1}
    assert found.split == [0]


def test_nobody_is_asked_twice_when_all_is_said(tmp_path: Path) -> None:
    desk = at_desk(tmp_path, needed=2)
    desk.decide("outlier", [5], "drop", author="ada")
    assert desk.next("outlier", author="ada") is None
    assert desk.next("outlier", author="bob") == 5


def test_many_at_once_lose_nothing(desk: Desk) -> None:
    errors = []

    def work(name: str, rows: range) -> None:
        try:
            for row in rows:
                desk.decide("label", [row], "drop", author=name)
        except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"p{i}", range(i, 20, 4))) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(desk.ledger.current()) == N - 20
    assert desk.heading("label").decided == 20
    table = desk.decisions()
    assert sorted(table["row"].to_pylist()) == list(range(20))
    assert set(table["author"].to_pylist()) == {"p0", "p1", "p2", "p3"}


def test_a_checked_sample_measures(desk: Desk) -> None:
    first = desk.sample("label", 10, seed=1)
    assert first.measured.precision[1:] == (0.0, 1.0)
    truth = {row: row < 15 for row in first.rows}
    for row in first.rows[1:3]:
        desk.decide("label", [row], "drop" if truth[row] else "keep", author="ada")
    assert desk.sample("label", 10, seed=1).done == {}, "the first row has been passed over"
    for row in first.rows:
        desk.decide("label", [row], "drop" if truth[row] else "keep", author="ada")
    done = desk.sample("label", 10, seed=1)
    assert done.done == truth
    assert sum(done.drawn.values()) == 10
    low, high = done.measured.precision[1:]
    assert low <= 15 / 20 <= high
    assert high - low < 1
    more = desk.sample("label", 20, seed=1)
    assert more.rows[:10] == first.rows
    assert len(more.done) == 10


def test_decisions_teach_the_queue(tmp_path: Path) -> None:
    made = blobs(400, flipped=0.15, seed=3)
    dross.audit(made.data, only=["confident-learning", "neighbour-credibility"], workspace=tmp_path / "w")
    desk = Desk.open(tmp_path / "w")
    before = desk.queue("label").chances.copy()
    for _ in range(12):
        row = desk.next("label")
        assert row is not None
        desk.decide("label", [row], "keep", author="ada")
    desk.teacher.wait()
    after = desk.queue("label").chances
    assert after.mean() < before.mean(), "all were false alarms, so the rest is less likely wrong"
    assert desk.map() is not None
    assert len(desk.clusters()) > 1
    desk.close()


def test_history_has_a_line_for_each_step(desk: Desk) -> None:
    desk.decide("label", [0, 1, 2], "drop", author="ada")
    desk.comment("label", [4], "look", author="bob")
    desk.undo("ada")
    lines = desk.history()
    assert [(line["author"], line["action"], line["rows"], line["undoes"]) for line in lines] == [
        ("ada", "drop", 3, True),
        ("bob", "comment", 1, False),
        ("ada", "drop", 3, False),
    ]
    assert [line["standing"] for line in lines] == [3, 1, 0]


def test_the_history_counts_rows_not_edits(desk: Desk) -> None:
    for row in range(6):
        desk.decide("label", [row], "keep", author="ada")
    desk.decide("label", list(range(20)), "accept", author="ada")
    desk.decide("label", [3], "relabel", "dog", author="ada")
    lines = desk.history(2)
    assert [(line["action"], line["rows"], line["undoes"]) for line in lines] == [
        ("relabel", 1, False),
        ("relabel", 20, False),
    ]
    assert [line["standing"] for line in lines] == [1, 19]
    assert len(desk.history()) == 8
    assert desk.history(1)[0]["first"] == 3


def test_a_row_asks_for_more_opinions(desk: Desk) -> None:
    desk.decide("label", [0], "drop", author="ada")
    assert len(desk.ledger.current()) == N - 1
    desk.ask("label", [0, 1], 2, author="bob")
    item = desk.item("label", 0)
    assert (item.needed, item.state) == (2, "open")
    assert [one.says for one in item.comments] == ["ask"]
    assert desk.item("label", 2).needed == 1
    assert len(desk.ledger.current()) == N, "one opinion does not decide any more"
    assert desk.next("label", author="ada") == 1
    assert desk.next("label", author="bob") == 0
    desk.decide("label", [0], "keep", author="bob")
    assert desk.item("label", 0).state == "disputed"
    desk.decide("label", [0], "drop", author="cleo")
    assert (desk.item("label", 0).state, len(desk.ledger.current())) == ("decided", N - 1)
    desk.decide("label", [1], "drop", author="ada")
    desk.undo("ada")
    desk.undo("bob")  # his opinion
    assert desk.undo("bob") is not None  # his question
    assert desk.item("label", 1).needed == 1
    desk.redo("bob")
    assert desk.item("label", 1).needed == 2
    assert desk.decisions()["says"].to_pylist().count("ask") == 2
    other = Desk.open(desk.ledger.workspace)
    assert (other.item("label", 1).needed, other.item("label", 0).state) == (2, desk.item("label", 0).state)
    with pytest.raises(DrossError, match="0 opinions cannot be asked for"):
        desk.ask("label", [0], 0)


def test_whoever_asks_does_not_overtake(desk: Desk) -> None:
    seen = desk.item("label", 4).seen
    desk.ask("label", [4], 3, author="bob")
    desk.decide("label", [4], "drop", author="bob")
    desk.decide("label", [4], "keep", author="ada", seen=seen)  # an opinion among several overwrites nothing
    assert {one.author for one in desk.item("label", 4).opinions} == {"ada", "bob"}


def test_nobody_is_overtaken_by_way_of_another_issue(desk: Desk) -> None:
    seen = desk.item("duplicate", 3).seen
    desk.decide("label", [3], "relabel", "dog", author="ada")
    with pytest.raises(Overtaken, match="ada decided on this row meanwhile"):
        desk.decide("duplicate", [3], "drop", author="bob", seen=seen)
    with pytest.raises(Overtaken, match="ada decided on 1 of these rows"):
        desk.decide("outlier", [3, 5], "relabel", "cat", author="bob", seen=seen)
    desk.decide("duplicate", [3], "keep", author="bob", seen=seen)  # both hold: it is no copy, and its label is wrong
    item = desk.item("duplicate", 3)
    assert [(one.issue, [o.says for o in one.opinions]) for one in item.elsewhere] == [("label", ["relabel"])]
    desk.decide("duplicate", [3], "drop", author="bob", seen=item.seen)
    assert len(desk.ledger.current()) == N - 1


def test_a_run_is_taken_back(desk: Desk) -> None:
    before = desk.ledger.current().fingerprint()
    desk.decide("label", [0, 1], "drop", author="ada")
    desk.decide("duplicate", [3], "accept", author="bob")
    desk.take_back(author="cleo")
    assert desk.ledger.current().fingerprint() == before
    assert [one.decided for one in desk.headings()] == [0, 0, 0]
    assert desk.history(1)[0]["author"] == "cleo"
    assert desk.history(1)[0]["undoes"]


def test_a_checked_sample_corrects_the_calibration(desk: Desk) -> None:
    before = desk.calibration("label", 20, seed=1)
    assert (before.checked, before.flagged) == (0, 20)
    for row in desk.sample("label", 20, seed=1).rows:
        desk.decide("label", [row], "keep", author="ada")
    after = desk.calibration("label", 20, seed=1)
    assert after.checked > 5
    assert after.promised == before.promised
    assert after.precision[2] < before.precision[0], "all were false alarms"
    assert after.to_flag < before.to_flag
    assert overviews.kinds(desk)[0].checked == ""
    for row in desk.sample("label").rows[:5]:
        desk.decide("label", [row], "keep", author="ada")
    assert overviews.kinds(desk)[0].checked.startswith("0 % by hand")


def test_what_was_decided_before_teaches_from_the_start(tmp_path: Path) -> None:
    made = blobs(400, flipped=0.15, seed=3)
    dross.audit(made.data, only=["confident-learning", "neighbour-credibility"], workspace=tmp_path / "w")
    desk = Desk.open(tmp_path / "w")
    plain = desk.queue("label").chances.copy()
    rows = [int(row) for row in desk.queue("label").rows[np.argsort(-plain)[:12]]]
    for row in rows:
        desk.decide("label", [row], "keep", author="ada")
    desk.teacher.wait()
    desk.rescore("label")
    taught = desk.queue("label").chances
    desk.close()
    again = Desk.open(tmp_path / "w")
    assert (again.queue("label").chances == taught).all()
    assert not (taught == plain).all()
    again.close()


def test_a_lesson_that_fails_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no lesson today")

    desk.queue("label").with_chances = broken  # type: ignore[method-assign, assignment]
    desk.decide("label", list(range(12)), "keep", author="ada")
    with pytest.raises(ValueError, match="no lesson today"):
        desk.teacher.wait()
    desk.teacher.close()
    assert "could not be scored again" in caplog.text
    assert desk.heading("label").decided == 12


def test_an_item_of_a_row_that_has_several_labels(tmp_path: Path) -> None:
    data = Dataset(
        pa.table({"t": [f"text {i}" for i in range(6)], "y": [["a"], ["b"], ["a", "b"], [], ["a"], ["b"]]}),
        {Role.TEXT: ["t"], Role.LABELS: ["y"]},
    )
    table = found(data, "outlier", [0, 2])
    ledger = Ledger.open(tmp_path / ".dross", create=True)
    summary = {"rows": 6, "fingerprint": data.fingerprint(), "issues": {"outlier": {"findings": 2, "flagged": 2}}}
    ledger.record(summary, {"outlier": table}, data=data)
    desk = Desk.open(tmp_path / ".dross")
    assert desk.item("outlier", 2).labels == ["a", "b"]
    desk.decide("outlier", [2], "relabel", ["b"], author="ada")
    assert desk.ledger.current().table["y"][2].as_py() == ["b"]
    assert desk.queue("outlier").states.tolist() == [State.OPEN, State.DECIDED]
