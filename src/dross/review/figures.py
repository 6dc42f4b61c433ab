"""Figures of a review: agreement, what a checked sample says, the map, the history, and all that was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.calibrate.assessment import Estimate
from dross.core.dataset import Dataset
from dross.ledger.opinions import Opinion, agreed
from dross.ledger.state import to_json
from dross.review.agreement import alpha_interval, gather, pairwise
from dross.review.sampling import STRATA, Measured, Sample, draw, estimate

Said = Mapping[int, Sequence[Opinion]]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Agreement:
    """How far people agree about one kind of issue.

    Attributes
    ----------
    people
        How many findings each person gave an opinion on.
    pairs
        For each two people: ``first``, ``second``, ``items``, ``agreement``, ``kappa`` (Cohen's; None if undefined).
    alpha
        Krippendorff's alpha of all together with its interval; NaN where it is undefined.
    split
        The rows on which they differ.
    """

    people: dict[str, int]
    pairs: list[dict[str, Any]]
    alpha: Estimate
    split: list[int]


def agreement(said: Said) -> Agreement:
    """Compare what people say of the same findings; "not sure" is no opinion here."""
    votes = [
        (row, one.author, f"{one.says} {to_json(one.value)}")
        for row, own in sorted(said.items())
        for one in own
        if sure(one)
    ]
    people: dict[str, int] = {}
    words: dict[int, set[str]] = {}
    for row, author, what in votes:
        people[author] = people.get(author, 0) + 1
        words.setdefault(row, set()).add(what)
    opinions = gather(*(list(column) for column in zip(*votes, strict=True))) if votes else gather([], [], [])
    split = [row for row, different in words.items() if len(different) > 1]
    return Agreement(people, pairwise(opinions).to_pylist(), alpha_interval(opinions.codes), split)


@dataclass(frozen=True)
class Checked:
    """A stratified random sample of the rows, and what was decided on those that have been checked.

    Attributes
    ----------
    rows, strata
        The rows in the order to check them, and the name of each one's stratum.
    done
        Which have been checked, and found to be a defect (True) or not.
    sizes, drawn, defects
        Of each stratum: its rows, how many have been checked, and how many of these are defects.
    measured
        Precision, recall and share of defects with exact intervals.
    promised
        What the audit expected from planted defects: precision and recall with intervals, None where it could not tell.
    """

    rows: list[int]
    strata: list[str]
    done: dict[int, bool]
    sizes: dict[str, int]
    drawn: dict[str, int]
    defects: dict[str, int]
    measured: Measured
    promised: dict[str, Estimate | None]


def check(sample: Sample, said: Said, needed: int, promised: Mapping[str, Any]) -> Checked:
    """Count what was decided on the rows of a sample.

    Only the unbroken beginning of the sample counts: a row that was passed over, or that people are not sure of, ends
    it. Rows decided on elsewhere, picked from the top of a queue, would make the estimate too good.
    """
    done: dict[int, bool] = {}
    for row in sample.rows.tolist():
        holds = agreed(said.get(row, ()), needed)
        if holds is None:
            break
        done[row] = holds.says != "keep"
    drawn, defects = sample.tally(np.array(list(done), np.int64), np.array(list(done.values()), bool))
    counts = (dict(zip(STRATA, values.tolist(), strict=True)) for values in (sample.sizes, drawn, defects))
    sizes, checked, found = counts
    return Checked(
        rows=sample.rows.tolist(),
        strata=[STRATA[s] for s in sample.strata],
        done=done,
        sizes=sizes,
        drawn=checked,
        defects=found,
        measured=estimate(sample.sizes, drawn, defects),
        promised={name: promised.get(name) for name in ("precision", "recall", "share")},
    )


def sample_of(data: Dataset, table: pa.Table, size: int, seed: int) -> Sample:
    """The rows of an issue to check by hand; where the issue is about labels, of the labelled rows."""
    from dross.core.roles import Role

    flagged, scores = np.zeros(len(data), bool), np.zeros(len(data))
    rows = table.column("row").to_numpy()
    flagged[rows] = table.column("flagged").to_numpy()
    scores[rows] = table.column("score").to_numpy()
    issue = table.column("issue")[0].as_py() if table.num_rows else ""
    population = np.flatnonzero(data.codes >= 0) if issue == "label" and data.has(Role.LABEL) else None
    return draw(flagged, scores, size, seed, population)


def decisions(data: Dataset, said: Mapping[str, Said], needed: int) -> pa.Table:
    """All opinions on all findings, one line each: what was said by whom and when, and what holds.

    Columns: row (0-based position in the audited data), id, issue, author, says, field, value, comment, time, holds.
    """
    lines = []
    for issue, own in said.items():
        for row, opinions in sorted(own.items()):
            holds = agreed(opinions, needed)
            for one in opinions:
                same = holds is not None and one.votes and one.verdict == holds.verdict
                value = None if one.value is None else one.value if isinstance(one.value, str) else to_json(one.value)
                lines.append(
                    (row, data.key(row), issue, one.author, one.says, one.field, value, one.comment, one.time, same)
                )
    kinds = (pa.int64(), *[pa.string()] * 8, pa.bool_())
    names = ("row", "id", "issue", "author", "says", "field", "value", "comment", "time", "holds")
    columns = list(zip(*lines, strict=True)) or [()] * len(names)
    return pa.table({n: pa.array(list(c), k) for n, c, k in zip(names, columns, kinds, strict=True)})


def sure(one: Opinion) -> bool:
    """Whether an opinion says that there is, or is not, a defect."""
    return one.votes and one.says != "unsure"
