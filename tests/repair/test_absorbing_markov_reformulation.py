"""Absorbing Markov chain: the chain, the walks, the rewrites, sessions by time, meanings, real queries, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from tests.realdata import real

from dross.claims.repair.absorbing_markov_reformulation import World, judged, told
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Edits, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.repair.absorbing_markov_reformulation import (
    AbsorbingMarkovReformulation,
    last_successes,
    plain,
    rewrites,
    transitions,
)
from dross.testing import check_method

ROLES = {Role.GROUP: ["session"], Role.TEXT: ["query"], Role.LABEL: ["outcome"]}


def sessions(*talks: str) -> Dataset:
    """Each talk a session of queries; a query that ends in ``+`` succeeded."""
    turns = [(i, q) for i, talk in enumerate(talks) for q in talk.split(" > ")]
    columns = {
        "session": [i for i, _ in turns],
        "query": [q.rstrip("+") for _, q in turns],
        "outcome": ["success" if q.endswith("+") else "failure" for _, q in turns],
    }
    return Dataset(pa.table(columns), ROLES)


def mended(method: AbsorbingMarkovReformulation, data: Dataset) -> Edits:
    edits = method.run(data, Signals(data))
    assert isinstance(edits, Edits)
    return edits


def test_contract() -> None:
    check_method(AbsorbingMarkovReformulation)


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=40, deadline=None)
def test_walks_are_those_of_the_fundamental_matrix(seed: int, k: int) -> None:
    """Against the inverse of I - Q, and against the chances of absorption, which they add up to."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(k + 2, 0.5), k)
    P[:, k] += 1e-3
    P /= P.sum(axis=1, keepdims=True)
    Q, success = P[:, :k], P[:, k]
    N = np.linalg.inv(np.eye(k) - Q)
    rows = rng.permutation(k)[: k // 2 + 1]
    found = last_successes(csr_matrix(Q), success, rows).toarray()
    assert np.allclose(found, (N * success)[rows], atol=1e-5)
    best, chance, own = rewrites(csr_matrix(Q), success)
    assert np.allclose(chance, (N * success).max(axis=1), atol=1e-5)
    assert np.allclose((N * success)[np.arange(k), best], chance, atol=1e-5)
    assert np.allclose(own, np.diag(N * success), atol=1e-5)


def test_a_chain_counts_what_follows_and_how_sessions_end() -> None:
    states = np.array([0, 1, 0, 0, 1, 2])
    starts = np.array([True, False, True, False, True, False])
    won = np.array([True, True, False, False, False, False])  # the first turn's success does not end its session
    Q, success = transitions(states, starts, won, 4)
    assert np.allclose(Q.toarray(), [[1 / 3, 1 / 3, 0, 0], [0, 0, 1 / 2, 0], [0] * 4, [0] * 4])
    assert success.tolist() == [0, 1 / 2, 0, 0]


def test_users_who_never_met_help_one_another() -> None:
    """No session goes from a to c, but a leads to b and b to c."""
    data = sessions(*["a > b"] * 4, *["b > c+"] * 8, *["c+"] * 8, "b+")
    learnt = AbsorbingMarkovReformulation().learnt(data)
    assert {query: after for query, (after, _) in learnt.items()} == {"a": "c", "b": "c"}
    Q = np.array([[0, 1, 0], [0, 0, 8 / 13], [0, 0, 0]])
    success = np.array([0, 1 / 13, 1.0])
    assert learnt["a"][1] == pytest.approx((np.linalg.inv(np.eye(3) - Q) * success)[0, 2])


def test_only_failed_turns_of_queries_with_a_better_wording_change() -> None:
    data = sessions(*["plei it > play it+"] * 5, "plei it+", *["stop+"] * 5, "stop > play it+", "rare > play it+")
    edits = mended(AbsorbingMarkovReformulation(), data)
    queries = data.table.column("query").to_pylist()
    outcomes = data.table.column("outcome").to_pylist()
    assert edits.rows.tolist() == [
        i for i, (q, o) in enumerate(zip(queries, outcomes, strict=True)) if (q, o) == ("plei it", "failure")
    ]
    assert set(edits.after) == {"play it"}
    assert set(edits.before) == {"plei it"}


def test_margins_and_support_are_kept() -> None:
    close = sessions(*["a > b+"] * 5, *["a+"] * 4, *["b+"] * 3)
    assert not AbsorbingMarkovReformulation().learnt(close)
    assert set(AbsorbingMarkovReformulation(ratio=1.0).learnt(close)) == {"a"}
    assert not AbsorbingMarkovReformulation(ratio=1.0, least=10).learnt(close)


def test_times_order_the_turns_and_part_the_sessions() -> None:
    talk = [(0.0, "a", "no"), (10.0, "b", "yes"), (500.0, "c", "yes")]
    rows = [(s, s * 10_000 + t, q, o) for s in range(4) for t, q, o in talk][::-1]
    table = pa.table(dict(zip(("session", "t", "query", "outcome"), map(list, zip(*rows, strict=True)), strict=True)))
    data = Dataset(table, {**ROLES, Role.TIME: ["t"]})
    turns = AbsorbingMarkovReformulation().turns(data)
    assert turns.starts.tolist() == [True, False, True] * 4
    assert {q: a for q, (a, _) in AbsorbingMarkovReformulation().learnt(data).items()} == {"a": "b"}
    stamps = table.set_column(1, "t", pc_seconds(table.column("t")))
    again = Dataset(stamps, data.roles)
    assert AbsorbingMarkovReformulation().learnt(again) == AbsorbingMarkovReformulation().learnt(data)
    words = Dataset(table.set_column(1, "t", table.column("t").cast(pa.string())), data.roles)
    with pytest.raises(DrossError, match="times"):
        AbsorbingMarkovReformulation().run(words, Signals(words))


def pc_seconds(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([int(v) for v in column.to_pylist()], pa.timestamp("s"))


def test_meanings_pool_wordings() -> None:
    """Two wordings of one meaning, too rare each, have a rewrite together: the commonest wording that works."""
    data = sessions(*["plei x > play x+"] * 2, *["blay x > Play  x+"] * 2, "play x+")
    said = [
        "?" if q[1] != "l" or q[0] == "b" or "ei" in q else "play(x)" for q in data.table.column("query").to_pylist()
    ]
    said = [
        "play(x)" if q.lower().startswith("play") else s
        for q, s in zip(data.table.column("query").to_pylist(), said, strict=True)
    ]
    data = Dataset(data.table.append_column("slots", pa.array(said)), data.roles)
    assert not AbsorbingMarkovReformulation().learnt(data)
    learnt = AbsorbingMarkovReformulation(meaning="slots").learnt(data)
    assert learnt == {"?": ("play x", 1.0)}
    with pytest.raises(DrossError, match="slot"):
        AbsorbingMarkovReformulation(meaning="slot").run(data, Signals(data))


def test_real_requests_are_repaired() -> None:
    """CLINC150 queries, misheard: the rewrites win far more often than they lose."""
    table = pq.read_table(real("intent_clinc150_oos") / "clinc150.parquet")
    requests = tuple(dict.fromkeys(plain(table.column("text").slice(0, 3000).to_pylist())))
    rng = np.random.default_rng(0)
    world = World.of(0, requests)
    data, held = told(world, world.sessions(4000, rng), rng), world.sessions(2000, rng)
    rules = {q: plain([after])[0] for q, (after, _) in AbsorbingMarkovReformulation().learnt(data).items()}
    found = judged(world, held, rules)
    assert found["wins per loss"] >= 5
    assert found["defects cut in %"] >= 30


def test_gaps_and_bad_input() -> None:
    data = sessions(*["a > b+"] * 5, *["b+"] * 3)
    gaps = data.with_column(
        "query", pa.array([None if i == 0 else q for i, q in enumerate(data.table["query"].to_pylist())])
    )
    assert 0 not in mended(AbsorbingMarkovReformulation(), gaps).rows
    assert plain(["", None]) == ["", ""]
    odd = data.with_column(
        "outcome", pa.array(["good one" if o == "success" else o for o in data.table["outcome"].to_pylist()])
    )
    assert isinstance(AbsorbingMarkovReformulation().run(odd, Signals(odd)), NotApplicable)
    assert set(AbsorbingMarkovReformulation(success="good one").learnt(odd)) == {"a"}
    with pytest.raises(DrossError, match="good two"):
        AbsorbingMarkovReformulation(success="good two").run(odd, Signals(odd))
    with pytest.raises(DrossError, match="ratio"):
        AbsorbingMarkovReformulation(ratio=0.5).run(data, Signals(data))
    bare = Dataset(data.table, {Role.TEXT: ["query"]})
    assert isinstance(AbsorbingMarkovReformulation().run(bare, Signals(bare)), NotApplicable)
