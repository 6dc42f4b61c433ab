"""What the JSON interface takes and gives: the models from which ``/openapi.json`` is made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

from dross.ledger.opinions import MOST_ASKED
from dross.report.plots import MapPoints
from dross.review.answers import Heading
from dross.review.correct import Calibration
from dross.review.figures import Agreement, Checked
from dross.review.filters import Filter

BIGGEST = 2**63 - 1
PAGE, LONGEST_PAGE = 50, 500
MOST_ROWS = 100_000
"""Rows of one decision."""
MOST_TEXT = 3_000_000
"""Characters of a text that can be fetched whole to be edited: more could not be sent back."""
Row = Annotated[int, Path(ge=0, le=BIGGEST, description="Position of the row in the audited data.")]
Number = Annotated[int, Field(ge=0, le=BIGGEST)]
Whole = Annotated[int, Field(ge=-BIGGEST, le=BIGGEST)]
Long = Annotated[str, StringConstraints(max_length=MOST_TEXT)]
Short = Annotated[str, StringConstraints(max_length=1000)]
Rows = Annotated[list[Number], Field(min_length=1, max_length=MOST_ROWS)]


class Problem(BaseModel):
    """What is wrong, where, and what to do about it."""

    what: str
    where: str | None = None
    fix: str | None = None


_PROBLEM = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    # one of them brings the schema in; building a model for each status of each address takes a third of a second
    status: {"description": words, **({"model": Problem} if status == 422 else {"content": _PROBLEM})}
    for status, words in (
        (400, "It makes no sense for this data."),
        (401, "Nobody is signed in."),
        (403, "Sent by a page of another server."),
        (404, "No such issue, row or column."),
        (409, "Somebody else has decided on it meanwhile; nothing is written."),
        (413, "Too long."),
        (422, "The request is malformed."),
        (503, "Another process holds the workspace; try again."),
    )
}


# ---- asked ----------------------------------------------------------------------------------------------------------


class Asked(BaseModel):
    """Which findings: the fields of :class:`~dross.review.filters.Filter`; ``rows`` with commas between them."""

    label: Short | None = None
    suggestion: Short | None = None
    split: Short | None = None
    annotator: Short | None = None
    at_least: FiniteFloat | None = Field(None, ge=0, le=1)
    at_most: FiniteFloat | None = Field(None, ge=0, le=1)
    text: Short | None = None
    cluster: int | None = Field(None, ge=0, le=BIGGEST)
    state: Literal["open", "decided", "unsure", "disputed", "all"] = "open"
    flagged: bool = False
    rows: str | None = Field(None, pattern=r"^[0-9]{1,18}(,[0-9]{1,18})*$", max_length=60_000)

    def filter(self) -> Filter:
        """The filter."""
        rows = None if self.rows is None else tuple(int(row) for row in self.rows.split(","))
        given = {name: getattr(self, name) for name in Asked.model_fields if name != "rows"}
        return Filter(**given, rows=rows)


class AskedPage(Asked):
    """Which findings, and which stretch of them."""

    start: int = Field(0, ge=0, le=BIGGEST)
    size: int = Field(PAGE, ge=1, le=LONGEST_PAGE)


class AskedNext(Asked):
    """Which findings, and the row after which to look."""

    after: int | None = Field(None, ge=0, le=BIGGEST)


class What(BaseModel):
    """A decision on some findings of one issue."""

    model_config = ConfigDict(extra="forbid")

    issue: Short
    rows: Rows
    says: Literal["accept", "keep", "relabel", "set", "drop", "unsure"]
    value: Long | Whole | FiniteFloat | list[Short] | None = None
    field: Short | None = None


class Decision(What):
    """The same with what goes with it: a comment, and the newest edit that the person has seen."""

    comment: Long = ""
    seen: Number | None = None


class Comment(BaseModel):
    """A comment on some findings."""

    model_config = ConfigDict(extra="forbid")

    issue: Short
    rows: Rows
    text: Long


class Ask(BaseModel):
    """How many opinions some findings need."""

    model_config = ConfigDict(extra="forbid")

    issue: Short
    rows: Rows
    opinions: int = Field(2, ge=1, le=MOST_ASKED)


# ---- given ----------------------------------------------------------------------------------------------------------


class Summary(BaseModel):
    """The audit under review."""

    run: str
    rows: int
    person: str
    needed: int
    issues: list[Heading]


class Line(BaseModel):
    """One finding in a list. Texts are as in the data, made visible and cut: show them as text."""

    row: int
    id: str
    chance: float
    value: float
    state: str
    given: str | None
    suggestion: str | None
    score: float
    flagged: bool


class Counts(BaseModel):
    """How many of the findings that pass, whatever their state, are in each state."""

    open: int
    decided: int
    unsure: int
    disputed: int


class Listed(BaseModel):
    """A stretch of a queue."""

    issue: str
    start: int
    total: int
    counts: Counts
    rows: list[Line]


class Rowed(BaseModel):
    """The rows that pass, the first hundred thousand of ``total``."""

    rows: list[int]
    total: int


class Next(BaseModel):
    """The row to look at next; null when none is left."""

    row: int | None


class Done(BaseModel):
    """What was written: its number in the ledger, the rows, and the counts of the issue now."""

    batch: int
    issue: str
    rows: list[int]
    counts: Heading | None


class WholeText(BaseModel):
    """A whole text as it is in the data."""

    row: int
    column: str
    text: str


class Estimate(BaseModel):
    """A number with its interval; null for what is unknown, which JSON cannot say otherwise.

    >>> Estimate.of((0.5, float("nan"), 1.0)).model_dump()
    {'estimate': 0.5, 'low': None, 'high': 1.0}
    """

    estimate: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Estimate:
        """From the three numbers."""
        estimate, low, high = (None if v is None or not math.isfinite(v) else float(v) for v in values)
        return cls(estimate=estimate, low=low, high=high)


class Pair(BaseModel):
    """How two people agree; ``kappa`` is null where it is undefined."""

    first: str
    second: str
    items: int
    agreement: float
    kappa: float | None


class Agreeing(BaseModel):
    """How far people agree; ``alpha`` is Krippendorff's with its interval, null where it is undefined."""

    people: dict[str, int]
    pairs: list[Pair]
    alpha: Estimate
    split: list[int]

    @classmethod
    def of(cls, found: Agreement) -> Agreeing:
        """The same in JSON."""
        return cls(
            people=found.people,
            pairs=[Pair(**one) for one in found.pairs],
            alpha=Estimate.of(found.alpha),
            split=found.split,
        )


