"""What the tests of the filters share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dross.core.step import Rows, RowStep


def judged(step: RowStep, texts: list[str], **columns: Any) -> list[str]:
    """The reason for each text, empty where it is kept."""
    rows = Rows(pa.table({"text": pa.array(texts, pa.string()), **columns}), "text")
    with tempfile.TemporaryDirectory() as folder:
        step.prepare(Path(folder))
        verdict = step.judge(rows, step.ready(Path(folder)))
    return [step.reasons[i] if i >= 0 else "" for i in verdict.reason.tolist()]


def check_batches(step: RowStep, texts: list[str], **columns: Any) -> None:
    """Raise AssertionError where the verdict, its number or a changed text depends on where batches are cut."""
    table = pa.table({"text": pa.array(texts, pa.large_string()), **columns})
    with tempfile.TemporaryDirectory() as folder:
        step.prepare(Path(folder))
        ready = step.ready(Path(folder))
        whole = step.judge(Rows(table, "text"), ready)
        for size in (1, 7, 1000):
            parts = [step.judge(Rows(table.slice(a, size), "text"), ready) for a in range(0, len(texts), size)]
            assert np.array_equal(np.concatenate([part.reason for part in parts]), whole.reason)
            values = np.concatenate([part.value for part in parts if part.value is not None])
            assert np.array_equal(values, whole.value, equal_nan=True)
            for name, column in whole.changed.items():
                assert [text for part in parts for text in part.changed[name].to_pylist()] == column.to_pylist()
        none = step.judge(Rows(table.slice(0, 0), "text"), ready)
        assert len(none.reason) == 0
