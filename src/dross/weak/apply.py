"""Applying rules to a dataset: their votes as columns, and an account of every rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.roles import Role
from dross.core.signal import Progress, Signals, silent
from dross.models.votes import Votes, from_matrix, votes_of
from dross.weak.answers import RAISED, text_of
from dross.weak.gather import LEARNED, Gathered, Rule, Rules, gather
from dross.weak.running import Work, run
from dross.weak.stored import Outcome, Parts, RuleVotes, content, joined, keep, kept

Soft = Mapping[str, tuple[npt.NDArray[np.int64], Mapping[str, npt.NDArray[np.float32]]]]
TIMEOUT = 600.0
"""Seconds a rule may take over all rows where nothing else is said."""


@dataclass(frozen=True)
class Source:
    """What became of one rule, or of one column of votes.

    Attributes
    ----------
    name, where
        What it is called; its file and line (empty for a column).
    votes, rows
        On how many rows it votes, of how many.
    failures
        What went wrong: ``kind``, ``message``, ``row`` of the first time, ``count``.
    stopped
        Why it was given up, so that it does not vote at all; None where it did its work.
    seconds
        How long it took; ``reused`` says that this was in an earlier run.
    remarks
        What else a person should know.
    """

    name: str
    where: str
    votes: int
    rows: int
    failures: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None
    seconds: float = 0.0
    reused: bool = False
    remarks: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """On how many rows it failed."""
        return sum(one["count"] for one in self.failures)

    @property
    def left_out(self) -> str | None:
        """Why none of its votes count; None where they do."""
        if self.stopped:
            return self.stopped
        return "it failed on every row" if self.rows and self.failed >= self.rows else None


@dataclass(frozen=True)
class Applied:
    """What the rules say.

    Attributes
    ----------
    data
        The rows with a column of votes for each rule (role votes), beside those that were there; null is an abstention.
    sources
        What became of each rule and each column of votes, in order.
    soft
        Votes that are chances: by rule, the rows, shape (s,), and the chances by class (as text), shape (s,).
    values
        Each class by its text, as a plain value of the type that labels have.
    """

    data: Dataset
    sources: list[Source]
    soft: Soft
    values: Mapping[str, Any]

    def votes(self, *, soft: bool = True) -> Votes:
        """All votes of those rules that did their work.

        A vote that is chances is several weighted votes of one source; its likeliest label where ``soft`` is off.
        """
        counted = [name for name in self.data.roles.get(Role.VOTES, ()) if name not in self._out]
        if not counted:
            raise DrossError("there is no rule and no column of votes", fix="give rules, or name columns: votes=…")
        hard = _hard(self.data.table, counted)
        chances = {name: own for name, own in self.soft.items() if name in counted and len(own[0])}
        if chances and not soft:
            return _with_classes(hard, chances)
        return _weighted(hard, chances) if chances else hard

    @property
    def _out(self) -> set[str]:
        return {source.name for source in self.sources if source.left_out}


def apply_rules(
    data: Dataset,
    rules: Sequence[Rules] | Rules = (),
    *,
    classes: Sequence[Any] | None = None,
    store: Path | None = None,
    timeout: float = TIMEOUT,
    progress: Progress = silent,
) -> Applied:
    """Ask every rule about every row.

    Parameters
    ----------
    data
        The rows. Rules see all columns but those of labels and targets. Columns of votes are further sources.
    rules
        Files (``.py`` with labeling functions, ``.yaml`` with rules) and labeling functions of this process.
    classes
        The labels that exist; a vote for another is a failure. By default those that the YAML files declare, else any.
    store
        A folder to keep votes in. The votes of a rule of a file are computed again only where the rule or what it reads
        has changed; a rule that is slow goes on where an earlier run was ended.
    timeout
        Seconds that each rule may take over all rows (its own time, processes together).
    progress
        Called with ("rules", answers so far, answers in all).

    Notes
    -----
    Rules of a Python file run in processes of their own: one that hangs or crashes is given up, and does not vote. A
    function of this process can be given up between two calls only. What a rule raises is counted, with an example.

    Raises
    ------
    DrossError
        Where a file cannot be read, names a column that does not exist, or two rules share a name; with file and line.

    Examples
    --------
    >>> from dross.weak import labeling_function
    >>> data = Dataset(pa.table({"text": ["free!", "hello"]}), {Role.TEXT: ["text"]})
    >>> free = labeling_function(name="free")(lambda row: "spam" if "free" in row["text"] else None)
    >>> done = apply_rules(data, [free])
    >>> done.data.table.column("free").to_pylist(), done.sources[0].votes
    (['spam', None], 1)
    """
    given = [rules] if not isinstance(rules, Sequence) or isinstance(rules, str) else list(rules)
    if not timeout > 0:
        raise DrossError(f"rules cannot take {timeout} s", fix="give a timeout above 0")
    gathered = gather(data, given, classes)
    try:
        outcomes = _outcomes(data, gathered, store, timeout, progress)
    finally:
        gathered.close()
    return _assembled(data, gathered, outcomes)


@dataclass(frozen=True)
class _Done:
    rule: Rule
    outcome: Outcome
    stopped: str | None = None
    reused: bool = False
    rows: int = 0


def _outcomes(data: Dataset, gathered: Gathered, store: Path | None, timeout: float, progress: Progress) -> list[_Done]:
    signals = Signals(data, store)
    known = gathered.known
    digests: dict[tuple[str, ...], str] = {}
    done: dict[str, _Done] = {}
    wanted: dict[str, RuleVotes] = {}
    works: list[Work] = []
    for rule in gathered.rules:
        if store is not None and rule.digest is not None:
            columns = tuple(rule.columns)
            if columns not in digests:
                digests[columns] = content(data, rule.columns)
            wanted[rule.name] = RuleVotes(rule.digest, digests[columns], None if known is None else tuple(known))
            found = kept(wanted[rule.name], signals)
            if found is not None:
                done[rule.name] = _Done(rule, found, reused=True, rows=len(data))
                continue
        works.append(Work(rule, rule.timeout or timeout, Parts.of(wanted.get(rule.name), store)))
    _apply(works, data.table.select(gathered.seen), gathered, progress)
    for work in works:
        outcome = joined(work.done, len(data))
        if work.stopped is None and work.rule.name in wanted:
            outcome = keep(wanted[work.rule.name], outcome, signals)
            work.parts.clear()
        done[work.rule.name] = _Done(work.rule, outcome, _why(work, len(data)), rows=work.rows())
    return [done[rule.name] for rule in gathered.rules]


def _apply(works: list[Work], table: pa.Table, gathered: Gathered, progress: Progress) -> None:
    total, count = len(works) * table.num_rows, 0

    def tick(answers: int) -> None:
        nonlocal count
        count += answers
        progress("rules", min(count, total), max(1, total))

    if works:
        run(works, table, gathered, tick)


def _why(work: Work, n: int) -> str | None:
    """Why a rule was given up, and what it would have taken."""
    if work.stopped is None:
        return None
    rows = work.rows()
    if not rows:
        return f"{work.stopped}, before it had answered for one block of rows"
    need = work.spent / rows * n
    return f"{work.stopped}: {rows:,} of {n:,} rows done, all would take about {need:,.0f} s"


def _assembled(data: Dataset, gathered: Gathered, done: list[_Done]) -> Applied:
    own = data.roles.get(Role.VOTES, ())
    table = data.table
    sources = [_of_column(table, name) for name in own]
    soft = {}
    values: dict[str, Any] = {}
    for one in done:
        outcome = one.outcome
        texts = [text_of(label) for label in outcome.classes]
        values.update(zip(texts, outcome.classes, strict=True))
        source = Source(
            one.rule.name,
            one.rule.where,
            int((outcome.codes >= 0).sum()),
            len(data),
            list(outcome.failures),
            one.stopped,
            outcome.seconds,
            one.reused,
        )
        sources.append(source)
        codes = np.full(len(data), -1, np.int32) if source.left_out else np.asarray(outcome.codes)
        table = table.append_column(one.rule.name, _column(codes, texts))
        if len(outcome.soft_rows) and not source.left_out:
            by_class = {text: np.asarray(outcome.soft[:, i]) for i, text in enumerate(texts)}
            soft[one.rule.name] = (np.asarray(outcome.soft_rows), by_class)
    names = [*own, *(one.rule.name for one in done)]
    roles = {**data.roles, Role.VOTES: names}
    voted = Dataset(table, roles, source=data.source, row_ids=data.row_ids)
    typed = _typed(data, gathered, values, own)
    return Applied(voted, _remarked(data, gathered, sources, voted), soft, typed)


def _column(codes: npt.NDArray[np.int32], texts: list[str]) -> pa.DictionaryArray:
    """Votes as Arrow keeps few distinct texts: a byte or two a row."""
    small = codes.astype(np.min_scalar_type(-max(1, len(texts))))
    return pa.DictionaryArray.from_arrays(pa.array(small, mask=codes < 0), pa.array(texts, pa.string()))


def _hard(table: pa.Table, names: list[str]) -> Votes:
    """The columns as votes, as :func:`dross.models.votes.votes_of` gives them, without a text for each vote."""
    columns = [_coded(table, name) for name in names]
    classes = sorted({text for _, texts in columns for text in texts})
    place = {text: i for i, text in enumerate(classes)}
    kind = np.min_scalar_type(-max(1, len(classes)))
    matrix = np.full((table.num_rows, len(names)), -1, kind)
    for j, (codes, texts) in enumerate(columns):
        matrix[:, j] = np.array([place[text] for text in texts] + [-1], kind)[codes]
    if not classes:
        return Votes(np.zeros(table.num_rows + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), names, [])
    return from_matrix(matrix, classes, names)


def _coded(table: pa.Table, name: str) -> tuple[npt.NDArray[np.int32], list[str]]:
    """One column of votes as positions in a list of the labels in it, -1 for an abstention."""
    votes = votes_of(Dataset(table.select([name]), {Role.VOTES: [name]}), Role.VOTES)
    codes = np.full(table.num_rows, -1, np.int32)
    codes[votes.rows] = votes.labels
    return codes, [str(label) for label in votes.classes]


def _of_column(table: pa.Table, name: str) -> Source:
    votes = votes_of(Dataset(table.select([name]), {Role.VOTES: [name]}), Role.VOTES)
    return Source(name, "", len(votes.labels), table.num_rows)


def _typed(data: Dataset, gathered: Gathered, values: dict[str, Any], own: Sequence[str]) -> dict[str, Any]:
    """Each class as a value of the type that given or declared labels have."""
    if data.has(Role.LABEL):
        values |= {text_of(label): label for label in data.classes}
    values |= {text_of(label): label for label in gathered.classes or []}
    for name in own:
        for label in pa.chunked_array(data.table.column(name)).unique().drop_null().to_pylist():
            values.setdefault(text_of(label), label)
    kinds = {type(value) for value in values.values()}
    if len(kinds) <= 1:
        return values
    if kinds <= {int, str} and all(text.lstrip("-").isdigit() for text in values):
        return {text: int(text) for text in values}
    return {text: text for text in values}


def _remarked(data: Dataset, gathered: Gathered, sources: list[Source], voted: Dataset) -> list[Source]:
    """Point out votes for a class that no given label has, where the classes were not declared."""
    if not data.has(Role.LABEL) or gathered.classes is not None:
        return sources
    gold = [text_of(label) for label in data.classes]
    for source in sources:
        found = pa.chunked_array(voted.table.column(source.name)).unique().drop_null().to_pylist()
        strange = [text for text in map(text_of, found) if text not in gold and text != "-1"]
        if strange and gold:
            named = ", ".join(repr(text) for text in strange[:3])
            source.remarks.append(f"votes for {named}, which no given label is; {nearest(strange[0], gold)}")
    return sources


def _weighted(hard: Votes, soft: Soft) -> Votes:
    """Replace the likeliest label of soft votes by all their labels, weighted."""
    hard = _with_classes(hard, soft)
    place = {text: i for i, text in enumerate(hard.classes)}
    rows, who, labels = hard.rows, hard.annotators, hard.labels
    weights = np.ones(len(rows))
    spare = np.ones(len(rows), bool)
    pieces = []
    for name, (soft_rows, chances) in soft.items():
        a = hard.names.index(name)
        spare &= ~((who == a) & np.isin(rows, soft_rows))
        for text, part in chances.items():
            some = part > 0
            pieces.append((soft_rows[some], np.full(some.sum(), a), np.full(some.sum(), place[text]), part[some]))
    rows, who, labels, weights = (
        np.concatenate(several)
        for several in zip((rows[spare], who[spare], labels[spare], weights[spare]), *pieces, strict=True)
    )
    order = np.lexsort((labels, who, rows))
    starts = np.searchsorted(rows[order], np.arange(len(hard) + 1))
    return Votes(
        starts,
        who[order].astype(np.int32),
        labels[order].astype(np.int32),
        hard.names,
        hard.classes,
        weights[order].astype(np.float64),
    )


def _with_classes(hard: Votes, soft: Soft) -> Votes:
    """The votes with all classes that chances are given for, among their own."""
    classes = sorted({*hard.classes, *(text for _, chances in soft.values() for text in chances)})
    to = np.array([classes.index(text) for text in hard.classes] + [0], np.int32)
    return replace(hard, labels=to[hard.labels], classes=classes)


__all__ = ["LEARNED", "RAISED", "Applied", "Source", "apply_rules"]
