"""What every corpus step must withstand; part of :func:`dross.testing.check_method`."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.step import Composite, Rows, RowStep, Step, Verdict

ODD = (
    "", " ", "a", "\n\n\n", "\t", "💥" * 50, "\u202e\u200b\u0000", "ﷺ", "語" * 200, "x" * 20_000, "a b " * 3000, "…",
    "{}" * 9, "e\u0301" * 30, "http://a.b/c?d=e", "\ud7ff\ue000", "<script>alert(1)</script>", "1 2 3 4 5 6 7 8 9",
)  # fmt: skip
"""Texts that a step must judge without an error."""
_PIECE = 7


def step_checks(kind: type[Step]) -> Iterator[tuple[str, Callable[[], None]]]:
    """The named checks."""
    yield "names its reasons", lambda: _named(kind)
    yield "goes to another process", lambda: _sent(kind())
    yield "withstands odd texts, and says the same again", lambda: _repeated(kind())
    if issubclass(kind, RowStep):
        yield "batches do not show", lambda: _cut(kind())


def _rows() -> Rows:
    """Plain and odd texts, some twice, with columns of other kinds."""
    plain = [f"This is the text number {i}, about the sea and the hills, and it ends here." for i in range(60)]
    texts: list[str | None] = [*plain, *ODD, *plain[:5], None, *ODD[::-1]]
    n = len(texts)
    columns = {
        "text": pa.array(texts, pa.large_string()),
        "url": pa.array([f"http://site{i % 7}.example/page/{i}" for i in range(n)]),
        "domain": pa.array([f"d{i % 3}" for i in range(n)]),
        "score": pa.array(np.linspace(0, 1, n)),
    }
    return Rows(pa.table(columns), "text")


def _prepared(step: Step, rows: Rows, folder: str) -> bool:
    """Whether the step can work as it is; one that needs files says so."""
    try:
        step.prepare(Path(folder))
        for name in step.reads():
            rows.column(name)
    except DrossError:
        return False
    if step.learns:
        step.learn(rows, Path(folder))
    return True


def _named(kind: type[Step]) -> None:
    for reason in kind.reasons:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", reason), f"the reason {reason!r} is no phrase_like_this"
    assert len(set(kind.reasons)) == len(kind.reasons), "a reason stands twice"


def _sent(step: Step) -> None:
    again = pickle.loads(pickle.dumps(step))  # noqa: S301 - made here
    assert again == step
    assert hash(again) == hash(step)


def _repeated(step: Step) -> None:
    rows = _rows()
    with TemporaryDirectory() as folder:
        if not _prepared(step, rows, folder):
            return
        ready = step.ready(Path(folder))
        first, again = step.over(_rows(), ready), step.over(_rows(), ready)
        assert first[1] == again[1], "other reasons at the second run"
        stages = step.steps() if isinstance(step, Composite) else [step]
        declared = {reason for stage in stages for reason in stage.reasons}
        assert set(first[1]) <= declared, "a reason that is not declared"
        assert np.array_equal(first[0].addresses, again[0].addresses), "other rows at the second run"
        assert first[0].table.equals(again[0].table), "other values at the second run"
        step.over(rows.where(np.zeros(len(rows), bool)), ready)


def _cut(step: RowStep) -> None:
    rows = _rows()
    with TemporaryDirectory() as folder:
        if not _prepared(step, rows, folder):
            return
        ready = step.ready(Path(folder))
        whole = step.judge(rows, ready)
        for start in range(0, len(rows), _PIECE):
            part = Rows(rows.table.slice(start, _PIECE), "text", rows.addresses[start : start + _PIECE])
            _agree(step.judge(part, ready), whole, start, len(part))


def _agree(part: Verdict, whole: Verdict, start: int, n: int) -> None:
    at = slice(start, start + n)
    assert np.array_equal(part.reason, whole.reason[at]), f"rows {start} on: other reasons in a small batch"
    if part.value is not None and whole.value is not None:
        assert np.array_equal(part.value, whole.value[at], equal_nan=True), f"rows {start} on: other numbers"
    for name in set(part.changed) & set(whole.changed):
        assert _plain(part.changed[name]) == _plain(whole.changed[name])[at], f"rows {start} on: another {name}"


def _plain(values: Any) -> list[Any]:
    found: list[Any] = values.to_pylist()
    return found
