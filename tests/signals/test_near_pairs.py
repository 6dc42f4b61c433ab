from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.near_pairs import NearPairs, candidates, field_agreement, jaccard
from dross.testing.planted import WORDS

WORDS_ = [f"{a}{b}" for a in WORDS for b in ("", "s", "er", "ing")]


def texts_dataset(texts):
    return Dataset(pa.table({"t": pa.array(texts, pa.large_string())}), {Role.TEXT: ["t"]})


def document(rng, words=60):
    return [str(w) for w in rng.choice(WORDS_, words)]


def pieces(text, words):
    tokens = re.findall(r"[a-z0-9_]+", text.lower())
    if words and len(tokens) > 2 and len(text) < 32 * len(tokens):
        return {tuple(tokens[i : i + 3]) for i in range(len(tokens) - 2)}
    line = f" {' '.join(tokens)} " if tokens else ""
    return {line[i : i + 3] for i in range(len(line) - 2)}


@given(st.lists(st.text(alphabet="abC d.1_", max_size=40), min_size=2, max_size=6), st.booleans())
def test_jaccard_equals_that_of_python_sets(texts, words):
    one, other = (part.ravel().astype(np.int64) for part in np.meshgrid(*[np.arange(len(texts))] * 2))
    found = jaccard(pa.chunked_array([texts], pa.large_string()), one, other, words)
    sets = [pieces(text, words) for text in texts]
    true = [len(sets[i] & sets[j]) / max(len(sets[i] | sets[j]), 1) for i, j in zip(one, other, strict=True)]
    assert np.allclose(found, true, atol=1e-6)


def test_edited_copies_are_found_with_their_sources_and_nothing_else():
    rng = np.random.default_rng(0)
    originals = [document(rng) for _ in range(600)]
    copies = []
    for i in range(100):
        copy = list(originals[i])
        for at in rng.choice(60, 3, replace=False):
            copy[at] = str(rng.choice(WORDS_))
        copies.append(copy)
    found = Signals(texts_dataset([" ".join(w) for w in originals + copies]))[NearPairs()]
    right = {(i, 600 + i) for i in range(100)}
    got = set(zip(found.earlier.tolist(), found.later.tolist(), strict=True))
    assert len(got & right) >= 99
    assert not got - right
    assert found.similarity.min() >= found.near == 0.5


def test_short_texts_are_found_as_often_as_all_pairs_allow():
    rng = np.random.default_rng(1)
    texts = [" ".join(document(rng, 9)) for _ in range(400)]
    for i in range(60):
        words = texts[i].split()
        words[int(rng.integers(9))] = "changed"
        texts.append(" ".join(words))
    signals = Signals(texts_dataset(texts))
    found = signals[NearPairs()]
    later, earlier = np.tril_indices(len(texts), -1)
    true = jaccard(pa.chunked_array([texts], pa.large_string()), earlier, later, words=False) >= 0.7
    assert true.sum() > 30
    assert len(found) >= 0.98 * true.sum()


def test_equal_content_makes_no_pair_and_the_first_stands_for_all():
    rng = np.random.default_rng(2)
    one = " ".join(document(rng))
    edited = one.replace(one.split()[5], "changed", 1)
    others = [" ".join(document(rng)) for _ in range(30)]
    found = Signals(texts_dataset([one, *others, one.upper(), edited, edited + "  "]))[NearPairs()]
    assert list(zip(found.earlier.tolist(), found.later.tolist(), strict=True)) == [(0, 32)]


def test_thousands_of_likenesses_are_linked_without_comparing_all():
    rng = np.random.default_rng(3)
    frame = document(rng, 50)
    texts = [" ".join([*frame, f"end{i}", f"tail{i}"]) for i in range(3000)]
    found = Signals(texts_dataset(texts))[NearPairs()]
    assert len(found) <= 16 * 3000
    assert set(found.later.tolist()) == set(range(1, 3000))


def test_new_rows_meet_old_ones_only():
    rng = np.random.default_rng(4)
    texts = [" ".join(document(rng)) for _ in range(200)]
    texts.append(" ".join([*texts[0].split()[:-1], "other"]))
    data = texts_dataset(texts)
    signals = Signals(data)
    old = signals[NearPairs()]
    edited = " ".join([*texts[7].split()[:-1], "new"])
    added = [edited, edited + " x", texts[9].upper()]  # two likenesses of row 7 and of each other, one equal copy
    new = signals.derive(data.append(pa.table({"t": pa.array(added, pa.large_string())})))[NearPairs()]
    assert (old.earlier.tolist(), old.later.tolist()) == ([0], [200])
    assert list(zip(new.earlier.tolist(), new.later.tolist(), strict=True)) == [(0, 200), (7, 201), (7, 202)]
    assert new.n == 204


def test_records_agree_by_the_fields_that_tell_them_apart():
    rng = np.random.default_rng(5)
    names, streets = (["".join(rng.choice(list("abcdefghijklmnop "), 16)) for _ in range(300)] for _ in range(2))
    streets = [f"{n} {name} street" for n, name in zip(rng.integers(1, 200, 300), streets, strict=True)]
    maker = ["the united steel and engine works of the northern provinces, limited"] * 300
    rows = {"name": names, "street": streets, "maker": maker}
    for i in range(20):
        rows["name"].append(names[i][:-1] + "x")
        rows["street"].append(streets[i].replace("street", "str"))
        rows["maker"].append(maker[i])
    data = Dataset(pa.table(rows), {Role.FEATURES: list(rows)})
    found = Signals(data)[NearPairs()]
    got = set(zip(found.earlier.tolist(), found.later.tolist(), strict=True))
    right = {(i, 300 + i) for i in range(20)}
    assert len(got & right) >= 18
    assert len(got - right) <= 2
    alike = field_agreement(data, ["name", "street"], np.array([0, 0]), np.array([300, 1]))
    assert alike[0] > 0.5 > alike[1]


def test_candidates_need_enough_agreement():
    rng = np.random.default_rng(6)
    signed = rng.integers(0, 2**32, (50, 128), dtype=np.uint32)
    signed[1] = np.where(np.arange(128) < 100, signed[0], signed[1])
    signed[2] = np.where(np.arange(128) < 10, signed[0], signed[2])  # shares bands, but is too unlike
    earlier, later = candidates(signed, np.arange(50), 4, 0.7)
    assert (earlier.tolist(), later.tolist()) == ([0], [1])


@pytest.mark.parametrize("texts", [[], ["only one"], ["", ""], [None, None, "x"]])
def test_next_to_nothing_gives_no_pairs(texts):
    assert len(Signals(texts_dataset(texts))[NearPairs()]) == 0
