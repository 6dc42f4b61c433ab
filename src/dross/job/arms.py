"""The three arms of a proof: what was changed, the same changes given to random rows, and the splits they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.hashing import Hashes, combine
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.ledger.state import WEIGHT
from dross.models.folds import UNITS_PER_FOLD, components
from dross.signals.content_hash import ContentHash, first_of_each
from dross.signals.embedding import Embedding

Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
TEST_NAMES = ("test", "testing", "heldout", "held-out", "held_out", "holdout", "eval", "evaluation")
VALIDATION_NAMES = ("validation", "valid", "val", "dev")
FOLDS = 5
MOST_GROUPS = 50
"""More values than this make no groups to compare."""
_CARRIED = (Role.SPLIT, Role.ID, Role.GROUP, Role.DOMAIN, Role.TIME, Role.PROBS)


@dataclass(frozen=True)
class Changes:
    """What the treatment did to each raw row.

    Attributes
    ----------
    before, after
        The outcome of each row as it was and as it became, shape (n,): class codes counting through ``classes``, or
        targets; NaN where missing.
    dropped
        Rows that the treated data no longer has, shape (n,), bool.
    weight
        How much each row counts after the treatment, shape (n,); 1 in the raw data.
    moved, shift
        Rows whose content was edited, ascending, and by how much their vectors moved, shape (m, d).
    classes
        The classes of raw and treated together; None for regression.
    """

    before: Numbers
    after: Numbers
    dropped: npt.NDArray[np.bool_]
    weight: Numbers
    moved: Rows
    shift: Vectors
    classes: list[Any] | None

    @property
    def relabelled(self) -> npt.NDArray[np.bool_]:
        """Rows that stayed and whose outcome is another one, shape (n,)."""
        both_missing = np.isnan(self.before) & np.isnan(self.after)
        return np.asarray((self.before != self.after) & ~both_missing & ~self.dropped)

    @property
    def reweighted(self) -> npt.NDArray[np.bool_]:
        """Rows that stayed and count for more or less than one, shape (n,)."""
        return np.asarray((self.weight != 1.0) & ~self.dropped)

    @property
    def edited(self) -> npt.NDArray[np.bool_]:
        """Rows that were changed in any way, shape (n,)."""
        out = self.dropped | self.relabelled | self.reweighted
        out[self.moved] = True
        return out

    @property
    def kind(self) -> Rows:
        """The class of each row before any edit, -1 where missing, shape (n,); all zero in regression."""
        if self.classes is None:
            return np.zeros(len(self.before), np.int64)
        return np.nan_to_num(self.before, nan=-1.0).astype(np.int64)

    def counts(self) -> dict[str, int]:
        """How many edits of each action."""
        name = "relabel" if self.classes is not None else "retarget"
        counted = {"drop": self.dropped, name: self.relabelled, "reweight": self.reweighted}
        named = {action: int(rows.sum()) for action, rows in counted.items()} | {"content": len(self.moved)}
        return {action: count for action, count in named.items() if count}


def align(raw: Dataset, treated: Dataset) -> Rows:
    """The position in ``treated`` of each raw row, -1 where it was dropped, shape (n,); rows are matched by their ids.

    >>> from dross.testing.planted import blobs
    >>> data = blobs(40).data
    >>> align(data, data.take(np.array([2, 0])))[:4].tolist()
    [1, -1, 0, -1]
    """
    order = np.argsort(raw.row_ids, kind="stable")
    spot = np.minimum(np.searchsorted(raw.row_ids[order], treated.row_ids), max(len(raw) - 1, 0))
    known = raw.row_ids[order[spot]] == treated.row_ids if len(raw) else np.zeros(len(treated), bool)
    if not known.all():
        raise DrossError(
            f"{int((~known).sum())} of the {len(treated)} treated rows are not among the raw rows",
            fix="prove compares edits of the same rows: give the treated data its raw row ids",
        )
    out = np.full(len(raw), -1, np.int64)
    out[order[spot]] = np.arange(len(treated))
    return out


def outcomes(parts: list[Dataset]) -> tuple[list[Numbers], list[Any] | None]:
    """The class codes (or targets) of several datasets on one scale, NaN where missing; and the classes (or None)."""
    first = parts[0]
    if first.has(Role.TARGET) and not first.has(Role.LABEL):
        return [part.target for part in parts], None
    if not first.has(Role.LABEL):
        raise DrossError(
            f"a proof needs a label or a target to predict, and this is {first.task} data",
            fix="name the column with label=COLUMN or target=COLUMN",
        )
    kind = first.column(Role.LABEL).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    chunks = [chunk for part in parts for chunk in _cast(part, first.name_of(Role.LABEL), kind).chunks]
    joint = Dataset(pa.table({"y": pa.chunked_array(chunks, kind)}), {Role.LABEL: ["y"]})
    codes = np.where(joint.codes >= 0, joint.codes, np.nan).astype(np.float64)
    return np.split(codes, np.cumsum([len(part) for part in parts])[:-1]), joint.classes


def _cast(data: Dataset, column: str, kind: pa.DataType) -> pa.ChunkedArray:
    if column not in data.table.column_names:
        raise DrossError(f"no column {column!r} as in the raw data", fix=nearest(column, data.table.column_names))
    try:
        return data.table.column(column).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        fix = f"give it as {kind}, as in the raw data"
        raise DrossError(f"the column does not fit: {error}", where=f"column {column!r}", fix=fix) from None


def changed_content(raw: Dataset, treated: Dataset, where: Rows) -> Rows:
    """Positions of the raw rows that stayed and whose content differs, ascending."""
    kept = np.flatnonzero(where >= 0)
    differs = np.zeros(len(kept), bool)
    for name in raw.content:
        differs |= raw.hashes(name)[kept] != treated.hashes(name)[where[kept]]
    return kept[differs]


def rows_like(raw: Dataset, other: Dataset) -> pa.Table:
    """The rows of another dataset as a table with the raw columns; only those without a role may be missing."""
    carried = {column for role, columns in raw.roles.items() if role in _CARRIED for column in columns}
    needed = {column for columns in raw.roles.values() for column in columns} - carried
    absent = set(raw.table.column_names) - needed - set(other.table.column_names)
    return pa.table(
        {
            field.name: pa.nulls(len(other), field.type)
            if field.name in absent
            else _cast(other, field.name, field.type)
            for field in raw.table.schema
        }
    )


@dataclass(frozen=True)
class Material:
    """Everything the repeats draw on: the raw rows followed by the rows of a test set of the user's own, if any.

    Attributes
    ----------
    vectors
        One vector per row, shape (n + t, d), measured on the raw data, so that the arms differ in nothing else.
    truth
        The uncleaned outcome of each row, shape (n + t,), NaN where missing.
    changes
        What was done to the first n rows.
    families
        Rows of one family are copies or belong to one group: they never stand on both sides, shape (n + t,).
    group
        The group each row is judged in (worst-group accuracy), shape (n + t,), -1 where unknown.
    train, test
        Positions to draw from; ``test`` is None where every repeat draws its own.
    """

    vectors: Vectors
    truth: Numbers
    changes: Changes
    families: Rows
    group: Rows
    train: Rows
    test: Rows | None


def gather(raw: Dataset, treated: Dataset, test: Dataset | None, signals: Signals) -> Material:
    """Line the datasets up and measure all of them in the raw data's embedding."""
    where = align(raw, treated)
    moved = changed_content(raw, treated, where)
    (before, now, *rest), classes = outcomes([raw, treated] + ([test] if test is not None else []))
    after = before.copy()
    after[where >= 0] = now[where[where >= 0]]
    added = [rows_like(raw, treated.take(where[moved]))] if len(moved) else []
    added += [rows_like(raw, test)] if test is not None else []
    whole = raw.append(pa.concat_tables(added)) if added else raw
    measured = signals.derive(whole) if added else signals
    vectors = np.asarray(measured[Embedding()], np.float32)
    n, m = len(raw), len(moved)
    places = np.concatenate([np.arange(n), np.arange(n + m, len(whole))])
    shift = vectors[n : n + m] - vectors[moved]
    changes = Changes(before, after, where < 0, _weights(treated, where), moved, shift, classes)
    kept = whole.take(places) if m else whole
    truth = np.concatenate([before, *rest])
    train, held = _sides(raw, truth)
    families = _families(kept, np.asarray(measured[ContentHash()])[places])
    return Material(vectors[places], truth, changes, families, _groups(kept), train, held)


