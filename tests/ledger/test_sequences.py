"""Random sequences of changes against a plain model of what the ledger is to do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dross.core.dataset import Dataset
from dross.io import load
from dross.ledger import Ledger
from tests.ledger.made import CLASSES, found, relabelled, summary

N = 9
ROWS = st.integers(0, N - 1)


class Changes(RuleBasedStateMachine):
    """A CSV file is audited once; then everything that changes data happens in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        self.file = root / "data.csv"
        rng = np.random.default_rng(1)
        lines = [f"{i}, {i}.50,{CLASSES[c]}" for i, c in enumerate(rng.integers(0, 3, N))]
        self.file.write_text("\r\n".join(["key,x,label", *lines]))  # no line break at the end
        self.data: Dataset = load(str(self.file), id="key", features="x", label="label")
        self.tables = {
            "label": relabelled(self.data, [0, 1, 2], precision=[0.95, 0.5, 0.99]),
            "duplicate": found(self.data, "duplicate", [2, 4], suggestion=[3, 3]),
            "outlier": found(self.data, "outlier", [3, 5], precision=[0.75, 0.5]),
        }
        self.ledger = Ledger.open(root / ".dross", create=True)
        options = {"id": "key", "features": "x", "label": "label"}
        source = {"path": str(self.file), "format": "csv", "options": options}
        self.ledger.record(summary(self.data) | {"source": source}, self.tables)
        self.edits: list[dict[str, Any]] = []  # the model: every edit in order

    def teardown(self) -> None:
        self.folder.cleanup()

    # ---- the model --------------------------------------------------------------------------------------------------

    def stands(self, edit: int) -> bool:
        return not any(self.stands(e["id"]) for e in self.edits if e["reverses"] == edit)

    def state(self) -> list[tuple[int, str, float]]:
        """The rows that are left, with label and weight."""
        rows = {i: [True, label, 1.0] for i, label in enumerate(self.data.table["label"].to_pylist())}
        for edit in self.edits:
            if edit["reverses"] or not self.stands(edit["id"]):
                continue
            row = rows[edit["row"]]
            if edit["action"] == "drop":
                row[0] = False
            elif edit["action"] == "keep":
                row[0] = True
            elif edit["action"] == "relabel":
                row[1] = edit["after"]
            else:
                row[2] = edit["after"]
        return [(i, row[1], row[2]) for i, row in rows.items() if row[0]]

    def learn(self) -> int:
        """Take the new edits over from the log; how many there are."""
        new = [edit for edit in self.ledger.log() if edit.id > len(self.edits)]
        for edit in reversed(new):
            assert edit.id == len(self.edits) + 1
            self.edits.append(
                {"id": edit.id, "row": edit.row, "action": edit.action, "after": edit.after, "reverses": edit.reverses}
            )
        return len(new)

    # ---- what may happen --------------------------------------------------------------------------------------------

    @rule(policy=st.sampled_from([None, "outlier=drop", "outlier=reweight,label=relabel", "duplicate=drop"]))
    def apply(self, policy: str | None) -> None:
        before = self.state()
        version = self.ledger.apply(policy)
        count = self.learn()
        if version is None:
            assert count == 0
        assert self.ledger.apply(policy) is None
        assert self.learn() == 0
        if policy is None:
            kept = {row for row, _, _ in self.state()}
            assert (3 in kept) == (3 in {row for row, _, _ in before})  # the twin is never dropped as a copy

    @rule(row=ROWS, action=st.sampled_from(["drop", "keep", "relabel"]), label=st.sampled_from(CLASSES))
    def decide(self, row: int, action: str, label: str) -> None:
        after = label if action == "relabel" else None
        before = len(self.edits)
        self.ledger.decide(self.data.row_ids[row : row + 1], action, after=after, author="ada")
        self.learn()
        assert len(self.edits) - before in {0, 1}

    @precondition(lambda self: self.edits)
    @rule(pick=st.integers(0, 10**6))
    def undo_one(self, pick: int) -> None:
        """Any standing edit, those that take back others included."""
        standing = [edit["id"] for edit in self.edits if self.stands(edit["id"])]
        if standing:
            self.ledger.undo(standing[pick % len(standing)])
            assert self.learn() == 1

    @precondition(lambda self: any(not e["reverses"] and self.stands(e["id"]) for e in self.edits))
    @rule()
    def undo_all_and_again(self) -> None:
        before = self.state()
        expected = sum(not e["reverses"] and self.stands(e["id"]) for e in self.edits)
        version = self.ledger.undo(everything=True)
        assert self.learn() == expected
        out = self.file.with_name("out.csv")
        self.ledger.export(out)
        assert out.read_bytes() == self.file.read_bytes()
        self.ledger.undo(version=version.number)
        assert self.learn() == expected
        assert self.state() == before

    @rule()
    def reopen(self) -> None:
        self.ledger = Ledger.open(self.ledger.workspace)

    # ---- what must always hold --------------------------------------------------------------------------------------

    @invariant()
    def the_data_is_what_the_model_says(self) -> None:
        table = self.ledger.current().table
        weights = table["dross_weight"].to_pylist() if "dross_weight" in table.column_names else [1.0] * len(table)
        rows = zip(table["key"].to_pylist(), table["label"].to_pylist(), weights, strict=True)
        assert list(rows) == self.state()

    @invariant()
    def nothing_is_ever_lost(self) -> None:
        base = self.ledger.base()
        assert base.table.equals(self.data.table)
        assert (base.row_ids == self.data.row_ids).all()
        assert [edit.active for edit in self.ledger.log()] == [self.stands(e["id"]) for e in reversed(self.edits)]

    @invariant()
    def the_newest_version_is_current_unless_decisions_wait(self) -> None:
        versions = self.ledger.versions()
        if versions and versions[-1].last_edit == len(self.edits):
            assert self.ledger.version(versions[-1].number).table.equals(self.ledger.current().table)


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