class Sampled(BaseModel):
    """A sample to check by hand and what its answers say of it."""

    rows: list[int]
    strata: list[str]
    done: dict[str, bool]
    sizes: dict[str, int]
    drawn: dict[str, int]
    defects: dict[str, int]
    measured: dict[str, Estimate]
    promised: dict[str, Estimate | None]

    @classmethod
    def of(cls, found: Checked) -> Sampled:
        """The same in JSON."""
        return cls(
            rows=found.rows, strata=found.strata, done={str(row): said for row, said in found.done.items()},
            sizes=found.sizes, drawn=found.drawn, defects=found.defects,
            measured={name: Estimate.of(getattr(found.measured, name)) for name in ("precision", "recall", "share")},
            promised={name: None if one is None else Estimate.of(one) for name, one in found.promised.items()},
        )  # fmt: skip


class Corrected(BaseModel):
    """What to expect of the findings after a sample was checked; ``promised`` is null where nothing was flagged."""

    checked: int
    offset: float
    slope: float
    promised: float | None
    precision: Estimate
    fdr: float
    flagged: int
    to_flag: int

    @classmethod
    def of(cls, found: Calibration) -> Corrected:
        """The same in JSON."""
        return cls(
            checked=found.checked, offset=found.offset, slope=found.slope, fdr=found.fdr, flagged=found.flagged,
            promised=found.promised if math.isfinite(found.promised) else None, to_flag=found.to_flag,
            precision=Estimate.of(found.precision),
        )  # fmt: skip


class Points(BaseModel):
    """The map: rows, places in [0, 1], which are flagged, and the class of each by its place in ``names``."""

    rows: list[int]
    places: list[tuple[float, float]]
    flagged: list[bool]
    codes: list[int] | None
    names: list[str]

    @classmethod
    def of(cls, found: MapPoints) -> Points:
        """The same in JSON."""
        codes = None if found.codes is None else found.codes.tolist()
        return cls(
            rows=found.rows.tolist(), places=found.places.tolist(), flagged=found.flagged.tolist(), codes=codes,
            names=found.names,
        )  # fmt: skip


class Step(BaseModel):
    """One batch of edits in the history."""

    batch: int
    run: str | None
    author: str
    time: str
    issue: str | None
    action: str
    undoes: bool
    reason: str
    rows: int
    first: int
    standing: int