def _weights(treated: Dataset, where: Rows) -> Numbers:
    """The weight of each raw row in the treated data; 1 where it has none."""
    out = np.ones(len(where))
    if WEIGHT in treated.table.column_names:
        given = treated.numbers(WEIGHT)
        bad = np.flatnonzero(~np.isfinite(given) | (given < 0))
        if len(bad):
            fix = "weights are numbers of zero or more"
            raise DrossError(f"the weight {given[bad[0]]} cannot be used", where=f"row {bad[0]}", fix=fix)
        out[where >= 0] = given[where[where >= 0]]
    return out


def _sides(raw: Dataset, truth: Numbers) -> tuple[Rows, Rows | None]:
    """Which rows may train, and which are the fixed test rows: those given, or those of the raw data's own split."""
    n = len(raw)
    parts = splits_of(raw)
    names = [name.strip().lower() for name in parts.names]
    held, aside = (
        np.isin(parts.codes, [i for i, name in enumerate(names) if name in known])
        for known in (TEST_NAMES, VALIDATION_NAMES)
    )
    given = np.arange(n, len(truth))[np.isfinite(truth[n:])]
    if len(truth) > n:
        return np.flatnonzero(~held & ~aside), given
    if not held.any():
        held, aside = aside, held
    if not held.any() or (held | aside).all():
        return np.arange(n), None
    return np.flatnonzero(~held & ~aside), np.flatnonzero(held & np.isfinite(truth))


