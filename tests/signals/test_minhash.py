from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.minhash import EMPTY, MinHash, signatures, texts_of, what_to_compare

WORDS = [f"w{i}" for i in range(500)]


def document(rng, words=80):
    return " ".join(rng.choice(WORDS, words))


def triples(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def test_agreement_estimates_the_jaccard_similarity_without_bias():
    rng = np.random.default_rng(0)
    texts, true = [], []
    for _ in range(150):
        words = document(rng).split()
        other = [w if rng.random() > 0.08 else "x" + w for w in words]
        texts += [" ".join(words), " ".join(other)]
        a, b = triples(texts[-2]), triples(texts[-1])
        true.append(len(a & b) / len(a | b))
    signed = signatures(pa.array(texts, pa.large_string()), words=True)
    found = (signed[::2] == signed[1::2]).mean(1)
    error = found - np.array(true)
    assert abs(error.mean()) < 0.012  # 0.043 / sqrt(150) = 0.0035
    assert 0.03 < error.std() < 0.055  # sqrt(J (1 - J) / 128)


def test_case_punctuation_space_and_unicode_form_do_not_count():
    texts = [
        "The CAT, sat; on it",
        "the cat sat\n on it",
        "ｔｈｅ cat sat on it",
        "Ünder THE öld tree",
        "ünder the Öld tree!",
    ]
    signed = signatures(pa.array(texts, pa.large_string()), words=True)
    assert np.array_equal(signed[0], signed[1])
    assert np.array_equal(signed[0], signed[2])
    assert np.array_equal(signed[3], signed[4])
    assert (signed[0] == signed[3]).mean() < 0.1


@pytest.mark.parametrize("words", [True, False])
def test_texts_without_words_are_empty_and_short_ones_are_not(words):
    texts = pa.array(
        ["", "  ", "?!…", "a", "two words", "東京都は日本の首都であり世界最大の都市圏を形成している"], pa.large_string()
    )
    signed = signatures(texts, words=words)
    assert (signed[:2] == EMPTY).all()
    assert (signed[4:, 0] != EMPTY).all()
    assert len({row.tobytes() for row in signed[3:]}) == 3


def test_texts_without_spaces_are_compared_by_characters():
    one = "東京都は日本の首都であり世界最大の都市圏を形成している"
    signed = signatures(pa.array([one, one.replace("世界", "国内"), one[::-1]], pa.large_string()), words=True)
    assert (signed[0] == signed[1]).mean() > 0.4
    assert (signed[0] == signed[2]).mean() < 0.2


def test_the_kind_follows_from_the_length_and_the_columns():
    rng = np.random.default_rng(0)
    texts = [document(rng) for _ in range(100)]
    assert what_to_compare(Dataset(pa.table({"t": texts}), {Role.TEXT: ["t"]})) == ("documents", ["t"])
    assert what_to_compare(Dataset(pa.table({"t": [t[:40] for t in texts]}), {Role.TEXT: ["t"]})) == (
        "sentences",
        ["t"],
    )
    names = {"name": [t[:20] for t in texts], "street": [t[20:40] for t in texts], "age": list(range(100))}
    names |= {"colour": ["red"] * 100, "raw": [b"x"] * 100}
    assert what_to_compare(Dataset(pa.table(names), {Role.FEATURES: list(names)})) == (
        "records",
        ["name", "street", "age"],
    )
    classes = {"colour": ["red", "blue"] * 10, "shape": ["round"] * 20, "size": list(range(20))}
    assert what_to_compare(Dataset(pa.table(classes), {Role.FEATURES: list(classes)})) == ("", [])
    assert what_to_compare(Dataset(pa.table({"x": [1.0]}), {Role.FEATURES: ["x"]})) == ("", [])
    assert what_to_compare(Dataset(pa.table({"t": pa.array([], pa.string())}), {Role.TEXT: ["t"]})) == ("", [])


def test_new_rows_are_cut_like_the_old_ones_and_chunks_do_not_show():
    rng = np.random.default_rng(1)
    texts = [document(rng) for _ in range(30)]
    data = Dataset(pa.table({"t": texts}), {Role.TEXT: ["t"]})
    signals = Signals(data)
    old = signals[MinHash()]
    grown = data.append(pa.table({"t": ["short text of few words"] * 40}))  # the median would now make these sentences
    new = signals.derive(grown)[MinHash()]
    assert new.kind == old.kind == "documents"
    assert np.array_equal(new.signatures[:30], old.signatures)
    pieces = pa.chunked_array([texts[:7], texts[7:]])
    again = Signals(Dataset(pa.table({"t": pieces}), {Role.TEXT: ["t"]}))[MinHash()]
    assert np.array_equal(again.signatures, old.signatures)


def test_several_text_columns_and_nulls_count_together():
    data = Dataset(pa.table({"a": ["x y", None], "b": ["z", "z"]}), {Role.TEXT: ["a", "b"]})
    assert texts_of(data, ["a", "b"]).to_pylist() == ["x y\nz", "\nz"]
    assert Signals(data)[MinHash()].signatures.shape == (2, 128)
    assert Signals(Dataset(pa.table({"x": [1.0]}), {Role.FEATURES: ["x"]}))[MinHash()].signatures.shape == (0, 128)
