from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset, Source
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.content_hash import ContentHash, first_of_each, hash_texts, normalise


@given(st.lists(st.text(max_size=12), min_size=1, max_size=12))
def test_texts_hash_alike_exactly_when_they_read_alike(texts):
    read = normalise(pa.array(texts, pa.large_string())).to_pylist()
    hashes = hash_texts(pa.chunked_array([texts], pa.large_string()))
    for i in range(len(texts)):
        for j in range(i):
            assert (hashes[i] == hashes[j]) == (read[i] == read[j]), (texts[i], texts[j])


@given(st.lists(st.text(alphabet="aB \t\n", max_size=20), min_size=2, max_size=8))
def test_ascii_and_other_rows_are_folded_the_same_way(texts):
    alone = hash_texts(pa.chunked_array([texts], pa.large_string()))
    beside = hash_texts(pa.chunked_array([[*texts, "é"]], pa.large_string()))[:-1]
    assert np.array_equal(alone, beside)


def test_nulls_are_one_and_differ_from_the_empty_text():
    a, b, c = hash_texts(pa.chunked_array([["", None, None]], pa.string())).tolist()
    assert b == c != a


def test_chunks_do_not_show():
    texts = ["one", "Two", None, "three  words here", ""]
    whole = hash_texts(pa.chunked_array([texts], pa.string()))
    parts = hash_texts(pa.chunked_array([texts[:2], texts[2:]], pa.string()))
    assert np.array_equal(whole, parts)


def test_labels_and_ids_are_no_content_numbers_are():
    table = pa.table({"t": ["x", "X "], "n": [1, 1], "m": [1, 2], "y": ["a", "b"], "id": ["1", "2"]})
    roles = {Role.TEXT: ["t"], Role.FEATURES: ["n"], Role.LABEL: ["y"], Role.ID: ["id"]}
    one, two = Signals(Dataset(table, roles))[ContentHash()]
    assert one == two
    one, two = Signals(Dataset(table, {**roles, Role.FEATURES: ["m"]}))[ContentHash()]
    assert one != two


def test_a_picture_counts_by_its_file_and_a_missing_one_by_its_name(tmp_path):
    for name, content in (("a.png", b"same"), ("b.png", b"same"), ("c.png", b"other")):
        (tmp_path / name).write_bytes(content)
    table = pa.table({"file": ["a.png", "b.png", "c.png", "gone.png", "lost.png", None]})
    data = Dataset(table, {Role.IMAGE: ["file"]}, source=Source(str(tmp_path), "images"))
    hashes = Signals(data)[ContentHash()]
    assert first_of_each(hashes).tolist() == [0, 0, 2, 3, 4, 5]
    held = Dataset(pa.table({"file": pa.array([b"same", b"same"], pa.binary())}), {Role.IMAGE: ["file"]})
    assert len(set(Signals(held)[ContentHash()].tolist())) == 1


@given(st.lists(st.integers(0, 5), max_size=30))
def test_first_of_each_is_the_first(values):
    assert first_of_each(np.array(values, np.uint64)).tolist() == [values.index(v) for v in values]
