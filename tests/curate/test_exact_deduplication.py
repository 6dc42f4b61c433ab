"""Exact deduplication: against a dictionary, and rows of another corpus."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.core.step import REFERENCE, Rows
from dross.curate.exact_deduplication import ExactDeduplication, repeats
from dross.testing import check_method


def test_contract() -> None:
    check_method(ExactDeduplication)


def test_against_a_dictionary() -> None:
    rng = np.random.default_rng(0)
    texts = [f"{' ' * int(rng.integers(3))}Text {rng.integers(40)}" for _ in range(200)]
    seen: set[str] = set()
    expected = [i for i, text in enumerate(texts) if not (text.strip() in seen or seen.add(text.strip()))]
    rows, counts = ExactDeduplication().over(Rows(pa.table({"text": texts}), "text"), None)
    assert rows.addresses.tolist() == expected
    assert counts["copy"] == 200 - len(expected)


def test_rows_of_another_corpus_come_first() -> None:
    keys = np.array([1, 1, 1, 2, 2, 3], np.uint64)
    rows = np.array([3, 9, REFERENCE, 4, 5, REFERENCE + np.uint64(4096)], np.uint64)
    at, first = repeats(keys, rows)
    assert at.tolist() == [0, 1, 4]
    assert first.tolist() == [REFERENCE, REFERENCE, 4]
