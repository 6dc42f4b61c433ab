from __future__ import annotations

import collections
import itertools
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.signals import ngrams
from dross.signals.ngrams import ALONE, BETWEEN, LETTER, choose_terms, count_ngrams, kinds, pieces, texts_of, weigh


def texts(*values: str | None) -> pa.LargeStringArray:
    return pa.array(values, pa.large_string())


def spelled(text: str) -> collections.Counter[str]:
    """Words, pairs of words and letter triples, counted plainly; for texts of ASCII and the separator."""
    found: list[str] = []
    for part in text.lower().split("\x1f"):
        words = re.findall(r"[a-z0-9_]+", part)
        found += words + [f"{a} {b}" for a, b in itertools.pairwise(words)]
        for word in words:
            padded = f" {word} "
            found += [f"*{padded[i : i + 3]}" for i in range(len(padded) - 2)]
    return collections.Counter(found)


@given(st.lists(st.text(alphabet="abB1_ .,-\x1f'", max_size=40), min_size=1, max_size=6))
def test_counts_are_those_of_a_plain_count(values: list[str]) -> None:
    counts = count_ngrams(texts(*values))
    for i, value in enumerate(values):
        expected = sorted(spelled(value).values())
        assert sorted(counts[i].data.tolist()) == expected
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            common = sum((spelled(one) & spelled(other)).values())
            assert counts[i].minimum(counts[j]).sum() == common


def test_scripts_without_spaces_count_by_character() -> None:
    counts = count_ngrams(texts("日本語", "ไทย", "слово"))
    assert counts[0].nnz == 5
    assert counts[1].nnz == 5
    assert counts[2].nnz == 6
    assert [int(kinds()[ord(c)]) for c in "aЖ7ก語 .\u2026"] == [LETTER, LETTER, LETTER, ALONE, ALONE, *[BETWEEN] * 3]


def test_case_and_form_do_not_matter() -> None:
    counts = count_ngrams(texts("ÉCOLE Straße", "e\u0301cole strasse", "ｅcole"))
    assert (counts[0].minimum(counts[1])).nnz > 5
    assert (counts[2].minimum(count_ngrams(texts("ecole"))[0])).nnz == 6


def test_long_and_empty_texts() -> None:
    long = texts("word " * 10_000)
    assert count_ngrams(long).sum() < 20_000 / 5 * 6 + 2
    # 20,000 bytes end inside a letter of two: the rest of it is not read
    cut = count_ngrams(texts("x" + "é" * 20_000, "x" + "é" * 9_999))
    assert (cut[0] != cut[1]).nnz == 0
    assert count_ngrams(texts()).shape == (0, 1 << 20)
    assert count_ngrams(texts("", "", "!?")).nnz == 0


def test_rows_do_not_depend_on_their_neighbours() -> None:
    values = texts("a red fox", "", "blue hen é", "語", "a red fox")
    together = count_ngrams(values)
    for i in range(len(values)):
        assert (together[i] != count_ngrams(values.slice(i, 1))[0]).nnz == 0
    assert (together[0] != together[4]).nnz == 0


def test_terms_and_weights_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfTransformer

    counts = count_ngrams(texts("red fox red", "red hen", "blue hen hen hen", ""))
    terms = choose_terms(counts, least=1)
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, terms.buckets])
    assert np.allclose(weigh(counts, terms).toarray(), expected.toarray(), atol=1e-6)


def test_terms_are_the_most_frequent() -> None:
    counts = count_ngrams(texts("a b", "a c", "a d"))
    assert len(choose_terms(counts, least=2).buckets) == 2
    assert len(choose_terms(counts, most=2).buckets) == 2
    assert choose_terms(counts, most=2).idf.tolist() == [1.0, 1.0]
    unknown = weigh(count_ngrams(texts("x y", "a")), choose_terms(counts, least=2))
    assert unknown[0].nnz == 0
    assert np.isclose(unknown[1].toarray() @ unknown[1].toarray().T, 1)


def test_several_columns_nulls_and_dictionaries() -> None:
    table = pa.table({"a": pa.array(["x", None]).dictionary_encode(), "b": ["y", "z"]})
    assert texts_of(Dataset(table, {Role.TEXT: ["a", "b"]})).to_pylist() == ["x\x1fy", "\x1fz"]
    pair = count_ngrams(texts("x y"))[0].nnz - count_ngrams(texts("x\x1fy"))[0].nnz
    assert pair == 1


def test_pieces_cover_all_and_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams, "PIECE", 10)
    values = texts(*["abcd"] * 9, "x" * 50, "y")
    ranges = list(pieces(values))
    assert [b for _, b in ranges][-1] == 11
    assert all(a == b for (_, a), (b, _) in itertools.pairwise(ranges))
    assert max(b - a for a, b in ranges) <= 3
    assert list(pieces(texts())) == []
