"""Conflicting duplicates: copies of one row that carry different labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Codes, Dataset
from dross.core.method import Detector
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.copies import Contents, Copies

Counts = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Votes:
    """The labels that each row and its copies carry.

    Attributes
    ----------
    own
        How many carry the row's own label, itself included, shape (n,); 0 where it has none.
    top, second
        How many carry the most frequent label, and the next, shape (n,).
    label
        The most frequent label, shape (n,); -1 where no copy has one.
    """

    own: Counts
    top: Counts
    second: Counts
    label: Codes


def votes(found: Contents, codes: Codes) -> Votes:
    """Count the labels of each row's equal and near copies; missing labels (-1) do not count.

    >>> none = np.empty(0, np.int64)
    >>> alone = Contents(np.array([0, 0, 0, 3]), none, none, np.empty(0, np.float32), np.empty(0, np.int8))
    >>> found = votes(alone, np.array([1, 1, 2, 2], np.int32))
    >>> found.own.tolist(), found.top.tolist(), found.second.tolist(), found.label.tolist()
    ([2, 2, 1, 1], [2, 2, 2, 1], [1, 1, 1, 0], [1, 1, 1, 2])
    """
    import polars as pl

    rows = pl.DataFrame({"target": found.content, "label": codes})
    labels = rows.filter(pl.col("label") >= 0).group_by("target", "label").len("count").rename({"target": "source"})
    contents = np.unique(found.content)
    pairs = pl.DataFrame(
        {"source": np.concatenate([contents, found.source]), "target": np.concatenate([contents, found.target])}
    )
    ballots = pairs.unique().join(labels, on="source").group_by("target", "label").agg(pl.col("count").sum())
    leading = (
        ballots.sort("target", "count", "label", descending=[False, True, False])
        .group_by("target", maintain_order=True)
        .agg(
            pl.col("count").first().alias("top"),
            pl.col("count").slice(1, 1).sum().alias("second"),
            pl.col("label").first().alias("most"),
        )
    )
    table = rows.join(ballots, on=["target", "label"], how="left", maintain_order="left").join(
        leading, on="target", how="left", maintain_order="left"
    )
    own, top, second = (table[name].fill_null(0).cast(pl.Int64).to_numpy() for name in ("count", "top", "second"))
    return Votes(own, top, second, table["most"].fill_null(-1).cast(pl.Int32).to_numpy())


def conflicts(found: Contents, codes: Codes) -> tuple[Rows, Rows, Scores]:
    """Rows with a copy of another label, ascending; the closest such copy; and how close that is, 0.5 to 1.

    An equal copy has closeness 1. Shapes (m,).
    """
    import polars as pl

    contents = np.unique(found.content)
    rows = pl.DataFrame({"row": np.arange(len(codes)), "content": found.content, "label": codes})
    labelled = rows.filter(pl.col("label") >= 0)
    # of each content, the first row with each label: enough to find one of another label
    named = labelled.group_by("content", "label").agg(pl.col("row").min().alias("twin"))
    pairs = pl.DataFrame(
        {
            "from": np.concatenate([contents, found.source]),
            "content": np.concatenate([contents, found.target]),
            "closeness": np.concatenate([np.full(len(contents), 1.5, np.float32), found.closeness]),
        }
    )
    sources = named.rename({"content": "from", "label": "other"})
    ballots = pairs.join(sources, on="from").sort("closeness", "twin", descending=[True, False])
    # the closest twins of two different labels: one of them differs from the row's own
    ballots = ballots.unique(["content", "other"], keep="first", maintain_order=True)
    ballots = ballots.group_by("content", maintain_order=True).head(2)
    met = labelled.join(ballots, on="content").filter(pl.col("label") != pl.col("other"))
    met = met.sort("row", "closeness", "twin", descending=[False, True, False]).unique("row", keep="first")
    met = met.sort("row")
    closeness = np.minimum(met["closeness"].to_numpy(), np.float32(1))
    return met["row"].to_numpy().astype(np.int64), met["twin"].to_numpy().astype(np.int64), closeness


def conflict_scores(own: Counts, top: Counts, second: Counts, closeness: Scores) -> Scores:
    """How suspicious a label is among those of its copies, shape (m,), float32.

    Below 0.5 where it is the most frequent by itself; 0.75 in a tie and towards 1 the fewer copies share it, less by up
    to a quarter where the copies are near and not equal.

    >>> own, top = np.array([1, 1, 4]), np.array([1, 2, 4])
    >>> conflict_scores(own, top, np.array([1, 1, 1]), np.ones(3, np.float32)).tolist()
    [0.75, 0.875, 0.125]
    """
    ahead = (own == top) & (second < top)
    minority = 1 - 0.25 * own / np.maximum(top, 1)
    scores = np.where(ahead, 0.5 * second / np.maximum(own, 1), minority) * (0.5 + 0.5 * closeness)
    return np.asarray(scores, np.float32)


@dataclass(frozen=True)
class ConflictingDuplicates(Detector):
    """Rows whose copies, equal or near, carry another label.

    Copies are those of exact duplicates, near duplicates and near duplicate images. A row is scored by how few of its
    copies share its label; where one label has the most votes by itself, it is the suggestion for the others.
    """

    finds: ClassVar[Issue] = Issue.CONFLICT
    needs: ClassVar = (Role.LABEL, Copies)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Count the labels among each row's copies."""
        if not data.content:
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        if len(data.classes) < 2:
            return NotApplicable("labels of one class cannot conflict")
        found = signals[Copies()]
        rows, twins, closeness = conflicts(found, data.codes)
        counted = votes(found, data.codes)
        own, top, second = counted.own[rows], counted.top[rows], counted.second[rows]
        clear = (second < top) & (own < top)
        return Findings(
            Issue.CONFLICT,
            rows,
            conflict_scores(own, top, second, closeness),
            suggestion=np.where(clear, counted.label[rows], -1).astype(np.int64),
            evidence={"twin": twins, "closeness": closeness, "copies with this label": own, "with the next": second},
            summary={"rows with a copy of another label": len(rows), "of them equal": int((closeness == 1).sum())},
        )
