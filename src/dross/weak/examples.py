"""Rows and pairs of rules to look at: redundant pairs, conflicts, groups of rows that no rule votes on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.votes import Votes
from dross.weak import overlap

Counts = npt.NDArray[np.int64]
ALIKE, SHARED = 0.9, 10
"""The share of their votes that two rules have in common to count as near-identical, and how many at least."""
CONFLICTS, EXAMPLES, GROUPS = 10, 3, 5
"""Pairs of rules in conflict, examples of each, and groups of rows without a vote that are shown."""
LOOKED_AT, LEAST = 10_000, 20
"""Rows without a vote that are put into groups, at most and at least."""


def redundant(votes: Votes, pairs: overlap.Pairs, facts: overlap.Facts) -> list[dict[str, Any]]:
    """Pairs of rules with near-identical votes, the most alike first."""
    either = facts.votes[:, None] + facts.votes[None, :] - pairs.both
    alike = pairs.agree / np.maximum(either, 1)
    first, second = np.nonzero(np.triu((alike >= ALIKE) & (pairs.agree >= SHARED), 1))
    order = np.argsort(-alike[first, second], kind="stable")
    return [
        {
            "rules": [votes.names[first[i]], votes.names[second[i]]],
            "alike": round(float(alike[first[i], second[i]]), 4),
            "rows": int(pairs.agree[first[i], second[i]]),
        }
        for i in order
    ]


def conflicts(data: Dataset, votes: Votes, pairs: overlap.Pairs) -> list[dict[str, Any]]:
    """The pairs of rules that disagree most often, with rows on which they do."""
    against = np.triu(pairs.both - pairs.agree, 1)
    flat = np.argsort(-against, axis=None, kind="stable")[:CONFLICTS]
    by_rule = overlap.by_source(votes)
    found = []
    for a, b in zip(*np.unravel_index(flat, against.shape), strict=True) if against.size else ():
        if not against[a, b]:
            break
        rows, left, right = overlap.where_both(votes, by_rule, int(a), int(b))
        differ = np.flatnonzero(left != right)
        some = differ[np.linspace(0, len(differ) - 1, min(EXAMPLES, len(differ))).astype(np.int64)]
        found.append(
            {
                "rules": [votes.names[a], votes.names[b]],
                "rows": int(against[a, b]),
                "examples": [
                    {
                        **_example(data, int(rows[i])),
                        "votes": [str(votes.classes[left[i]]), str(votes.classes[right[i]])],
                    }
                    for i in some
                ],
            }
        )
    return found


def _example(data: Dataset, row: int) -> dict[str, Any]:
    return {"row": row, "id": data.key(row), "text": shown(data, row)}


def shown(data: Dataset, row: int, limit: int = 120) -> str:
    """The beginning of a row for people: its texts, else its first columns."""
    from dross.report.text import visible

    names = data.roles.get(Role.TEXT, ())
    own = {name for role in (Role.VOTES, Role.LABEL) for name in data.roles.get(role, ())}
    if names:
        words = " | ".join(str(data.table.column(name)[row].as_py()) for name in names)
    else:
        rest = [name for name in data.table.column_names if name not in own][:4]
        words = ", ".join(f"{name}={data.table.column(name)[row].as_py()}" for name in rest)
    words = visible(" ".join(words.split()))
    return words if len(words) <= limit else f"{words[:limit].rstrip()}…"


def groups(data: Dataset, rows: Counts, seed: int) -> list[dict[str, Any]]:
    """Groups of similar rows without a vote, the largest first: subjects that a new rule could be about."""
    from dross.review.clusters import Clusters, describe

    if len(rows) < LEAST or not data.content:
        return []
    some = rows if len(rows) <= LOOKED_AT else rows[np.linspace(0, len(rows) - 1, LOOKED_AT).astype(np.int64)]
    roles: dict[Role, tuple[str, ...]] = {
        role: names for role, names in data.roles.items() if role not in {Role.LABEL, Role.VOTES}
    }
    part = data.take(some)
    part = Dataset(part.table, roles, row_ids=part.row_ids)
    k = int(np.clip(len(some) // 50, 2, 20))
    codes = Signals(part)[Clusters(k=k, seed=seed)]
    found = []
    for code in range(min(GROUPS, int(codes.max()) + 1)):
        own = np.flatnonzero(codes == code)
        found.append(
            {
                "name": describe(part, codes, code),
                "share": round(len(own) / len(some), 4),
                "rows": round(len(own) / len(some) * len(rows)),
                "examples": [
                    _example(data, int(some[i]))
                    for i in own[np.linspace(0, len(own) - 1, min(EXAMPLES, len(own))).astype(np.int64)]
                ],
            }
        )
    return found
