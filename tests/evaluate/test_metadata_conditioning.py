"""Metadata conditioning: losses by length, the crossover, the plan, the grammar, what is measured, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.claims.evaluate.metadata_conditioning import LETTERS, SETS, WIDTH, Grammar
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Metrics, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.evaluate.metadata_conditioning import (
    MetadataConditioning,
    by_length,
    crossover,
    hidden_after,
    probed,
    token_bits,
    with_metadata,
)
from dross.testing import check_method

TINY = MetadataConditioning(lengths=(0, 2, 6), models=2, vocabulary=258, steps=30, batch_size=8, context=24)


def texts(n: int, seed: int = 0) -> Dataset:
    """Texts of a letter from the first or the second half of the alphabet, as the domain says."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(2, size=n)
    rows = ["".join(rng.permutation(list("abcdefgh" if kind else "stuvwxyz"))) for kind in kinds]
    table = pa.table({"text": rows, "domain": ["early" if kind else "late" for kind in kinds]})
    return Dataset(table, {Role.TEXT: ["text"], Role.DOMAIN: ["domain"]})


def test_contract() -> None:
    check_method(MetadataConditioning)


def test_losses_by_length_are_means_over_the_tokens_that_follow() -> None:
    rng = np.random.default_rng(0)
    losses, told = rng.random((20, 11)), np.arange(11) < rng.integers(0, 12, (20, 1))
    found = by_length(losses, told, [0, 3, 4, 9])
    for row, own, there in zip(found, losses, told, strict=True):
        for value, (start, stop) in zip(row, [(0, 3), (3, 4), (4, 9), (9, 11)], strict=True):
            after = [own[t] for t in range(start, stop) if there[t]]
            assert np.isnan(value) if not after else value == pytest.approx(np.mean(after))


def test_the_crossover_is_where_it_never_hurts_again() -> None:
    assert crossover([0, 1, 2, 3], [0.1, -0.1, 0.1, -0.1]) == 3
    assert crossover([0, 1], [-0.1, 0.0]) == 0
    assert crossover([0, 1], [-0.1, 0.1]) is None


def test_a_share_of_the_reads_begins_with_metadata() -> None:
    plan = np.arange(1000).reshape(100, 10)
    moved = with_metadata(plan, 0.3, 1000, 0)
    assert set((moved - plan).ravel().tolist()) == {0, 1000}
    assert (moved >= 1000).mean() == pytest.approx(0.3, abs=0.05)
    assert np.array_equal(with_metadata(plan, 1.0, 1000, 0), plan + 1000)


def test_a_probe_reads_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=400)
    clear, noise = np.eye(3)[y] + 0.1 * rng.standard_normal((400, 3)), rng.standard_normal((400, 3))
    assert probed(clear[:200], y[:200], clear[200:], y[200:]) > 0.95
    assert probed(noise[:200], y[:200], noise[200:], y[200:]) < 0.5


def test_texts_of_the_grammar_follow_the_rules_that_their_domain_names() -> None:
    grammar = Grammar.of(0)
    table = grammar.texts(0).table.slice(0, 50).to_pydict()
    for text, domain in zip(table["text"], table["domain"], strict=True):
        a, b = "pqrstu".index(domain[0]), "PQRSTU".index(domain[1])
        pieces = {
            symbol: {"".join(LETTERS[i] for i in rule) for rule in rules} for symbol, rules in enumerate(grammar.low[b])
        }
        for start in range(0, len(text), WIDTH**2):
            parts = [text[i : i + WIDTH] for i in range(start, start + WIDTH**2, WIDTH)]
            assert any(
                all(part in pieces[s] for part, s in zip(parts, rule, strict=True)) for rule in grammar.top[a].tolist()
            )
    assert len(set(table["domain"])) > SETS


def test_what_a_model_reads_token_by_token_adds_up_to_its_loss() -> None:
    parts = TINY.parts(texts(300))
    assert not isinstance(parts, NotApplicable)
    tokenizer, learnt, held = parts
    plain, headed = TINY.pair(tokenizer, learnt, 0)
    nats, _ = plain.losses(held.bare)
    assert token_bits(plain, held.bare).sum(axis=1) * np.log(2) == pytest.approx(nats, rel=1e-4)
    head = held.headed[0]
    said = head[0][head[1] >= 0]
    assert tokenizer.decode(head[0][: len(head[0]) - len(said)].tolist())  # metadata is read and not predicted
    assert (held.headed[:, 1] >= 0).sum() == (held.bare[:, 1] >= 0).sum()
    first = hidden_after(plain, held.bare, 2)
    longer = held.bare.copy()
    longer[:, 0, 3:] = 1  # what comes later is not seen
    assert np.allclose(first, hidden_after(plain, longer, 2), atol=1e-5)
    assert not np.allclose(first, hidden_after(headed, held.bare, 2), atol=1e-3)


def test_changes_come_with_intervals_and_the_same_again() -> None:
    data = texts(300)
    found = TINY.run(data, Signals(data))
    assert isinstance(found, Metrics)
    assert {f"loss change after {length}" for length in TINY.lengths} <= set(found.values)
    assert {"probe change after 2", "probe change after 6"} <= set(found.values)
    assert all(low <= value <= high for value, low, high in found.values.values())
    assert found.summary["domains"] == 2
    assert found.summary["learnt_texts"] + found.summary["judged_texts"] == 300
    assert TINY.run(data, Signals(data)) == found


def test_bad_input() -> None:
    data = texts(300)
    for method, told in (
        (MetadataConditioning(lengths=(4, 2)), "lengths"),
        (MetadataConditioning(lengths=(0, 64)), "lengths"),
        (MetadataConditioning(models=1), "models"),
        (MetadataConditioning(share=0.0), "share"),
    ):
        with pytest.raises(DrossError, match=told):
            method.run(data, Signals(data))
    one = data.with_column("domain", pa.array(["early"] * 300))
    assert isinstance(TINY.run(one, Signals(one)), NotApplicable)
    few = data.slice(0, 30)
    assert isinstance(TINY.run(few, Signals(few)), NotApplicable)
    bare = Dataset(data.table, {Role.TEXT: ["text"]})
    assert isinstance(TINY.run(bare, Signals(bare)), NotApplicable)
