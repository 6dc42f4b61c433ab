"""Labelling automatically at a promised accuracy: which rows take their likeliest label, and the rest for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.calibrate.assessment import Assessment
from dross.core.dataset import Dataset, Rows
from dross.core.errors import DrossError
from dross.core.results import Findings, Issue, Labels, NotApplicable, Predictions
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.infer.prediction_sets import PredictionSets
from dross.models.hidden_labels import without_labels

if TYPE_CHECKING:
    from dross.ledger import Ledger

Probs = npt.NDArray[np.floating[Any]]
METHOD = "prediction-sets"
_PROBS = "dross_chances"


@dataclass(frozen=True)
class Automatic:
    """What can be labelled without a person.

    Attributes
    ----------
    labels
        The chance of each class on each row; NaN on rows of which nothing is known.
    classes
        Those of the given labels.
    sets
        Which of them cannot be ruled out, shape (n, k); all on rows of which nothing is known.
    rows
        The rows without a given label that take their likeliest class, ascending.
    review
        The other rows without a given label, ascending: they are for people.
    summary
        That of :class:`~dross.infer.prediction_sets.PredictionSets`: what is promised, and what was measured.
    """

    labels: Labels
    classes: list[Any]
    sets: npt.NDArray[np.bool_]
    rows: Rows
    review: Rows
    summary: dict[str, Any]


def automatic(
    data: Dataset,
    labels: Labels | None = None,
    *,
    accuracy: float = 0.95,
    method: PredictionSets | None = None,
    raw: Probs | None = None,
    shown: Rows | None = None,
    signals: Signals | None = None,
) -> Automatic:
    """Choose the rows to label automatically so that at least ``accuracy`` of the chosen are expected to be right.

    Parameters
    ----------
    data
        The rows; some have a given label (role label), which judges the others. They must be a fair sample of the rows.
    labels
        Chances made without the given labels: by rules, votes or language models. dross's own model learns from a part
        of the given labels when absent.
    accuracy
        What is promised, in (0, 1).
    method
        Another kind of set or share of rows to calibrate on; its ``alpha`` gives way to ``accuracy``.
    raw
        The chances before they were fitted to given labels, shape (n, k), where ``labels`` was.
    shown
        Rows whose given label had a part in ``labels`` all the same, as the examples in a prompt.
    signals
        What has been measured of the rows.

    Raises
    ------
    DrossError
        Where no row lacks a label, or too few have one.

    Examples
    --------
    >>> rng = np.random.default_rng(0); truth = rng.integers(0, 2, 400); sure = rng.random(400) < 0.5
    >>> p = np.where(sure, 0.99, 0.6); right = rng.random(400) < p
    >>> probs = np.stack([1 - p, p], axis=1); voted = np.where(right, truth, 1 - truth)
    >>> probs = np.where(voted[:, None] == 1, probs, probs[:, ::-1]).astype(np.float32)
    >>> given = [str(t) if i < 200 else None for i, t in enumerate(truth)]
    >>> data = Dataset(pa.table({"y": pa.array(given)}), {Role.LABEL: ["y"]})
    >>> done = automatic(data, Labels(["0", "1"], probs), accuracy=0.95)
    >>> bool((voted[done.rows] == truth[done.rows]).mean() > 0.95), 80 < len(done.rows) < 130
    (True, True)
    """
    if not 0 < accuracy < 1:
        raise DrossError(
            f"an accuracy of {accuracy:g} cannot be promised", fix="give a share below 1, for example 0.95"
        )
    if not data.has(Role.LABEL) or not (data.codes >= 0).any():
        raise DrossError("no row has a given label to judge by", fix="name the column of those that are known: label=…")
    if not (data.codes < 0).any():
        raise DrossError("every row has a label already, so there is none to be labelled automatically")
    how = method or PredictionSets()
    how = PredictionSets(1 - accuracy, how.kind, how.score, how.part, how.share, how.seed)
    if labels is None:
        missing = how.applies(data)
        found = missing or how.run(data, signals or Signals(data))
        return _assembled(data, np.arange(len(data)), _answered(found), None)
    rows, part = _with_chances(data, labels, raw, shown)
    if not len(rows):
        raise DrossError("there are no chances on any row")
    return _assembled(data, rows, _answered(how.run(part, Signals(part))), labels)


def _answered(found: Predictions | NotApplicable) -> Predictions:
    if isinstance(found, NotApplicable):
        raise DrossError(f"nothing can be promised: {found.reason}", fix="give more rows a label, drawn at random")
    return found


def _with_chances(data: Dataset, labels: Labels, raw: Probs | None, shown: Rows | None) -> tuple[Rows, Dataset]:
    """The rows with chances, and a dataset of them with these in the columns of the given classes.

    A row whose likeliest class is none of the given ones cannot be judged by them and is for people.
    """
    place = {str(name): i for i, name in enumerate(data.classes)}
    to = np.array([place.get(str(name), -1) for name in labels.classes])
    known = np.flatnonzero(~labels.abstained & (to[np.maximum(labels.codes, 0)] >= 0))
    P = np.zeros((len(known), len(data.classes)), np.float32)
    P[:, to[to >= 0]] = (labels.probs if raw is None else raw)[known][:, to >= 0]
    P /= P.sum(axis=1, keepdims=True)
    column = pa.FixedSizeListArray.from_arrays(pa.array(P.reshape(-1)), len(data.classes))
    hide = np.zeros(len(data), bool)
    hide[shown if shown is not None else []] = True
    kept = {role: data.roles[role] for role in (Role.LABEL, Role.SPLIT) if data.has(role)}
    whole = without_labels(data, hide).table.select([name for names in kept.values() for name in names])
    table = whole.take(pa.array(known)).append_column(_PROBS, column)
    part = Dataset(table, {**kept, Role.PROBS: [_PROBS]}, row_ids=data.row_ids[known])
    return known, part


def _assembled(data: Dataset, rows: Rows, found: Predictions, labels: Labels | None) -> Automatic:
    n, k = len(data), len(found.classes)
    sets = np.ones((n, k), bool)
    sets[rows] = True if found.sets is None else found.sets
    probs = np.full((n, k), np.nan, np.float32)
    probs[rows] = found.probs
    free = data.codes < 0
    summary = dict(found.summary)
    least = summary["automatic_from"]
    chosen = free & (np.nan_to_num(probs, nan=-1.0).max(axis=1) >= (np.inf if least is None else least))
    if labels is None:
        labels = Labels(found.classes, probs, summary={"model": "dross"})
    taken, left = np.flatnonzero(chosen), np.flatnonzero(free & ~chosen)
    summary |= {"rows": int(free.sum()), "automatic": len(taken), "review": len(left)}
    return Automatic(labels, found.classes, sets, taken, left, summary)


@dataclass(frozen=True)
class Recorded:
    """What a workspace keeps of an :class:`Automatic`.

    Attributes
    ----------
    version
        The version of the data with the automatic labels; None where there are none that were not there already.
    review
        The run whose findings wait on the review page; None where no row is left.
    """

    version: int | None
    review: str | None


def record(ledger: Ledger, data: Dataset, done: Automatic, command: str = "") -> Recorded:
    """Write the automatic labels as edits, each of which can be taken back, and hand the other rows to people.

    Both are kept as audits are: rows as findings of the kind label, their likeliest class the suggestion. On the review
    page the likeliest come first; rows of which nothing is known come last and without a suggestion.
    """
    version = review = None
    if len(done.rows):
        run = _kept(ledger, data, done, done.rows, command)
        made = ledger.apply({"label": "relabel"}, run=run, data=data)
        version = None if made is None else made.number
    if len(done.review):
        review = _kept(ledger, data, done, done.review, command)
    return Recorded(version, review)


def _kept(ledger: Ledger, data: Dataset, done: Automatic, rows: Rows, command: str) -> str:
    """Record some rows as a run; its id."""
    from dross.job.audit import summarised
    from dross.job.table import tabulate

    codes, classes = done.labels.codes[rows], np.array([*map(str, done.labels.classes), None], object)
    confidence = done.labels.confidence[rows]
    automatic = np.isin(rows, done.rows)
    evidence = {"confidence": confidence, "labels_not_ruled_out": done.sets[rows].sum(axis=1).astype(np.int32)}
    promised = 1 - float(done.summary["alpha"])
    chance = np.where(automatic, promised, np.where(codes >= 0, confidence, np.nan)).astype(np.float32)
    measured = done.summary["measured_accuracy_of_automatic"] if automatic.any() else None
    one = Assessment(
        Issue.LABEL,
        Findings(Issue.LABEL, rows, confidence, classes[codes], evidence),
        (METHOD,),
        np.zeros(len(rows), np.int8),
        automatic,
        chance,
        precision=None if measured is None else (measured[0], measured[1], measured[2]),
        note=f"labelled automatically at {promised:.4g}"
        if automatic.any()
        else "no label could be given automatically",
        summaries={METHOD: done.summary},
    )
    run = summarised(data, Signals(data), [], {}, {one.issue: one})
    run["issues"][str(one.issue)]["meaning"] = "the row has no label yet"
    run |= {"command": command, "only": [METHOD], "fdr": 1 - promised, "seed": 0}
    return ledger.record(run, {str(one.issue): tabulate(data, one)}, data=data)
