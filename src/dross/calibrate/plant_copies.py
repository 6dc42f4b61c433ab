"""Planted copies: exact, edited, with another label, or in another split; and mixed rows that are copies of none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from dross.calibrate.editing import edited, mixed
from dross.calibrate.plant_label import draw_labels, label_array, model_outputs, noise_of
from dross.calibrate.planting import Planting
from dross.core.dataset import Dataset
from dross.core.hashing import Hashes
from dross.core.results import Issue, NotApplicable, Rows
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.signals.content_hash import ContentHash

ISSUES = (Issue.DUPLICATE, Issue.NEAR_DUPLICATE, Issue.SEMANTIC_DUPLICATE, Issue.CONFLICT, Issue.LEAKAGE)
STRENGTHS = {
    Issue.DUPLICATE: (0.0,),
    Issue.NEAR_DUPLICATE: (0.02, 0.05, 0.1),
    Issue.SEMANTIC_DUPLICATE: (0.05, 0.1, 0.2),
    Issue.CONFLICT: (0.0, 0.02, 0.05),
    Issue.LEAKAGE: (0.0, 0.02, 0.05),
}
"""The share of a row that is edited; planted copies take one each, in equal numbers."""
SHARE = 0.02
FEWEST, MOST = 60, 400
PARENTS = 5
"""Rows that a decoy is mixed from."""


def plant(
    data: Dataset, signals: Signals, issue: Issue, rng: np.random.Generator
) -> Iterator[Planting] | NotApplicable:
    """Append copies of some rows and as many mixed rows to the data."""
    if not data.content:
        return NotApplicable("no column holds content that could be copied")
    if len(data) < 20:
        return NotApplicable(f"{len(data)} rows are too few to plant copies among")
    if issue is Issue.CONFLICT and (not data.has(Role.LABEL) or len(data.classes) < 2):
        return NotApplicable("copies with another label need two classes")
    if issue is Issue.LEAKAGE and len(splits_of(data).names) < 2:
        return NotApplicable("copies in another split need two splits")
    return _variant(data, signals, issue, rng)


def _variant(data: Dataset, signals: Signals, issue: Issue, rng: np.random.Generator) -> Iterator[Planting]:
    n = len(data)
    m = min(n, int(np.clip(SHARE * n, FEWEST, MOST)))
    sources = np.sort(_choosable(data, issue, m, rng))
    one = rng.choice(n, m, replace=n < m)
    with tempfile.TemporaryDirectory() as folder:
        strengths = STRENGTHS[issue]
        parts, order = [], []
        for s, strength in enumerate(strengths):
            of_this = sources[s :: len(strengths)]
            part = edited(data, signals, of_this, strength, rng, _new(folder, f"copies-{s}"))
            parts.append(_marked(data, issue, of_this, part, signals, rng))
            order.append(of_this)
        parents = [one, *(_partners(data, one, rng) for _ in range(PARENTS - 1))]
        decoys = mixed(data, signals, parents, rng, _new(folder, "decoys"))
        # a sound row has the right label, so decoys keep that of their parents
        parts.append(decoys if issue is Issue.CONFLICT else _marked(data, issue, one, decoys, signals, rng))
        variant = data.append(pa.concat_tables(parts))
        made_from = np.concatenate(order)
        measured = signals.derive(variant, carry=model_outputs(signals))
        yield Planting(
            variant,
            measured,
            rows=n + np.arange(len(made_from)),
            sources=made_from,
            decoys=n + len(made_from) + _unlike_any(np.asarray(measured[ContentHash()]), n, m),
            pairs=True,
        )


def _unlike_any(content: Hashes, n: int, m: int) -> Rows:
    """Which of the last ``m`` rows, the decoys, equal none of the first ``n``: a decoy that does is a copy after all.

    All of them when none is left, so that a table of few distinct rows promises nothing.
    """
    unlike = np.flatnonzero(~np.isin(content[-m:], content[:n]))
    return unlike if len(unlike) else np.arange(m)


def _choosable(data: Dataset, issue: Issue, m: int, rng: np.random.Generator) -> Rows:
    """Rows a copy of which makes a defect: with a label for a conflict, in a split for leakage."""
    usable = np.arange(len(data))
    if issue is Issue.CONFLICT:
        usable = np.flatnonzero(data.codes >= 0)
    elif issue is Issue.LEAKAGE:
        usable = np.flatnonzero(splits_of(data).codes >= 0)
    return rng.choice(usable, min(m, len(usable)), replace=False)


def _partners(data: Dataset, one: Rows, rng: np.random.Generator) -> Rows:
    """Another row to mix with, of the same class where there are classes: mixtures are to look like the data."""
    if not data.has(Role.LABEL):
        return (one + rng.integers(1, len(data), len(one))) % len(data)
    by_class = np.argsort(data.codes, kind="stable")
    place = np.empty(len(data), np.int64)
    place[by_class] = np.arange(len(data))
    starts = np.searchsorted(data.codes[by_class], data.codes[one], "left")
    sizes = np.searchsorted(data.codes[by_class], data.codes[one], "right") - starts
    step = (rng.random(len(one)) * np.maximum(sizes - 1, 1)).astype(np.int64) + 1
    partners: Rows = by_class[starts + (place[one] - starts + step) % sizes]
    return partners


def _marked(
    data: Dataset, issue: Issue, rows: Rows, table: pa.Table, signals: Signals, rng: np.random.Generator
) -> pa.Table:
    """Give the new rows another label (conflict) or another split (leakage) than the rows they were made from."""
    if issue is Issue.CONFLICT:
        given = np.maximum(data.codes[rows], 0)
        return _with(
            table, data.name_of(Role.LABEL), label_array(data, draw_labels(given, noise_of(data, signals), rng))
        )
    if issue is Issue.LEAKAGE:
        parts = splits_of(data)
        k = len(parts.names)
        a_row_of = np.array([np.argmax(parts.codes == part) for part in range(k)])
        elsewhere = (np.maximum(parts.codes[rows], 0) + rng.integers(1, k, len(rows))) % k
        return _with(table, data.name_of(Role.SPLIT), data.column(Role.SPLIT).take(pa.array(a_row_of[elsewhere])))
    return table


def _with(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _new(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir()
    return path
