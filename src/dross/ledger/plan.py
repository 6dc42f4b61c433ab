"""Plan: the edits that a policy makes of the findings of a run, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.core.roles import Role
from dross.ledger.edits import Draft, signed
from dross.ledger.policy import RELABELLED, TWINNED, Policy
from dross.ledger.state import WEIGHT, all_to_json, dropped, to_json

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """What ``apply`` would do.

    Attributes
    ----------
    drafts
        The edits, by issue and row.
    waiting
        How many flagged findings of each issue are left for a person to review.
    notes
        What else the user should know: conflicts and how they were resolved.
    """

    drafts: list[Draft]
    waiting: dict[str, int]
    notes: list[str]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many edits, by issue and action."""
        out: dict[str, dict[str, int]] = {}
        for draft in self.drafts:
            of_issue = out.setdefault(draft.issue or "", {})
            of_issue[draft.action] = of_issue.get(draft.action, 0) + 1
        return out

    @property
    def summary(self) -> dict[str, Any]:
        """Counts, findings that wait, and notes, as plain JSON."""
        return {"edits": self.counts, "waiting": self.waiting, "notes": self.notes}


@dataclass(frozen=True)
class Audited:
    """The rows that a run looked at, in its order: their ids and their positions in the base, shape (m,) each."""

    row_ids: npt.NDArray[np.uint64]
    positions: Ints


@dataclass
class _Proposal:
    """The edits that one issue asks for: equally long columns; ``after`` is JSON, or None to drop the row."""

    issue: Issue
    action: str
    field: str | None
    rows: Ints
    after: list[str | None]
    twins: Ints
    method: list[str]
    confidence: list[float | None]
    score: list[float]

    def keep(self, mask: Mask) -> None:
        at = np.flatnonzero(mask)
        self.rows, self.twins = self.rows[at], self.twins[at]
        chosen = at.tolist()
        self.after, self.method = [self.after[i] for i in chosen], [self.method[i] for i in chosen]
        self.confidence, self.score = [self.confidence[i] for i in chosen], [self.score[i] for i in chosen]


def plan(policy: Policy, findings: Mapping[str, pa.Table], base: Dataset, audited: Audited, winners: pa.Table) -> Plan:
    """Turn findings into edits.

    Parameters
    ----------
    policy
        What to do with each issue.
    findings
        The run's findings by issue, with the columns that :func:`dross.job.table.tabulate` makes.
    base
        The rows the edits hang on.
    audited
        Which rows the run's positions mean.
    winners
        The last standing edit of each cell, as :func:`dross.ledger.state.winning` gives them.

    A row that is to be dropped is not changed as well. Of each group of twins one row stays. What a person decided
    stands against any policy, and an edit whose effect is there already is not made again.
    """
    waiting: dict[str, int] = {}
    proposals = []
    for name, table in findings.items():
        issue = Issue(name)
        flagged = table.filter(table.column("flagged"))
        made = _propose(policy, issue, flagged, base, audited) if flagged.num_rows else None
        if made is not None and len(made.rows):
            proposals.append(made)
        left = flagged.num_rows - (len(made.rows) if made else 0)
        if left:
            waiting[name] = left
    notes: list[str] = []
    decided = _decided(winners)
    _spare_decided(proposals, decided, notes)
    gone = dropped(winners)
    _spare_twins([p for p in proposals if p.action == "drop"], gone, notes)
    _drop_wins(proposals, gone, notes)
    _best_of_each_cell(proposals, notes)
    drafts = [draft for p in proposals for draft in _drafts(p, policy, base, winners)]
    return Plan(drafts, waiting, notes)


def _propose(policy: Policy, issue: Issue, flagged: pa.Table, base: Dataset, audited: Audited) -> _Proposal | None:
    rule = policy.rule(issue)
    if rule.action == "review":
        return None
    at = flagged.column("row").to_numpy()
    _same_rows(flagged, at, audited)
    precision = flagged.column("expected_precision").cast(pa.float32())
    least = pa.scalar(rule.precision, pa.float32())
    sure = pc.fill_null(pc.greater_equal(precision, least), rule.precision == 0).to_numpy(zero_copy_only=False)
    field, after = _after(rule.action, issue, flagged, base)
    usable = np.array([text is not None for text in after]) if rule.action != "drop" else np.ones(len(at), bool)
    proposal = _Proposal(
        issue,
        rule.action,
        field,
        audited.positions[at],
        after,
        _twins(issue, flagged, audited),
        flagged.column("method").cast(pa.string()).to_pylist(),
        precision.to_pylist(),
        flagged.column("score").to_pylist(),
    )
    if rule.action == "drop" and issue in TWINNED:
        usable &= proposal.twins >= 0  # without a twin that stays, nobody knows that another copy is left
    proposal.keep(sure & usable)
    return proposal


