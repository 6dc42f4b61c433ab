from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.io import load
from dross.io.vectors import check_probs, stacked, vectors

TABLE = pa.table({"x": [1, 2], "v": [[1.0, 2.0], [3.0, 4.0]], "ragged": [[1.0], [1.0, 2.0]], "gap": [[1.0], None]})


@pytest.mark.parametrize(
    "given",
    ["v", np.array([[1, 2], [3, 4]], np.float16), [[1.0, 2.0], [3.0, 4.0]], pa.array([[1, 2], [3, 4]])],
)
def test_every_way_to_give_them(given: object) -> None:
    matrix, names = vectors(given, TABLE, Role.EMBEDDING)
    assert names is None
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("x", "not lists of numbers"),
        ("ragged", "not all 1 numbers long"),
        ("gap", "lacks the vector of some rows"),
        ("w", "neither a column nor"),
        (np.zeros((2, 0)), "no columns"),
        (np.zeros((3, 1)), "3 rows where the data has 2"),
        (np.array([["a"], ["b"]]), "not of numbers"),
    ],
)
def test_bad_vectors(given: object, says: str) -> None:
    with pytest.raises(DrossError, match=says):
        vectors(given, TABLE, Role.EMBEDDING)


def test_files(tmp_path: Path) -> None:
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.save(tmp_path / "a.npy", matrix)
    np.savez(tmp_path / "one.npz", anything=matrix)
    np.savez(tmp_path / "two.npz", a=matrix, b=matrix)
    np.save(tmp_path / "flat.npy", matrix.ravel())
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01")
    for name in ("a.npy", "one.npz"):
        assert vectors(tmp_path / name, TABLE, Role.EMBEDDING)[0].tolist() == matrix.tolist()
    for name, says in {
        "two.npz": "none is called 'embedding': a, b",
        "flat.npy": "must be a matrix",
        "objects.npy": "cannot be read",
        "broken.npy": "cannot be read",
    }.items():
        with pytest.raises(DrossError, match=says):
            vectors(str(tmp_path / name), TABLE, Role.EMBEDDING)


def test_stacked_slices() -> None:
    column = pa.chunked_array([pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int64(), 2))]).slice(1)
    assert stacked(column, "v").tolist() == [[3, 4], [5, 6]]


def test_probabilities_of_several_labels_need_not_sum_to_one() -> None:
    check_probs(np.array([[0.9, 0.8]], np.float32), exclusive=False)
    check_probs(np.full((1, 3), 1 / 3, np.float16).astype(np.float32))
    rows = {"x": [1, 2], "y": [["a"], ["a", "b"]]}
    with pytest.raises(DrossError, match="3 columns of probabilities for 2 classes"):
        load(rows, labels="y", pred_probs=np.full((2, 3), 0.3))
