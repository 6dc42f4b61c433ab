from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.weak import apply_rules, process, running, stored
from tests.weak.made import column, messages, python, yaml

GOOD = """
    @labeling_function
    def free(row):
        return "spam" if "free" in row["text"].lower() else None
"""


def numbers(n: int) -> Dataset:
    return Dataset(pa.table({"x": range(n)}), {Role.FEATURES: ["x"]})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", 0.2)


def test_votes_are_stored_by_the_rule_and_what_it_reads(tmp_path: Path) -> None:
    store = tmp_path / "store"
    body = (
        GOOD
        + """
    @labeling_function
    def short(row):
        return "ham" if row["length"] < 10 else None
    """
    )
    yml = yaml(tmp_path, "rules:\n  - {name: win, label: spam, keywords: win}\n")

    def reused(text: str, data: Dataset | None = None) -> dict[str, bool]:
        done = apply_rules(data or messages(), [python(tmp_path, text), yml], store=store)
        assert column(done, "win") == ["spam", None, None, None, "spam", None]
        return {source.name: source.reused for source in done.sources}

    assert reused(body) == {"free": False, "short": False, "win": False}
    assert reused(body) == {"free": True, "short": True, "win": True}
    assert reused(body.replace("< 10", "< 9")) == {"free": True, "short": False, "win": True}
    assert reused(body) == {"free": True, "short": True, "win": True}
    longer = messages()
    longer = longer.with_column("length", pa.chunked_array([[1] * 6], pa.int64()))
    assert reused(body, longer) == {"free": False, "short": False, "win": True}
    assert not list(store.glob("ruleparts*"))


def test_a_rule_that_raised_is_asked_again(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    py = python(
        tmp_path,
        f"""
    import os

    @labeling_function
    def moody(row):
        if not os.path.exists({str(flag)!r}):
            raise OSError("not there yet")
        return "a"
    """,
    )
    assert apply_rules(numbers(3), py, store=tmp_path / "s").sources[0].failed == 3
    flag.touch()
    (source,) = apply_rules(numbers(3), py, store=tmp_path / "s").sources
    assert (source.votes, source.failed, source.reused) == (3, 0, False)


def test_a_damaged_store_is_computed_again(tmp_path: Path) -> None:
    py, store = python(tmp_path, GOOD), tmp_path / "s"
    apply_rules(messages(), py, store=store)
    (array,) = store.glob("rulevotes-*/codes.npy")
    array.write_bytes(b"broken")
    (source,) = apply_rules(messages(), py, store=store).sources
    assert (source.votes, source.reused) == (2, False)


def test_a_slow_rule_goes_on_where_it_was_ended(
    tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SLICE", 0.1)
    monkeypatch.setattr(stored, "KEPT", 0.05)
    log = tmp_path / "log"
    py = python(
        tmp_path,
        f"""
    import time

    @labeling_function
    def slow(row):
        with open({str(log)!r}, "a") as out:
            out.write(f"{{row['x']}}\\n")
        time.sleep(0.002)
        return "even" if row["x"] % 2 == 0 else None
    """,
    )
    first = apply_rules(numbers(600), py, store=tmp_path / "s", timeout=0.5)
    assert first.sources[0].stopped
    early = len(log.read_text().split())
    assert 0 < early < 600
    second = apply_rules(numbers(600), py, store=tmp_path / "s", timeout=60)
    assert second.sources[0].stopped is None
    assert column(second, "slow") == ["even", None] * 300
    asked = [int(word) for word in log.read_text().split()]
    assert sorted(set(asked)) == list(range(600))
    assert len(asked) == 600  # no row twice
    assert not list((tmp_path / "s").glob("ruleparts*"))
