"""Two sides: what becomes a pair, what lies in one space, what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.io.images import encode
from dross.models.two_sides import sideless, sides_of


def vectors(n: int, d: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.arange(n * d, dtype=np.float32)), d)


def test_content_and_label() -> None:
    data = Dataset(
        pa.table({"x": vectors(4, 2), "y": ["a", "b", None, "a"]}), {Role.EMBEDDING: ["x"], Role.LABEL: ["y"]}
    )
    found = sides_of(data, Signals(data))
    assert found.second.tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]
    assert not found.alike
    assert found.known.tolist() == [True, True, False, True]
    assert found.content[0] == found.content[3] != found.content[1]


def test_columns_of_vectors_share_a_space_where_they_are_as_wide() -> None:
    data = Dataset(pa.table({"a": vectors(3, 2), "b": vectors(3, 2), "c": vectors(3, 4)}), {})
    assert sides_of(data, Signals(data), first="a", second="b").alike
    assert not sides_of(data, Signals(data), first="a", second="c").alike


def test_images_and_captions() -> None:
    pictures = encode(np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3)).astype(np.uint8))
    table = pa.table({"picture": pictures, "caption": ["a cat", "a dog", "a cat", "a hen", "a fox", None]})
    data = Dataset(table, {Role.IMAGE: ["picture"], Role.TEXT: ["caption"]})
    found = sides_of(data, Signals(data))
    assert found.names == ("picture", "caption")
    assert not found.alike
    assert len(found.first) == len(found.second) == 6
    assert not found.known[5]


def test_what_is_no_pair_is_refused() -> None:
    data = Dataset(pa.table({"a": vectors(3, 2), "t": ["x", "y", "z"], "n": [1, 2, 3]}), {Role.TEXT: ["t"]})
    assert sideless(data) is not None
    with pytest.raises(DrossError, match="did you mean"):
        sides_of(data, Signals(data), first="a", second="tt")
    with pytest.raises(DrossError, match="other is text"):
        sides_of(data, Signals(data), first="a", second="t")
    with pytest.raises(DrossError, match="neither text nor vectors"):
        sides_of(data, Signals(data), first="t", second="n")
    with pytest.raises(DrossError, match="only one side"):
        sides_of(data, Signals(data), first="t")
