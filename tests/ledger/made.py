"""Small audited datasets for the tests of the ledger, made without running an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dross.calibrate.assessment import Assessment
from dross.core.dataset import Dataset
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.job.table import tabulate
from dross.ledger import Ledger

CLASSES = ("ant", "bee", "cat")


def dataset(n: int = 12, *, key: bool = False, seed: int = 0) -> Dataset:
    """Rows of a text, a number and a label, all distinct; with or without a key column."""
    rng = np.random.default_rng(seed)
    columns = {
        "text": [f"row {i} {rng.integers(1000)}" for i in range(n)],
        "size": rng.normal(size=n).round(3),
        "label": [CLASSES[c] for c in rng.integers(0, len(CLASSES), n)],
    }
    roles = {Role.TEXT: ["text"], Role.FEATURES: ["size"], Role.LABEL: ["label"]}
    if key:
        columns = {"name": [f"k{i}" for i in range(n)], **columns}
        roles[Role.ID] = ["name"]
    return Dataset(pa.table(columns), roles)


def found(
    data: Dataset,
    issue: str,
    rows: Sequence[int],
    *,
    suggestion: Sequence[Any] | None = None,
    precision: float | Sequence[float] = 0.95,
    flagged: Sequence[bool] | bool = True,
    method: str = "some-method",
    score: float = 0.9,
) -> pa.Table:
    """A findings table as an audit would store it."""
    m = len(rows)
    kind = Issue(issue)
    values = None if suggestion is None else np.asarray(suggestion)
    scores = np.full(m, score, np.float32)
    one = Assessment(
        issue=kind,
        findings=Findings(kind, np.asarray(rows, np.int64), scores, suggestion=values),
        methods=(method,),
        method=np.zeros(m, np.int8),
        flagged=np.broadcast_to(np.asarray(flagged, bool), m),
        expected_precision=np.broadcast_to(np.asarray(precision, np.float32), m),
    )
    return tabulate(data, one)


def summary(data: Dataset, **more: Any) -> dict[str, Any]:
    """The part of a run's summary that the ledger reads."""
    source = data.source and {"path": data.source.path, "format": data.source.format, "options": {}}
    return {
        "time": "2026-01-01T00:00:00+00:00",
        "command": "dross audit",
        "source": source,
        "rows": len(data),
        "fingerprint": data.fingerprint(),
        "issues": {},
        **more,
    }


def audited(folder: Path, data: Dataset, tables: Mapping[str, pa.Table]) -> Ledger:
    """A ledger with one run in it."""
    ledger = Ledger.open(folder / ".dross", create=True)
    ledger.record(summary(data), tables, data=data)
    return ledger


def other(label: str) -> int:
    """The code of the class after this one: a wrong label's suggestion."""
    return (CLASSES.index(label) + 1) % len(CLASSES)


def relabelled(data: Dataset, rows: Sequence[int], **more: Any) -> pa.Table:
    """Label findings on some rows that suggest the next class."""
    given = data.column(Role.LABEL).to_pylist()
    return found(data, "label", rows, suggestion=[data.classes.index(CLASSES[other(given[r])]) for r in rows], **more)


def labels(data: Dataset) -> list[Any]:
    """The labels as they stand."""
    values: list[Any] = data.column(Role.LABEL).to_pylist()
    return values


def audited_file(folder: Path, text: str = "x,y\n1,a\n2,b\n3,a\n4,b\n5,a\n6,b\n") -> Ledger:
    """A CSV file with one audit in ``.dross`` beside it: two labels to change, one copy to drop, one outlier."""
    from dross.io import load

    path = folder / "data.csv"
    path.write_text(text)
    data = load(str(path), label="y")
    tables = {
        "label": found(data, "label", [0, 1], suggestion=[1, 0]),
        "duplicate": found(data, "duplicate", [4], suggestion=[2]),
        "outlier": found(data, "outlier", [3, 5], flagged=[True, False]),
    }
    source = {"path": str(path), "format": "csv", "options": {"label": "y"}}
    ledger = Ledger.open(folder / ".dross", create=True)
    ledger.record(summary(data) | {"source": source}, tables)
    return ledger


def dross(*words: str) -> int:
    """Run a command in this process; its exit code."""
    import sys

    from dross.cli import main

    given, sys.argv = sys.argv, ["dross", *words]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = given
    return 0
