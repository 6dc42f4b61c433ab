"""Votes in a file of their own."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.models.votes import votes_of
from dross.weak.long import with_votes


def data() -> Dataset:
    table = pa.table({"key": ["k1", "k2", "k3"], "text": ["a", "b", "c"], "ann": ["x", None, "y"]})
    return Dataset(table, {Role.ID: ["key"], Role.TEXT: ["text"], Role.VOTES: ["ann"]})


def test_each_annotator_becomes_a_column_beside_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("item,who,said\nk2,bob,x\nk1,bob,y\nk2,text,y\nk3,bob,\nk2,bob,y\n")
    found = with_votes(data(), path)
    assert found.roles[Role.VOTES] == ("ann", "bob", "annotator text")
    assert found.table.column("bob").to_pylist() == ["y", "y", None]  # the last of two counts
    assert found.table.column("annotator text").to_pylist() == [None, "y", None]
    assert (found.row_ids == data().row_ids).all()
    assert votes_of(found, Role.VOTES).classes == ["x", "y"]


def test_rows_without_ids_are_named_by_position(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text('{"row": 2, "who": 7, "label": 1}\n{"row": 0, "who": 7, "label": 0}\n')
    bare = Dataset(pa.table({"text": ["a", "b", "c"]}), {Role.TEXT: ["text"]})
    assert with_votes(bare, path).table.column("7").to_pylist() == ["0", None, "1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item,said\nk1,x\n", "three columns"),
        ("item,who,said\nk1,a,x\nk9,a,x\n", "not in the data, the first on 'k9'"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(text)
    with pytest.raises(DrossError, match=said):
        with_votes(data(), path)
