"""Opinions of several people against a plain model; undo and redo; what is written follows from what is said."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dross.core.errors import DrossError
from dross.ledger import Ledger
from dross.ledger.opinions import Book, Overtaken, read
from dross.ledger.store import FORMAT
from tests.ledger.made import CLASSES, audited, dataset, found, relabelled

N = 6
ROWS = st.integers(0, N - 1)
PEOPLE = st.sampled_from(["ada", "bob", "cleo"])
ISSUES = st.sampled_from(["label", "outlier"])
SAYS = st.sampled_from(["keep", "drop", "unsure", *(f"relabel {c}" for c in CLASSES)])


class Said:
    """The plain model of one opinion."""

    def __init__(self, number: int, author: str, says: str) -> None:
        self.number, self.author, self.says = number, author, says


def held(said: list[Said], needed: int) -> str | None:
    """What holds among the latest opinions of each person: by counting on fingers."""
    said = sorted(said, key=lambda one: one.number)
    if needed == 1:
        return said[-1].says if said and said[-1].says != "unsure" else None
    words = [one.says for one in said]
    winners = {w for w in words if words.count(w) * 2 > len(words) and w != "unsure"}
    return winners.pop() if len(words) >= needed and winners else None


class Opinions(RuleBasedStateMachine):
    """People speak, undo and redo in any order."""

    needed = 1

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.data = dataset(N)
        tables = {"label": relabelled(self.data, range(N)), "outlier": found(self.data, "outlier", range(N))}
        self.ledger = audited(Path(self.folder.name), self.data, tables)
        self.chain = self.ledger.chain()
        self.said: dict[tuple[str, int, str], Said] = {}
        self.undo: dict[str, list[list[tuple[tuple[str, int, str], Said | None, Said]]]] = {}
        self.redo: dict[str, list[list[tuple[tuple[str, int, str], Said | None, Said]]]] = {}
        self.count = 0
        self.since = 0
        self.seen: dict[tuple[str, int, str], str] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    @contextmanager
    def book(self) -> Iterator[Book]:
        with self.ledger.book(self.chain, "r1", self.needed) as book:
            yield book

    @rule(author=PEOPLE, issue=ISSUES, rows=st.sets(ROWS, min_size=1, max_size=3), says=SAYS)
    def say(self, author: str, issue: str, rows: set[int], says: str) -> None:
        verb, _, value = says.partition(" ")
        chosen = np.array(sorted(rows), np.int64)
        with self.book() as book:
            book.say(chosen, verb, [value or None] * len(chosen), issue=issue, author=author)
        step = []
        for row in chosen.tolist():
            self.count += 1
            cell, new = (issue, row, author), Said(self.count, author, says)
            step.append((cell, self.said.get(cell), new))
            self.said[cell] = new
        self.undo.setdefault(author, []).append(step)
        self.redo[author] = []

    @rule(author=PEOPLE)
    def take_back(self, author: str) -> None:
        with self.book() as book:
            done = book.step(author, again=False)
        steps = self.undo.get(author, [])
        assert (done is None) == (not steps)
        if steps:
            step = steps.pop()
            self.redo.setdefault(author, []).append(step)
            for cell, before, _ in step:
                self.said.pop(cell)
                if before is not None:
                    self.said[cell] = before

    @rule(author=PEOPLE)
    def say_again(self, author: str) -> None:
        with self.book() as book:
            done = book.step(author, again=True)
        steps = self.redo.get(author, [])
        assert (done is None) == (not steps)
        if steps:
            step = steps.pop()
            self.undo.setdefault(author, []).append(step)
            for cell, _, new in step:
                self.said[cell] = new

    @rule()
    def apply(self) -> None:
        self.ledger.apply("label=review")

    @invariant()
    def standing_opinions_are_those_of_the_model(self) -> None:
        whole = {(o.issue, o.row, o.author): words(o) for o in self.ledger.opinions(self.chain).opinions}
        assert whole == {cell: one.says for cell, one in self.said.items()}
        news = self.ledger.opinions(self.chain, since=self.since)
        self.since = news.newest
        self.seen = {cell: says for cell, says in self.seen.items() if cell[1] not in news.rows.tolist()}
        self.seen |= {(o.issue, o.row, o.author): words(o) for o in news.opinions}
        assert self.seen == whole, "reading only the news leads to the same"

    @invariant()
    def the_data_follow(self) -> None:
        now = self.ledger.current("r1")
        labels = dict(zip(now.row_ids.tolist(), now.table["label"].to_pylist(), strict=True))
        for row, row_id in enumerate(self.data.row_ids.tolist()):
            holds = {
                issue: held([one for (i, r, _), one in self.said.items() if (i, r) == (issue, row)], self.needed)
                for issue in ("label", "outlier")
            }
            assert (row_id not in labels) == ("drop" in holds.values())
            wanted = {says.partition(" ")[2] for says in holds.values() if says and says.startswith("relabel")}
            if row_id in labels and not ({"keep"} & set(holds.values())):
                assert labels[row_id] in (wanted or {self.data.table["label"][row].as_py()})


def words(one: Any) -> str:
    return one.says + (f" {one.value}" if one.value is not None else "")


class TwoNeeded(Opinions):
    """Two people have to agree."""

    needed = 2


class ThreeNeeded(Opinions):
    """A majority of at least three."""

    needed = 3


LIMITS = settings(max_examples=25, stateful_step_count=18, deadline=None)
TestOne, TestTwo, TestThree = Opinions.TestCase, TwoNeeded.TestCase, ThreeNeeded.TestCase
for case in (TestOne, TestTwo, TestThree):
    case.settings = LIMITS


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    data = dataset(N)
    return audited(tmp_path, data, {"label": relabelled(data, range(N))})


def say(ledger: Ledger, row: int, says: str, author: str, value: Any = None, seen: int | None = None) -> int:
    with ledger.book(ledger.chain(), "r1") as book:
        return book.say(np.array([row]), says, [value], issue="label", author=author, seen=seen)


def test_one_who_did_not_see_the_others_decision_is_told(ledger: Ledger) -> None:
    seen = ledger.opinions(ledger.chain()).newest
    say(ledger, 2, "drop", "ada", seen=seen)
    with pytest.raises(Overtaken, match="ada decided on this row meanwhile"):
        say(ledger, 2, "keep", "bob", seen=seen)
    assert [o.author for o in ledger.opinions(ledger.chain()).opinions] == ["ada"]
    say(ledger, 3, "keep", "bob", seen=seen)
    say(ledger, 2, "keep", "bob", seen=ledger.opinions(ledger.chain()).newest)
    assert len(ledger.current()) == N, "having looked again, bob may decide otherwise"


def test_a_value_that_does_not_fit_changes_nothing(ledger: Ledger) -> None:
    for says, value, field in (("set", 3.5, "missing"), ("set", "many", "size"), ("think", None, None)):
        with pytest.raises(DrossError), ledger.book(ledger.chain(), "r1") as book:
            book.say(np.array([1]), says, [value], issue="label", author="ada", field=field)
    assert list(ledger.log()) == []


def test_a_comment_decides_nothing(ledger: Ledger) -> None:
    with ledger.book(ledger.chain(), "r1") as book:
        book.remark(np.array([4]), "what is this?", issue="label", author="ada")
    said = ledger.opinions(ledger.chain()).opinions
    assert [(o.says, o.comment, o.row) for o in said] == [("comment", "what is this?", 4)]
    assert ledger.current().fingerprint() == dataset(N).fingerprint()
    with pytest.raises(DrossError, match="empty"), ledger.book(ledger.chain(), "r1") as book:
        book.remark(np.array([4]), " ", issue="label", author="ada")


def test_taking_everything_back_reopens_the_queue(ledger: Ledger) -> None:
    say(ledger, 1, "relabel", "ada", "cat")
    ledger.undo(everything=True)
    assert ledger.opinions(ledger.chain()).opinions == []
    assert ledger.current().fingerprint() == dataset(N).fingerprint()


def test_no_policy_goes_against_a_decision(ledger: Ledger) -> None:
    say(ledger, 0, "keep", "ada")
    ledger.apply()
    before, now = dataset(N).table["label"].to_pylist(), ledger.current().table["label"].to_pylist()
    assert now[0] == before[0]
    assert sum(a != b for a, b in zip(before, now, strict=True)) > 1


def test_a_workspace_of_the_first_format_is_brought_up_to_date(ledger: Ledger) -> None:
    ledger.apply()
    edits = [(e.id, e.action, e.row, e.after, e.active) for e in ledger.log()]
    connection = sqlite3.connect(ledger.workspace / "ledger.sqlite", isolation_level=None)
    for statement in (  # the tables as the first format had them
        "DROP TRIGGER edits_no_UPDATE",
        "DROP TRIGGER edits_no_DELETE",
        "DROP INDEX edits_opinions",
        "ALTER TABLE edits DROP COLUMN batch",
        "CREATE TRIGGER edits_no_UPDATE BEFORE UPDATE ON edits BEGIN SELECT RAISE(ABORT, 'append-only'); END",
        "CREATE TRIGGER edits_no_DELETE BEFORE DELETE ON edits BEGIN SELECT RAISE(ABORT, 'append-only'); END",
        "PRAGMA user_version = 1",
    ):
        connection.execute(statement)
    connection.close()
    again = Ledger.open(ledger.workspace)
    assert [(e.id, e.action, e.row, e.after, e.active) for e in again.log()] == edits
    assert all(e.batch == e.id for e in again.log())
    say(again, 1, "unsure", "ada")
    again.undo(everything=True)
    with sqlite3.connect(ledger.workspace / "ledger.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT,)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("DELETE FROM edits")
    connection.close()


def test_reading_on_costs_what_is_new_not_what_was_said(tmp_path: Path) -> None:
    data = dataset(40)
    ledger = audited(tmp_path, data, {"label": relabelled(data, range(40))})
    chain = ledger.chain()
    with ledger.book(chain, "r1") as book:
        book.say(np.arange(40), "keep", [None] * 40, issue="label", author="ada")
        plans = [
            " ".join(str(line) for line in book.connection.execute(f"EXPLAIN QUERY PLAN {asked}").fetchall())
            for asked in statements(book)
        ]
    assert plans
    assert all("SCAN edits" not in plan for plan in plans)
    assert not [plan for plan in plans if "edits_opinions (base=?)" in plan], "all that was ever said is looked through"


def statements(book: Book) -> list[str]:
    """What is asked of the table of edits while a decision is written and read, its values filled in."""
    asked: list[str] = []
    book.connection.set_trace_callback(asked.append)
    book.say(np.array([3]), "drop", [None], issue="label", author="bob")
    read(book.connection, book.base, since=40)
    book.connection.set_trace_callback(None)
    return [one for one in asked if one.startswith("SELECT") and "edits" in one]


def test_a_held_workspace_is_not_synced_whole_by_each_decision(tmp_path: Path) -> None:
    data = dataset(10)
    ledger = audited(tmp_path, data, {"label": relabelled(data, range(10))})
    chain = ledger.chain()
    log = ledger.workspace / "ledger.sqlite-wal"
    ledger.hold()
    with ledger.book(chain, "r1") as book:
        book.say(np.arange(3), "keep", [None] * 3, issue="label", author="ada")
    assert log.exists(), "the last connection to close writes the log into the database, which takes two syncs more"
    assert log.stat().st_size > 0
    ledger.close()
    assert not log.exists()
