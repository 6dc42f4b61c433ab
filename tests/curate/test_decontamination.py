"""Decontamination: n-grams against sets of tuples, both against a planted item, and the record of the match."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.core.step import Rows
from dross.curate.embedding_decontamination import EmbeddingDecontamination
from dross.curate.ngram_decontamination import GramIndex, NgramDecontamination, contained
from dross.testing import check_method


def test_contract() -> None:
    check_method(NgramDecontamination)
    check_method(EmbeddingDecontamination)


@pytest.mark.parametrize("n", [3, 5])
def test_shares_against_sets(n: int) -> None:
    rng = np.random.default_rng(n)
    words = [f"w{i}" for i in range(12)]
    items = [" ".join(rng.choice(words, rng.integers(n, 14))) for _ in range(15)]
    texts = [" ".join(rng.choice(words, rng.integers(0, 40))) for _ in range(60)]

    def grams(text: str) -> set[tuple[str, ...]]:
        split = text.split()
        return {tuple(split[i : i + n]) for i in range(len(split) - n + 1)}

    index = GramIndex.of(pa.array(items, pa.large_string()), n)
    share, item = contained(pa.array(texts, pa.large_string()), index, [n])
    for i, text in enumerate(texts):
        shares = [len(grams(text) & grams(one)) / len(grams(one)) for one in items]
        assert np.isclose(share[i], max(shares))
        assert item[i] == (int(np.argmax(shares)) if max(shares) else -1)


def test_short_items_count_as_a_whole() -> None:
    index = GramIndex.of(pa.array(["the capital of France", "two words"], pa.large_string()), 13)
    texts = pa.array(["What is the Capital of FRANCE?", "the capital of Spain", "two words"], pa.large_string())
    share, item = contained(texts, index, [3, 4])
    assert (share.tolist(), item.tolist()) == ([1, 0, 0], [0, -1, -1])


@pytest.mark.parametrize("kind", [NgramDecontamination, EmbeddingDecontamination])
def test_the_item_is_named(kind: type, tmp_path: Path) -> None:
    items = ["how many apples are left when five of the twelve apples were eaten by the hungry goat", "name a river"]
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps({"question": item, "n": 1}) for item in items))
    texts = [f"a text about number {i} and the {w} on the hill" for i, w in enumerate("abcdefghij")] + [
        f"Q: {items[0]} Answer 7"
    ]
    step = kind(against=(str(tmp_path / "b.jsonl"),))
    if kind is EmbeddingDecontamination:
        step = kind(against=step.against, similarity=0.7)
    rows = Rows(pa.table({"text": texts}), "text")
    step.prepare(tmp_path)
    step.learn(rows, tmp_path)
    verdict = step.judge(rows, step.ready(tmp_path))
    assert np.flatnonzero(~verdict.kept).tolist() == [10]
    assert verdict.match is not None
    assert verdict.match.to_pylist() == [None] * 10 + [f"{tmp_path}/b.jsonl#1"]


def test_the_background_tells_the_threshold(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]
    item = " ".join(rng.choice(words, 20))
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": item}))
    texts = [" ".join(rng.choice(words, 20)) for _ in range(300)]
    step = EmbeddingDecontamination(against=(str(tmp_path / "b.jsonl"),), share=0.01)
    rows = Rows(pa.table({"text": [*texts, item]}), "text")
    step.prepare(tmp_path)
    step.learn(Rows(pa.table({"text": texts}), "text"), tmp_path)
    kept = step.judge(rows, step.ready(tmp_path)).kept
    assert (~kept[:300]).sum() <= 3
    assert not kept[300]


def test_what_they_refuse(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"text": "x y z"}')
    with pytest.raises(DrossError, match="names no file"):
        NgramDecontamination().prepare(tmp_path)
    with pytest.raises(DrossError, match="no column 'q'"):
        NgramDecontamination(against=(str(tmp_path / "b.jsonl"),), columns=("q",)).prepare(tmp_path)
    for given in ({"n": 1}, {"share": 0.0}):
        with pytest.raises(DrossError):
            NgramDecontamination(**given)
    with pytest.raises(DrossError):
        EmbeddingDecontamination(similarity=2.0)
