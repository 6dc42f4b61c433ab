"""PairIndex: exact subsets, nearest pairs, missing tags, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.models import pair_index
from dross.models.pair_index import PairIndex, read_index, write_index


def made(folder: Path, n: int = 60) -> tuple[PairIndex, np.ndarray, pa.Table]:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((n, 8)).astype(np.float32)
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    language = [None if i % 7 == 0 else ["english", "german", "thai"][i % 3] for i in range(n)]
    tags = pa.table({"row": np.arange(n) * 2, "key": [f"k{i}" for i in range(n)], "n": rng.integers(0, 9, n),
                     "language": language})  # fmt: skip
    return write_index(folder / "index", tags, A, A[:, :4] + 0, ("a", "b")), A, tags


def test_subsets_are_exact(tmp_path: Path) -> None:
    index, _, tags = made(tmp_path)
    rows = tags.to_pylist()
    for where, fits in (
        ({}, lambda r: True),
        ({"language": "thai"}, lambda r: r["language"] == "thai"),
        (
            {"language": ["thai", "german"], "n": (3, None)},
            lambda r: r["language"] in ("thai", "german") and r["n"] >= 3,
        ),
        ({"language": None, "n": (None, 5)}, lambda r: r["language"] is None and r["n"] <= 5),
        ({"n": (2, 4)}, lambda r: 2 <= r["n"] <= 4),
    ):
        found = index.subset(where, ["row", "key"])
        assert found.to_pylist() == [{"row": r["row"], "key": r["key"]} for r in rows if fits(r)], where


def test_the_nearest_are_those_of_brute_force(tmp_path: Path) -> None:
    _, A, _ = made(tmp_path)
    index = read_index(tmp_path / "index")
    rows, cosines = index.nearest(A[:7] * 3, 4)
    truth = np.argsort(-(A[:7] @ A.T), axis=1, kind="stable")[:, :4]
    assert np.array_equal(rows, truth * 2)
    assert np.allclose(cosines[:, 0], 1, atol=1e-5)
    assert np.allclose(index.vectors("first"), A)
    rows, cosines = index.nearest(A[:2], 100)
    assert (rows[:, 60:] == -1).all()
    assert np.isneginf(cosines[:, 60:]).all()


def test_many_pairs_are_searched_by_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_index, "EXACT", 1000)
    index, A, _ = made(tmp_path, 3000)
    rows, _ = index.nearest(A[:50], 1)
    assert np.array_equal(rows[:, 0], np.arange(50) * 2)
    assert np.allclose(index.vectors("first"), A)


def test_what_is_asked_wrongly(tmp_path: Path) -> None:
    index, A, _ = made(tmp_path)
    with pytest.raises(DrossError, match="did you mean 'language'"):
        index.subset({"langauge": "thai"})
    with pytest.raises(DrossError, match="compared with its value"):
        index.subset({"n": "many"})
    with pytest.raises(DrossError, match="side"):
        index.nearest(A, side="third")
    with pytest.raises(DrossError, match="dimensions"):
        index.nearest(A[:, :3])
    with pytest.raises(DrossError, match="no index"):
        read_index(tmp_path / "nothing")
    (tmp_path / "index" / "second.faiss").write_bytes(b"x")
    with pytest.raises(DrossError, match="damaged"):
        index.nearest(A[:, :4], side="second")
