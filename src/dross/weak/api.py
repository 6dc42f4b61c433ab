"""Labels from rules in one call: apply them, judge them, combine them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dross.core.dataset import Dataset, Rows
from dross.core.errors import DrossError
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Progress, silent
from dross.io import load
from dross.models.crowd import Consensus
from dross.weak.analysis import Analysis, analyse, given_codes
from dross.weak.answers import text_of
from dross.weak.apply import TIMEOUT, Applied, apply_rules
from dross.weak.automation import Automatic, automatic
from dross.weak.confidence import LEAST, fit_power, temper
from dross.weak.estimate import check, estimate
from dross.weak.gather import Rules
from dross.weak.opinions import ask_again


@dataclass(frozen=True)
class Labelled:
    """Rows with labels from rules.

    Attributes
    ----------
    labels
        The chance of each class on each row; the rows that no rule votes on are left without. Where 30 of the others
        have a given label, the chances are calibrated on these (``calibrated_on`` in the summary).
    analysis
        What the rules are worth.
    applied
        The rows with the rules' votes, and what became of each rule.
    consensus
        What the label model says of the votes by themselves; None where there is no vote.
    """

    labels: Labels
    analysis: Analysis
    applied: Applied
    consensus: Consensus | None = None

    def ask_again(self, count: int) -> Rows:
        """The rows to send for another opinion, the best first; see :func:`dross.weak.opinions.ask_again`."""
        if count < 1:
            raise DrossError(f"{count} rows cannot be sent for another opinion", fix="ask for at least one")
        return np.arange(0) if self.consensus is None else ask_again(self.applied.votes(), self.consensus, count)[0]

    def automatic(self, accuracy: float = 0.95) -> Automatic:
        """The rows that can be labelled without a person at that accuracy; see :func:`dross.weak.automation.automatic`.

        Judged by the given labels; needs some. What the label model says enters as it was before it was calibrated on
        them, so that they judge it fairly.
        """
        raw = None if self.consensus is None else self.consensus.probs
        return automatic(self.applied.data, self.labels, accuracy=accuracy, raw=raw)

    def write(
        self,
        path: str | Path,
        *,
        format: str | None = None,  # noqa: A002  (the word users know)
        overwrite: bool = False,
        automatic: Automatic | None = None,
        again: Rows | None = None,
    ) -> int:
        """Write the rows with their labels; see :func:`dross.weak.output.write_labelled`."""
        from dross.weak.output import write_labelled

        return write_labelled(
            self.applied, self.labels, path, format=format, overwrite=overwrite, automatic=automatic, again=again
        )


def label(
    data: Dataset | str | Path,
    rules: Sequence[Rules] | Rules = (),
    *,
    model: str = "auto",
    classes: Sequence[Any] | None = None,
    balance: Mapping[str, float] | None = None,
    store: Path | None = None,
    timeout: float = TIMEOUT,
    seed: int = 0,
    progress: Progress = silent,
) -> Labelled:
    """Label rows by rules, by columns of votes, or both.

    Parameters
    ----------
    data
        The rows, or a file of them. Columns with the role votes or annotations are sources beside the rules; given
        labels (role label) are never shown to a rule and serve to measure accuracy.
    rules, classes, store, timeout, progress
        As in :func:`dross.weak.apply_rules`.
    model
        The label model: one of :func:`dross.weak.estimate.models`.
    balance
        The share of each class by its name; estimated where absent.
    seed
        For grouping the rows without a vote.

    Raises
    ------
    DrossError
        Where there is neither a rule nor a column of votes, a rule cannot be read, or there is no such model.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from dross.weak import labeling_function
    >>> data = Dataset(pa.table({"text": ["free! now!", "hello", "free"]}), {Role.TEXT: ["text"]})
    >>> free = labeling_function(name="free")(lambda row: "spam" if "free" in row["text"] else None)
    >>> loud = labeling_function(name="loud")(lambda row: "spam" if "!" in row["text"] else "ham")
    >>> done = label(data, [free, loud], model="majority")
    >>> done.labels.classes, done.labels.codes.tolist()[:2], done.analysis.disputed
    (['ham', 'spam'], [1, 0], 1)
    """
    check(model)
    data = data if isinstance(data, Dataset) else load(data)
    if data.has(Role.ANNOTATIONS):
        data = annotators_as_sources(data)
    given = [rules] if isinstance(rules, str) or not isinstance(rules, Sequence) else list(rules)
    if not given and not data.has(Role.VOTES):
        raise DrossError(
            "there is neither a rule nor a column of votes",
            fix="give rules, or name the columns of votes (votes=[…]) or of annotators (annotations=[…])",
        )
    applied = apply_rules(data, given, classes=classes, store=store, timeout=timeout, progress=progress)
    consensus: Consensus | None = None
    if any(source.votes and not source.left_out for source in applied.sources):
        consensus = estimate(applied.votes(), model, balance)
    analysis = analyse(applied, model, consensus=consensus, seed=seed)
    return Labelled(_labels(applied, consensus, model), analysis, applied, consensus)


def annotators_as_sources(data: Dataset) -> Dataset:
    """The same rows, the columns of annotators counted among those of votes.

    >>> import pyarrow as pa
    >>> data = Dataset(pa.table({"ann": ["x"], "bob": ["y"]}), {Role.ANNOTATIONS: ["ann"], Role.VOTES: ["bob"]})
    >>> annotators_as_sources(data).roles[Role.VOTES]
    ('bob', 'ann')
    """
    roles: dict[Role, Sequence[str]] = {r: names for r, names in data.roles.items() if r is not Role.ANNOTATIONS}
    roles[Role.VOTES] = (*data.roles.get(Role.VOTES, ()), *data.roles[Role.ANNOTATIONS])
    return Dataset(data.table, roles, source=data.source, row_ids=data.row_ids)


def _labels(applied: Applied, consensus: Consensus | None, model: str) -> Labels:
    """The consensus on rows with a vote, its chances tempered by the labels known there; NaN elsewhere."""
    n = len(applied.data)
    if consensus is None:
        known = list(applied.values.values()) or [None]
        return Labels(known, np.full((n, len(known)), np.nan, np.float32), summary={"model": model, "labelled": 0})
    votes = applied.votes()
    covered = np.diff(votes.starts) > 0
    gold = given_codes(applied.data, votes.classes)
    judged = np.flatnonzero(covered & (gold >= 0) & (gold < len(votes.classes)))
    power = fit_power(consensus.probs[judged], gold[judged]) if len(judged) >= LEAST else None
    probs = np.full((n, len(votes.classes)), np.nan, np.float32)
    probs[covered] = consensus.probs[covered] if power is None else temper(consensus.probs[covered], power)
    classes = [applied.values.get(text_of(name), name) for name in votes.classes]
    summary = {
        "model": consensus.model,
        "why": list(consensus.why),
        "labelled": int(covered.sum()),
        "calibrated_on": 0 if power is None else len(judged),
        "power": power,
    }
    return Labels(classes, probs, summary=summary)
