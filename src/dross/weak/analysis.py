"""What rules are worth, before anything is trusted: coverage, overlap, conflict, accuracy, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.results import Estimate
from dross.core.roles import Role
from dross.core.statistics import holm, wilson
from dross.models.crowd import Consensus
from dross.models.votes import Votes
from dross.weak import examples, overlap
from dross.weak.answers import text_of
from dross.weak.apply import Applied, Source
from dross.weak.estimate import estimate

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
LEAST = 10
"""Rows on which others vote too, for the accuracy of a rule to be estimated."""


@dataclass(frozen=True)
class RuleFacts:
    """One rule or column of votes.

    Attributes
    ----------
    name, where
        What it is called; its file and line.
    labels
        How often it votes for each class.
    coverage, overlap, conflict
        The share of all rows on which it votes, votes beside others, votes against others.
    estimated
        The chance that its vote is right where others vote too, as the label model sees; None where too few rows
        tell.
    measured
        Its accuracy on rows with a given label, with a 95 % interval; None where there is none. ``given`` counts them.
    failed, failures, stopped
        On how many rows it failed, how, and why it was given up (None: it was not).
    seconds, reused
        How long it took; whether that was in an earlier run.
    harmful
        Why it does harm; empty where nothing says so.
    remarks
        What else there is to know.
    """

    name: str
    where: str
    labels: dict[str, int]
    coverage: float
    overlap: float
    conflict: float
    estimated: float | None
    measured: Estimate | None
    given: int
    failed: int
    failures: list[dict[str, Any]]
    stopped: str | None
    seconds: float
    reused: bool
    harmful: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Analysis:
    """The rules together.

    Attributes
    ----------
    rows, covered, overlapping, disputed
        Rows; those with a vote, with several, with several that differ.
    classes
        The classes voted for, as text.
    model, why
        The label model, and why it was chosen.
    rules
        One entry for each rule and column of votes.
    redundant
        Pairs of rules with near-identical votes: ``rules``, ``alike`` (share of their votes in common), ``rows``.
    conflicts
        Pairs of rules that disagree most often: ``rules``, ``rows`` (count), ``examples``.
    uncovered
        Groups of rows without a vote: ``name``, ``share`` of the rows without one, ``examples``.
    accuracy
        Of the labels on covered rows with a given one, with a 95 % interval: of the ``model`` and of ``majority``.
    notes
        What else there is to know.
    """

    rows: int
    covered: int
    overlapping: int
    disputed: int
    classes: list[str]
    model: str
    why: list[str]
    rules: list[RuleFacts]
    redundant: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    uncovered: list[dict[str, Any]]
    accuracy: Mapping[str, Estimate]
    notes: list[str]

    def plain(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return asdict(self)


def analyse(applied: Applied, model: str = "auto", *, consensus: Consensus | None = None, seed: int = 0) -> Analysis:
    """Judge rules by each other, and by given labels where there are some.

    ``consensus`` is what the label model says of ``applied.votes()`` where that is known already; ``seed`` is for
    grouping the rows without a vote. O(votes × classes + rules²) and the label model.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from dross.weak.apply import apply_rules
    >>> table = pa.table({"a": ["x", "x", "y", None], "b": ["x", "y", "y", None]})
    >>> found = analyse(apply_rules(Dataset(table, {Role.VOTES: ["a", "b"]})), "majority")
    >>> found.covered, found.disputed, found.rules[0].coverage
    (3, 1, 0.75)
    """
    votes = applied.votes(soft=False)
    data, k, n = applied.data, max(1, len(votes.classes)), len(votes)
    believed = consensus
    if believed is None and len(votes.labels):
        believed = estimate(applied.votes(), model)
    gold = given_codes(data, votes.classes)
    facts = overlap.measure(votes)
    judged = overlap.judge(votes, _weighing(believed), gold)
    harmful = _harmful(judged, k)
    place = {name: j for j, name in enumerate(votes.names)}
    expected = _expected(votes, facts, believed)
    rules = [
        _facts(source, place.get(source.name), votes, facts, judged, expected, harmful, n) for source in applied.sources
    ]
    pairs = overlap.pairs(votes)
    uncovered = np.flatnonzero(facts.sizes == 0)
    return Analysis(
        n,
        int((facts.sizes > 0).sum()),
        int((facts.sizes > 1).sum()),
        int(facts.disputed.sum()),
        [str(name) for name in votes.classes],
        model if believed is None else believed.model,
        [] if believed is None else list(believed.why),
        rules,
        examples.redundant(votes, pairs, facts),
        examples.conflicts(data, votes, pairs),
        examples.groups(data, uncovered, seed),
        _accuracy(votes, believed, gold, facts),
        _notes(votes, facts, gold),
    )


def given_codes(data: Dataset, classes: list[Any]) -> Counts:
    """The given label of each row as a class voted for; -1 where none is given, k where nobody ever voted for it."""
    if not data.has(Role.LABEL):
        return np.full(len(data), -1, np.int64)
    place = {str(name): i for i, name in enumerate(classes)}
    to = np.array([place.get(text_of(label), len(classes)) for label in data.classes] + [-1], np.int64)
    return to[data.codes]


def _facts(
    source: Source,
    j: int | None,
    votes: Votes,
    facts: overlap.Facts,
    judged: overlap.Judged,
    expected: Floats | None,
    harmful: dict[int, list[str]],
    n: int,
) -> RuleFacts:
    shares = [0.0, 0.0, 0.0]
    labels: dict[str, int] = {}
    estimated, measured, given = None, None, 0
    if j is not None:
        shares = [float(part[j]) / max(1, n) for part in (facts.votes, facts.beside, facts.against)]
        labels = {str(votes.classes[c]): int(count) for c, count in enumerate(facts.labels[j]) if count}
        if expected is not None and facts.beside[j] >= LEAST:
            estimated = float(expected[j])
        given = int(judged.given[j])
        if given:
            low, high = wilson(judged.right[j], judged.given[j])
            measured = (float(judged.right[j] / given), float(low), float(high))
    remarks = list(source.remarks)
    if source.left_out is None and not source.votes:
        remarks.append("it never votes")
    return RuleFacts(
        source.name,
        source.where,
        labels,
        shares[0],
        shares[1],
        shares[2],
        estimated,
        measured,
        given,
        source.failed,
        source.failures,
        source.left_out,
        source.seconds,
        source.reused,
        harmful.get(-1 if j is None else j, []),
        remarks,
    )


def _weighing(believed: Consensus | None) -> Floats | None:
    """The quality that votes are weighed by; None for the majority vote, where all count alike."""
    return None if believed is None or believed.model == "majority" else believed.quality


def _expected(votes: Votes, facts: overlap.Facts, believed: Consensus | None) -> Floats | None:
    """The chance that a vote is right, averaged over each source's votes beside others, shape (m,)."""
    if believed is None:
        return None
    rows, m = votes.rows, len(votes.names)
    shared = facts.sizes[rows] > 1
    chance = believed.probs[rows[shared], votes.labels[shared]]
    total = np.bincount(votes.annotators[shared], chance, m)
    return total / np.maximum(np.bincount(votes.annotators[shared], minlength=m), 1)


