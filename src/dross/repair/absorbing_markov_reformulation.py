"""Absorbing Markov chain: queries that fail are replaced by what users who failed with them succeeded with at last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Repairer
from dross.core.paper import Paper
from dross.core.results import Edits, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Sparse = Any
"""A ``scipy.sparse.csr_matrix``."""

SUCCESSES = ("success", "succeeded", "successful", "ok", "good", "resolved", "answered", "true", "yes", "1", "1.0")
"""Names of the outcome that is a success, in lower case."""
BLOCK = 1024
"""States whose walks are followed at a time."""
_REST, _LONGEST = 1e-9, 10_000
REASON = "users who asked this and failed succeeded with the rewrite"


# ---- the mathematics ---------------------------------------------------------------------------------------------


def transitions(states: Codes, starts: Flags, won: Flags, k: int) -> tuple[Sparse, Values]:
    """The chain of all sessions: Q, (k, k) sparse, and the chance to end in success from each state, (k,).

    ``states`` (n,) are the turns in the order of the sessions, ``starts`` (n,) marks the first of each, ``won`` (n,)
    whether a turn succeeded; only the last turn of a session is asked. What is missing in a row of Q and the chance of
    success is the chance of ending in failure.

    >>> Q, success = transitions(np.array([0, 1, 0]), np.array([True, False, True]), np.array([False, True, False]), 2)
    >>> Q.toarray().tolist(), success.tolist()
    ([[0.0, 0.5], [0.0, 0.0]], [0.0, 1.0])
    """
    from scipy.sparse import csr_matrix

    last = np.append(starts[1:], True)
    visits = np.maximum(np.bincount(states, minlength=k), 1)
    before = states[~last]
    Q = csr_matrix((1.0 / visits[before], (before, states[np.flatnonzero(~last) + 1])), shape=(k, k))
    Q.sum_duplicates()
    return Q, np.bincount(states[last & won], minlength=k) / visits


def last_successes(Q: Sparse, success: Values, rows: Codes) -> Sparse:
    """The chance that a session at each of ``rows`` (m,) ends in success with its last turn at each state, (m, k).

    Entry (i, j) is N_ij success_j with the fundamental matrix N = (I - Q)^-1 = I + Q + Q² + …, summed until nearly all
    walks have ended. Sparse: only states that are reached take memory.

    >>> from scipy.sparse import csr_matrix
    >>> Q = csr_matrix(np.array([[0.5, 0.25], [0.0, 0.0]]))
    >>> last_successes(Q, np.array([0.125, 1.0]), np.array([0])).toarray().round(6).tolist()
    [[0.25, 0.5]]
    """
    from scipy.sparse import csr_matrix

    m = len(rows)
    walks = csr_matrix((np.ones(m), (np.arange(m), rows)), shape=(m, Q.shape[0]))
    total = walks
    for _ in range(_LONGEST):
        walks = walks @ Q
        if not walks.nnz or walks.sum(axis=1).max() < _REST:
            break
        total = total + walks
    return total.multiply(success[None, :]).tocsr()


def rewrites(Q: Sparse, success: Values) -> tuple[Codes, Values, Values]:
    """For each state the one that sessions from it most probably succeed with at last, and the chance of that, (k,).

    Also the chance of succeeding at last with the state itself, (k,). Of equally good states the first is taken; where
    no session succeeds it is the state itself. Time and memory are those of the walks, block by block.

    >>> from scipy.sparse import csr_matrix
    >>> best, chance, own = rewrites(csr_matrix(np.array([[0.5, 0.25], [0.0, 0.0]])), np.array([0.125, 1.0]))
    >>> best.tolist(), chance.round(6).tolist(), own.round(6).tolist()
    ([1, 1], [0.5, 1.0], [0.25, 1.0])
    """
    k = len(success)
    best, chance, own = np.arange(k), np.zeros(k), np.zeros(k)
    for start in range(0, k, BLOCK):
        rows = np.arange(start, min(start + BLOCK, k))
        found = last_successes(Q, success, rows)
        found.eliminate_zeros()
        found.sort_indices()
        of = np.repeat(np.arange(len(rows)), np.diff(found.indptr))
        order = np.lexsort([found.indices, -found.data, of])
        first = order[np.diff(of[order], prepend=-1) > 0]
        best[rows[of[first]]], chance[rows[of[first]]] = found.indices[first], found.data[first]
        mine = found.indices == rows[of]
        own[rows[of[mine]]] = found.data[mine]
    return best, chance, own


def plain(texts: Sequence[str | None]) -> list[str]:
    """Queries that differ in case, blanks or marks at their ends as one; empty where there is none.

    >>> plain(["Play  Imagine Dragons!", "play imagine dragons", None])
    ['play imagine dragons', 'play imagine dragons', '']
    """
    return [" ".join((text or "").casefold().split()).strip(" .,;:!?") for text in texts]


# ---- the repairer ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turns:
    """The turns of all sessions, in order.

    Attributes
    ----------
    rows
        The row of each turn, shape (n,).
    states
        What was understood, as a number into ``names``, shape (n,).
    starts, won
        Whether a turn is the first of its session, and whether it succeeded, shape (n,).
    names
        What was understood, k texts.
    said
        What is said for it: the wording that succeeded most often, k texts.
    """

    rows: Codes
    states: Codes
    starts: Flags
    won: Flags
    names: list[str]
    said: list[str]


@dataclass(frozen=True)
class AbsorbingMarkovReformulation(Repairer):
    """Rewrites of queries that fail, learnt from what users themselves try next; no annotation is needed.

    Ponnusamy, Roshan Ghias, Guo, Sarikaya, "Feedback-Based Self-Learning in Large-Scale Conversational AI Agents",
    2019. Each row is a turn: the query (role text), its session (role group), whether it succeeded (role label: two
    values; what did the assistant's own detection of interruptions, apologies and the like say), and its time where
    the file is not in order. All sessions together make a Markov chain over queries with two absorbing states, success
    and failure. A query is rewritten as the query with which sessions that pass through it most probably succeed at
    last, which pools users who never tried the same rewrite. Where that is the query itself nothing changes.

    Rows whose own turn succeeded are left as they are. :meth:`learnt` gives the rewrites themselves, for new queries.

    Attributes
    ----------
    success
        The label of turns that succeeded; guessed from its name ("success", "ok", "true", …) where it is empty.
    meaning
        A column with what the assistant understood (intent and slots); wordings of one meaning are then one query.
        Without it wordings count as one where they differ in case, blanks and marks at their ends alone.
    gap
        Seconds between two turns after which another session begins; of use where there are times.
    least
        Turns that a query, and successes that its rewrite, must have been seen with.
    ratio
        How many times likelier success must be with the rewrite than with the query as it is, at least 1. The paper
        takes 1, and later takes back rewrites that turn out to do harm.
    """

    paper: ClassVar = Paper("Feedback-Based Self-Learning in Large-Scale Conversational AI Agents", 2019, "1911.02557")
    needs: ClassVar = (Role.TEXT, Role.GROUP, Role.LABEL)

    success: str = ""
    meaning: str = ""
    gap: float = 45.0
    least: int = 3
    ratio: float = 2.0

    def run(self, data: Dataset, signals: Signals) -> Edits | NotApplicable:
        """Rewrite the failed turns whose query has a better wording."""
        missing = self.applies(data) or self._outcomes(data)
        if isinstance(missing, NotApplicable):
            return missing
        turns = self.turns(data)
        best, chance, _ = self._chosen(turns)
        field = data.name_of(Role.TEXT)
        column = data.table.column(field)
        changed = np.flatnonzero((best != np.arange(len(best)))[turns.states] & ~turns.won)
        changed = changed[np.argsort(turns.rows[changed])]
        rows, states = turns.rows[changed], turns.states[changed]
        return Edits(
            rows,
            field,
            before=column.take(pa.array(rows)).to_pylist(),
            after=[turns.said[i] for i in best[states].tolist()],
            confidence=np.clip(chance[states], 0, 1).astype(np.float32),
            reason=REASON,
        )

    def learnt(self, data: Dataset) -> dict[str, tuple[str, float]]:
        """What each query (:func:`plain`, or its meaning) is rewritten as, and the chance to succeed with that."""
        turns = self.turns(data)
        best, chance, _ = self._chosen(turns)
        changed = np.flatnonzero(best != np.arange(len(best))).tolist()
        return {turns.names[i]: (turns.said[best[i]], float(chance[i])) for i in changed}

    def turns(self, data: Dataset) -> Turns:
        """The turns of the sessions in order; rows without a session or a query are left out."""
        outcome = self._outcomes(data)
        if isinstance(outcome, NotApplicable):
            raise DrossError(outcome.reason, fix="mark each turn as a success or not")
        texts = pc.fill_null(pc.cast(data.column(Role.TEXT), pa.large_string()), "").to_pylist()
        session = pc.cast(data.column(Role.GROUP), pa.large_string()).combine_chunks().dictionary_encode()
        if isinstance(session, pa.ChunkedArray):
            session = session.combine_chunks()
        sessions = session.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        known = np.array(self._understood(data, texts), dtype=object)
        when = _seconds(data) if data.has(Role.TIME) else np.arange(len(data), dtype=np.float64)
        order = np.lexsort([np.arange(len(data)), when, sessions])
        order = order[((sessions >= 0) & (known != ""))[order]]
        starts = np.diff(sessions[order], prepend=-1) != 0
        if data.has(Role.TIME):
            starts |= np.diff(when[order], prepend=0.0) > self.gap
        names, states = np.unique(known[order].astype(str), return_inverse=True)
        won = outcome[order]
        said = _best_wordings(states.astype(np.int64), [texts[i] for i in order.tolist()], won, len(names))
        return Turns(order, states.astype(np.int64), starts, won, names.tolist(), said)

    def _understood(self, data: Dataset, texts: list[str]) -> list[str]:
        if not self.meaning:
            return plain(texts)
        if self.meaning not in data.table.column_names:
            raise DrossError(f"no column {self.meaning!r}", fix=nearest(self.meaning, data.table.column_names))
        given = pc.fill_null(pc.cast(data.table.column(self.meaning), pa.large_string()), "").to_pylist()
        return [str(one) for one in given]

    def _outcomes(self, data: Dataset) -> Flags | NotApplicable:
        """Whether each turn succeeded; one without an outcome did not."""
        if self.least < 1 or self.ratio < 1 or not self.gap > 0:
            told = f"least is {self.least}, ratio {self.ratio}, gap {self.gap}"
            raise DrossError(told, fix="give at least 1, at least 1 and a positive number of seconds")
        names = [str(value) for value in data.classes]
        if self.success:
            if self.success not in names:
                raise DrossError(f"no label is called {self.success!r}", fix=nearest(self.success, names))
            good = [self.success]
        else:
            good = [name for name in names if name.strip().lower() in SUCCESSES]
        if len(good) != 1:
            return NotApplicable(
                f"which label is a success is not known: name one of {', '.join(names[:5])} as success"
            )
        return np.asarray(data.codes == names.index(good[0]))

    def _chosen(self, turns: Turns) -> tuple[Codes, Values, Values]:
        """The rewrite of each state that there is enough evidence for, else the state itself."""
        k = len(turns.names)
        Q, success = transitions(turns.states, turns.starts, turns.won, k)
        best, chance, own = rewrites(Q, success)
        seen = np.bincount(turns.states, minlength=k)
        last = np.append(turns.starts[1:], True)[: len(turns.states)]
        succeeded = np.bincount(turns.states[last & turns.won], minlength=k)
        good = (seen >= self.least) & (succeeded[best] >= self.least) & (chance > self.ratio * own)
        return np.where(good, best, np.arange(k)), chance, own


def _seconds(data: Dataset) -> Values:
    """The time of each turn in seconds."""
    column = data.column(Role.TIME)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return np.asarray(pc.cast(column, pa.timestamp("ms"), safe=False).cast(pa.int64()).to_numpy(), np.float64) / 1e3
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return data.numbers(data.name_of(Role.TIME))
    raise DrossError(
        f"the times are of type {column.type}",
        where=f"column {data.name_of(Role.TIME)!r}",
        fix="give timestamps, or numbers of seconds",
    )


def _best_wordings(states: Codes, texts: list[str], won: Flags, k: int) -> list[str]:
    """The wording of each state that succeeded most often, then the one said most often, then the first by name."""
    wordings, codes = np.unique(np.array(texts, dtype=str), return_inverse=True)
    pairs, of = np.unique(states * len(wordings) + codes, return_inverse=True)
    good, all_ = np.bincount(of[won], minlength=len(pairs)), np.bincount(of, minlength=len(pairs))
    owner = pairs // max(1, len(wordings))
    order = np.lexsort([pairs, -all_, -good, owner])
    first = order[np.diff(owner[order], prepend=-1) > 0]
    return [str(wordings[i]) for i in (pairs[first] % max(1, len(wordings))).tolist()]