def _families(data: Dataset, content: Hashes) -> Rows:
    """Join rows of equal content, and rows of one unit of sampling (a patient, not a sex).

    Where more than half of the rows equal another one, the content has few values and equality is no sign of copying.
    """
    n = len(data)
    twins = first_of_each(content) if data.content else np.arange(n)
    ties = [twins if 2 * len(np.unique(twins)) >= n else np.arange(n)]
    for column in data.roles.get(Role.GROUP, ()):
        if _names_units(data, column):
            first, known = first_of_each(data.hashes(column)), data.table.column(column).is_valid().to_numpy()
            ties.append(np.where(known, first, np.arange(n)))
    return components(ties)


def _names_units(data: Dataset, column: str) -> bool:
    """Whether a group column names units of sampling: many values, none of which holds more rows than a test part."""
    known = data.table.column(column).is_valid().to_numpy()
    sizes = np.unique(data.hashes(column)[known], return_counts=True)[1]
    return len(sizes) >= UNITS_PER_FOLD * FOLDS and bool(sizes.max() * FOLDS <= known.sum())


def _groups(data: Dataset) -> Rows:
    """The combined value of the domain and of the groups that are traits; -1 everywhere where there are none."""
    columns = [
        c for c in (*data.roles.get(Role.DOMAIN, ()), *data.roles.get(Role.GROUP, ())) if not _names_units(data, c)
    ]
    traits = [hashes for c in columns if 1 < len(np.unique(hashes := data.hashes(c))) <= MOST_GROUPS]
    if not traits:
        return np.full(len(data), -1, np.int64)
    return np.asarray(np.unique(combine(traits, len(data)), return_inverse=True)[1], np.int64)