def _harmful(judged: overlap.Judged, k: int) -> dict[int, list[str]]:
    """Why each harmful rule is so.

    Worse than chance: the interval of its accuracy on given labels (without those: of its agreement with the others)
    lies below what its votes would reach if they fell on rows at random. Lowers the accuracy: without its vote,
    significantly more given labels are met (one-sided sign test, Holm over the rules).
    """
    from scipy.stats import binomtest

    found: dict[int, list[str]] = {}
    _, right = wilson(judged.right, judged.given)
    _, agree = wilson(judged.agree, judged.met)
    for j in range(len(judged.given)):
        if judged.given[j] >= LEAST and right[j] < judged.chance[j]:
            found.setdefault(j, []).append(
                f"right on {judged.right[j]:,} of {judged.given[j]:,} given labels, worse than votes at random "
                f"({judged.chance[j]:.0%})"
            )
        elif judged.given[j] < LEAST and judged.met[j] >= LEAST and agree[j] < judged.chance_met[j]:
            found.setdefault(j, []).append(
                f"agrees with the other rules on {judged.agree[j]:,} of {judged.met[j]:,} rows, less than votes at "
                f"random ({judged.chance_met[j]:.0%})"
            )
    changed = judged.repaired + judged.broken
    p = [
        binomtest(int(a), int(b), 0.5, alternative="greater").pvalue if b else 1.0
        for a, b in zip(judged.broken, changed, strict=True)
    ]
    for j in np.flatnonzero(holm(np.array(p)) < 0.05).tolist():
        found.setdefault(j, []).append(
            f"without it, {judged.broken[j]:,} more given labels are met and {judged.repaired[j]:,} fewer"
        )
    return found


def _accuracy(votes: Votes, believed: Consensus | None, gold: Counts, facts: overlap.Facts) -> dict[str, Estimate]:
    from dross.models.votes import majority

    rows = np.flatnonzero((facts.sizes > 0) & (gold >= 0))
    if believed is None or not len(rows):
        return {}
    found = {}
    for name, probs in (("model", believed.probs), ("majority", majority(votes))):
        hits = int((probs[rows].argmax(axis=1) == gold[rows]).sum())
        low, high = wilson(hits, len(rows))
        found[name] = (hits / len(rows), float(low), float(high))
    return found


def _notes(votes: Votes, facts: overlap.Facts, gold: Counts) -> list[str]:
    notes = []
    voting = int((facts.votes > 0).sum())
    if not voting:
        notes.append("no rule votes on any row, so nothing can be labelled")
    elif voting == 1:
        notes.append("only one rule votes: nothing but given labels can tell how often it is right")
    elif not (facts.sizes > 1).any():
        notes.append("no two rules vote on the same row, so their accuracy cannot be estimated from each other")
    missed = int((gold == len(votes.classes)).sum())
    if voting and missed:
        notes.append(f"{missed:,} rows have a given label that no rule ever votes for")
    if voting and len(votes.classes) == 1:
        notes.append(f"every vote is for {votes.classes[0]!r}: rules for the other classes are needed")
    return notes