def _same_rows(flagged: pa.Table, at: Ints, audited: Audited) -> None:
    ids = flagged.column("row_id").to_numpy()
    if len(at) and (at.max() >= len(audited.row_ids) or (audited.row_ids[at] != ids).any()):
        raise changed()


def changed(where: str | None = None) -> DrossError:
    """The error for data that is not what was audited."""
    return DrossError(
        "the data has changed since the audit", where=where, fix="run dross audit again, then dross apply"
    )


def _after(action: str, issue: Issue, flagged: pa.Table, base: Dataset) -> tuple[str | None, list[str | None]]:
    """The field to change and the new value of each row as JSON; None for a row whose finding suggests none."""
    if action == "drop":
        return None, [None] * flagged.num_rows
    if action == "reweight":
        chances = flagged.column("expected_precision").to_pylist()
        return WEIGHT, [None if chance is None else to_json(round(1 - chance, 6)) for chance in chances]
    suggestions = flagged.column("suggestion").to_pylist()
    if issue in RELABELLED and base.has(Role.LABEL):
        values = {str(value): to_json(value) for value in base.classes}
        return base.name_of(Role.LABEL), [None if s is None else values.get(s) for s in suggestions]
    if issue is Issue.LABEL and base.has(Role.TARGET):
        return base.name_of(Role.TARGET), [_number(s, base) for s in suggestions]
    return None, [None] * flagged.num_rows


def _number(text: str | None, base: Dataset) -> str | None:
    if text is None:
        return None
    whole = pa.types.is_integer(base.column(Role.TARGET).type)
    return to_json(round(float(text)) if whole else float(text))


def _twins(issue: Issue, flagged: pa.Table, audited: Audited) -> Ints:
    """The base position of each finding's twin, -1 where it has none."""
    if issue not in TWINNED:
        return np.full(flagged.num_rows, -1)
    at = pc.cast(flagged.column("suggestion"), pa.int64()).fill_null(-1).to_numpy()
    if len(at) and at.max() >= len(audited.positions):
        raise changed()
    return np.where(at >= 0, audited.positions[at], -1)


# ---- conflicts ------------------------------------------------------------------------------------------------------


def _decided(winners: pa.Table) -> dict[str | None, Ints]:
    """The positions that a person decided about, by field."""
    mine = winners.filter(winners["decided"])
    fields = mine["field"].to_pylist()
    positions = mine["position"].to_numpy()
    return {name: positions[[f == name for f in fields]] for name in set(fields)}


def _spare_decided(proposals: list[_Proposal], decided: Mapping[str | None, Ints], notes: list[str]) -> None:
    spared = 0
    for proposal in proposals:
        if proposal.field in decided:
            theirs = np.isin(proposal.rows, decided[proposal.field])
            spared += int(theirs.sum())
            proposal.keep(~theirs)
    if spared:
        notes.append(f"{spared:,} findings were left as a person had decided")


def _spare_twins(drops: list[_Proposal], gone: Ints, notes: list[str]) -> None:
    """Take one row of each group of twins out of the drops when none would stay otherwise."""
    twinned = [p for p in drops if p.issue in TWINNED]
    if not sum(len(p.rows) for p in twinned):
        return
    rows = np.concatenate([p.rows for p in twinned])
    nodes, group = _groups(rows, np.concatenate([p.twins for p in twinned]))
    lost = np.isin(nodes, np.concatenate([gone, *(p.rows for p in drops if p.issue not in TWINNED)]))
    stays = np.bincount(group, weights=~lost & ~np.isin(nodes, rows)) > 0
    candidates = np.flatnonzero(~lost & ~stays[group])
    _, first = np.unique(group[candidates], return_index=True)
    survivors = nodes[candidates[first]]
    for proposal in twinned:
        proposal.keep(~np.isin(proposal.rows, survivors))
    if len(survivors):
        notes.append(f"{len(survivors):,} rows stay although flagged: each is the last of its group of copies")


