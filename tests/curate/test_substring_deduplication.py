"""Substring deduplication: against a search of all passages, and what becomes of texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.core.step import Rows
from dross.curate.substring_deduplication import SubstringDeduplication, united, winnow
from dross.testing import check_method

LENGTH = 10


def test_contract() -> None:
    check_method(SubstringDeduplication)


def runs(text: str, size: int = LENGTH) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + size]) for i in range(len(words) - size + 1)]


@pytest.mark.parametrize("seed", range(5))
def test_no_passage_is_left_twice_and_each_is_left_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = np.array([f"w{i}" for i in range(5000)])
    passages = [" ".join(rng.choice(words, rng.integers(LENGTH, 40))) for _ in range(6)]
    texts = []
    for i in range(40):
        own = [" ".join(rng.choice(words, rng.integers(3, 30))) for _ in range(3)]
        chosen = [passages[rng.integers(6)] for _ in range(2)] if i % 2 else ["", ""]
        texts.append(" ".join(part for pair in zip(own, [*chosen, ""], strict=True) for part in pair if part))
    rows, _ = SubstringDeduplication(length=LENGTH, least=1).over(Rows(pa.table({"text": texts}), "text"), None)
    left = rows.text().to_pylist()
    found = [run for text in left for run in runs(text)]
    assert len(found) == len(set(found))
    joined = " | ".join(left)
    assert all(passage in joined for passage in passages if any(passage in text for text in texts))
    alone = [text for i, text in enumerate(texts) if i % 2 == 0]
    assert all(text in left for text in alone)


def test_a_passage_that_comes_twice_in_one_text() -> None:
    passage = " ".join(f"p{i}" for i in range(15))
    text = f"first {passage} then again {passage} end"
    rows, _ = SubstringDeduplication(length=LENGTH, least=1).over(Rows(pa.table({"text": [text]}), "text"), None)
    assert rows.text().to_pylist() == [f"first {passage} then again end"]


def test_a_text_of_which_little_is_left_is_dropped() -> None:
    passage = " ".join(f"p{i}" for i in range(30))
    table = pa.table({"text": [passage, f"{passage} only this"]})
    rows, counts = SubstringDeduplication(length=LENGTH).over(Rows(table, "text"), None)
    assert (rows.addresses.tolist(), dict(counts)) == ([0], {"little_left_of_its_own": 1})


def test_every_window_holds_a_fingerprint() -> None:
    rng = np.random.default_rng(2)
    hashes = rng.integers(0, 50, 300).astype(np.uint64)
    chosen = set(winnow(hashes, np.array([0, 120, 120, 300]), 7).tolist())
    for first, last in ((0, 120), (120, 300)):
        for i in range(first, last - 6):
            window = list(range(i, i + 7))
            assert chosen & set(window)
            least = max(j for j in window if hashes[j] == hashes[i : i + 7].min())
            assert least in chosen
    assert len(chosen) < 150


def test_spans_are_united() -> None:
    rows = np.array([1, 1, 1, 2, 2], np.uint64)
    found = united(rows, np.array([0, 4, 9, 1, 3]), np.array([5, 6, 12, 2, 4]))
    assert [column.tolist() for column in found] == [[1, 1, 2, 2], [0, 9, 1, 3], [6, 12, 2, 4]]
    with pytest.raises(DrossError, match="too short"):
        SubstringDeduplication(length=2)