def splits(material: Material, repeats: int, share: float, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Training and test rows of each repeat, ascending; no family stands on both sides.

    Without fixed test rows, a ``share`` of the families is drawn for the test, spread over the classes. With them, the
    same share of the training families is left out each time, so that the repeats show what the choice of training
    rows does.
    """
    families, pool = material.families, material.train
    if material.test is not None:
        pool = pool[~np.isin(families[pool], families[material.test])]
    names, first, member = np.unique(families[pool], return_index=True, return_inverse=True)
    kind = material.changes.kind[pool[first]]
    every = max(2, round(1 / share))
    for _ in range(repeats):
        order = np.lexsort((rng.random(len(names)), kind))
        out = np.zeros(len(names), bool)
        out[order[(np.arange(len(names)) + rng.integers(every)) % every == 0]] = True
        left = pool[out[member]]
        test = left[np.isfinite(material.truth[left])] if material.test is None else material.test
        yield pool[~out[member]], test


@dataclass(frozen=True)
class Arm:
    """What one model is trained on: vectors (m, d), outcomes (m,), none missing, and weights (m,)."""

    X: Vectors
    y: Numbers
    weight: Numbers


def arms(material: Material, train: Rows, rng: np.random.Generator) -> dict[str, Arm]:
    """The raw, treated and placebo versions of the training rows.

    The placebo gives each edit that fell on a training row to a random training row of the same class (to any row in
    regression): as many drops from every class, as many changes from every class to every other, as many rewritten
    rows. If the real edits were random, treated and placebo would be two draws of one thing. Where errors depend on the
    class, such a placebo may itself help, for it undoes part of the shift between classes: a strict rival.
    """
    edited = train[material.changes.edited[train]]
    chosen = placebo_rows(train, edited, material.changes.kind, rng)
    return {
        "raw": _arm(material, train, edited[:0], edited[:0]),
        "treated": _arm(material, train, edited, edited),
        "placebo": _arm(material, train, edited, chosen),
    }


def placebo_rows(train: Rows, edited: Rows, kind: Rows, rng: np.random.Generator) -> Rows:
    """A random training row of the same class for each edited row, each used at most once, shape (len(edited),).

    >>> kind = np.array([0, 0, 1, 1, 1])
    >>> rows = placebo_rows(np.arange(5), np.array([0, 3]), kind, np.random.default_rng(0))
    >>> kind[rows].tolist()
    [0, 1]
    """
    shuffled = rng.permutation(train)
    shuffled = shuffled[np.argsort(kind[shuffled], kind="stable")]
    own = kind[edited]
    order = np.argsort(own, kind="stable")
    rank = np.empty(len(edited), np.int64)
    rank[order] = np.arange(len(edited)) - np.searchsorted(own[order], own[order])
    return np.asarray(shuffled[np.searchsorted(kind[shuffled], own) + rank], np.int64)


def _arm(material: Material, train: Rows, edits: Rows, targets: Rows) -> Arm:
    """The training rows after the edit of row ``edits[i]`` was done to row ``targets[i]``."""
    changes = material.changes
    y, weight = changes.before.copy(), np.ones(len(changes.before))
    gone = np.zeros(len(y), bool)
    gone[targets] = changes.dropped[edits]
    kept = ~changes.dropped[edits]
    e, t = edits[kept], targets[kept]
    y[t], weight[t] = changes.after[e], changes.weight[e]
    if changes.classes is None:
        shifted = changes.before[t] + changes.after[e] - changes.before[e]
        y[t] = np.where((e == t) | ~np.isfinite(shifted), changes.after[e], shifted)
    rows = train[~gone[train] & np.isfinite(y[train])]
    X = np.array(material.vectors[rows])
    e, t = edits[np.isin(edits, changes.moved)], targets[np.isin(edits, changes.moved)]
    e, t = e[np.isin(t, rows)], t[np.isin(t, rows)]
    X[np.searchsorted(rows, t)] += changes.shift[np.searchsorted(changes.moved, e)]
    return Arm(X, y[rows], weight[rows])