def _groups(rows: Ints, twins: Ints) -> tuple[Ints, Ints]:
    """The rows that any pair names, ascending, and the number of the group each belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes, ends = np.unique(np.concatenate([rows, twins]), return_inverse=True)
    a, b = ends[: len(rows)], ends[len(rows) :]
    graph = coo_array((np.ones(len(rows), np.int8), (a, b)), shape=(len(nodes), len(nodes)))
    _, group = connected_components(graph, directed=False)
    return nodes, np.asarray(group, np.int64)


def _drop_wins(proposals: list[_Proposal], gone: Ints, notes: list[str]) -> None:
    seen = np.sort(gone)
    for proposal in proposals:
        if proposal.action == "drop":
            proposal.keep(~np.isin(proposal.rows, seen))
            seen = np.union1d(seen, proposal.rows)
    fresh = np.setdiff1d(seen, gone)
    both = 0
    for proposal in proposals:
        if proposal.action != "drop":
            both += int(np.isin(proposal.rows, fresh).sum())
            proposal.keep(~np.isin(proposal.rows, seen))
    if both:
        notes.append(f"{both:,} rows were both to be dropped and to be changed: they are dropped")


def _best_of_each_cell(proposals: list[_Proposal], notes: list[str]) -> None:
    """Where several issues would change one cell, the likeliest finding has its way."""
    contested = 0
    for field in {p.field for p in proposals} - {None}:
        rivals = [p for p in proposals if p.field == field]
        if len(rivals) < 2:
            continue
        rows = np.concatenate([p.rows for p in rivals])
        chance = np.array([c or 0.0 for p in rivals for c in p.confidence])
        best = np.zeros(len(rows), bool)
        order = np.lexsort((np.arange(len(rows)), -chance, rows))
        best[order[np.unique(rows[order], return_index=True)[1]]] = True
        contested += int((~best).sum())
        for proposal, mask in zip(rivals, np.split(best, np.cumsum([len(p.rows) for p in rivals])[:-1]), strict=True):
            proposal.keep(mask)
    if contested:
        notes.append(f"{contested:,} cells were to be changed by two kinds of finding: the likelier one has its way")


# ---- drafts ---------------------------------------------------------------------------------------------------------


def _drafts(p: _Proposal, policy: Policy, base: Dataset, winners: pa.Table) -> list[Draft]:
    if not len(p.rows):
        return []
    before = cells(base, winners, p.field, p.rows)
    keys = base.keys(p.rows).to_pylist()
    ids = signed(base.row_ids[p.rows]).tolist()
    twins = base.keys(np.maximum(p.twins, 0)).to_pylist()
    drafts = []
    for i, row in enumerate(p.rows.tolist()):
        if p.field is not None and before[i] == p.after[i]:
            continue
        filled = p.action == "relabel" and before[i] in {None, "null"}
        reason = f"{'the row had no label' if filled else p.issue.meaning} (score {p.score[i]:.2f}"
        reason += f", copy of {twins[i]})" if p.twins[i] >= 0 else ")"
        drafts.append(
            Draft(
                ids[i], row, keys[i], p.field, p.action, before[i], p.after[i], str(p.issue), p.method[i],
                f"{reason}; policy {policy.name}", p.confidence[i], p.method[i],
            )
        )  # fmt: skip
    return drafts


def cells(base: Dataset, winners: pa.Table, field: str | None, rows: Ints) -> list[str | None]:
    """What stands now in one column at some rows, as JSON; None for whole rows."""
    if field is None:
        return [None] * len(rows)
    if field in base.table.column_names:
        now: list[str | None] = all_to_json(base.table.column(field).take(pa.array(rows)))
    else:
        now = [json.dumps(1.0)] * len(rows)
    chosen = winners.filter(pc.and_(pc.equal(winners["field"], field), pc.not_equal(winners["action"], "keep")))
    edited = dict(zip(chosen["position"].to_pylist(), chosen["after"].to_pylist(), strict=True))
    return [edited.get(row, text) for row, text in zip(rows.tolist(), now, strict=True)] if edited else now
