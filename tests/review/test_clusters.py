"""Groups of similar rows, beside scikit-learn's k-means, and their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.review.clusters import CHUNK, Clusters, cluster, describe


def blobs(
    sizes: tuple[int, ...] = (400, 250, 90), d: int = 5, seed: int = 0
) -> tuple[npt.NDArray[np.float32], list[int]]:
    """Well separated groups of so many rows, mixed."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = 12 * rng.normal(size=(len(sizes), d))[truth] + rng.normal(size=(len(truth), d))
    return X.astype(np.float32), truth.tolist()


def table_of(X: npt.NDArray[np.float32]) -> Dataset:
    names = [f"x{i}" for i in range(X.shape[1])]
    return Dataset(pa.table({name: X[:, i] for i, name in enumerate(names)}), {Role.FEATURES: names})


def spread(X: npt.NDArray[np.float32], codes: npt.NDArray[np.int32]) -> float:
    """The squared distances to the centres of the groups, added up."""
    return float(sum(np.square(X[codes == c] - X[codes == c].mean(0)).sum() for c in np.unique(codes)))


def test_separate_groups_are_found_and_numbered_by_size() -> None:
    X, truth = blobs()
    codes = Signals(table_of(X))[Clusters(k=3)]
    assert codes.dtype == np.int32
    assert codes.tolist() == truth  # the groups were made with decreasing sizes


def test_the_groups_are_as_tight_as_those_of_scikit_learn() -> None:
    X = np.random.default_rng(1).normal(size=(3000, 8)).astype(np.float32)
    codes = cluster(X, np.arange(3000), 10)
    peer = KMeans(10, n_init=1, random_state=0).fit(X)
    assert spread(X, codes) < 1.03 * peer.inertia_
    assert (np.diff(np.bincount(codes)) <= 0).all()


def test_rows_beyond_the_sample_and_the_chunk_go_to_the_nearest_centre() -> None:
    X, truth = blobs((20_000, 15_000, 3000))
    assert len(X) > CHUNK
    codes = cluster(X, np.arange(0, len(X), 50), 3)
    assert codes.tolist() == truth


def test_the_groups_do_not_depend_on_the_order_of_the_rows_nor_on_the_run(tmp_path: Path) -> None:
    X, _ = blobs((300, 220, 150, 80))
    data = table_of(X)
    codes = Signals(data, tmp_path)[Clusters(k=4)]
    assert np.array_equal(Signals(data)[Clusters(k=4)], codes)
    assert np.array_equal(Signals(data, tmp_path)[Clusters(k=4)], codes)  # read back
    order = np.random.default_rng(3).permutation(len(X))
    assert np.array_equal(Signals(data.take(order))[Clusters(k=4)], codes[order])


def test_labels_do_not_change_the_groups() -> None:
    X, truth = blobs((30, 20))
    with_label = Dataset(
        table_of(X).table.append_column("y", pa.array(truth)),
        {Role.FEATURES: [f"x{i}" for i in range(5)], Role.LABEL: ["y"]},
    )
    signals = Signals(with_label)
    flipped = with_label.with_column("y", pa.array(truth[::-1]))
    assert np.array_equal(signals.derive(flipped)[Clusters()], signals[Clusters()])


@pytest.mark.parametrize("n", [1, 2, 5, 19])
def test_fewer_rows_than_groups(n: int) -> None:
    X = np.arange(n, dtype=np.float32)[:, None] ** 2
    codes = Signals(table_of(X))[Clusters(k=20)]
    assert sorted(codes.tolist()) == list(range(n))  # every row its own


def test_equal_rows_are_one_group_and_none_is_none() -> None:
    assert Signals(table_of(np.ones((50, 2), np.float32)))[Clusters(k=5)].tolist() == [0] * 50
    assert cluster(np.empty((0, 3), np.float32), np.empty(0, np.int64), 5).tolist() == []
    two = cluster(np.repeat(np.array([[0.0], [9.0]], np.float32), [3, 5], axis=0), np.arange(8), 6)
    assert two.tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_what_cannot_be_grouped_is_refused() -> None:
    with pytest.raises(DrossError, match="0 groups"):
        Signals(table_of(np.ones((5, 1), np.float32)))[Clusters(k=0)]
    for value in (np.nan, np.inf, 3e38):
        for row in (0, 4):
            X = np.ones((6, 2), np.float32)
            X[row] = value
            with pytest.raises(DrossError, match="not a finite number"):
                cluster(X, np.array([0, 1, 2]), 2)


def newsroom(n: int = 300) -> tuple[Dataset, npt.NDArray[np.int32], list[str]]:
    """Texts about three subjects, with the same common words everywhere, and a label."""
    rng = np.random.default_rng(5)
    subjects = (("football", "goal", "match"), ("market", "shares", "bank"), ("rain", "wind", "storm"))
    codes = rng.integers(0, 3, n).astype(np.int32)
    texts = [" ".join(["The", "and", "with", *rng.permutation(subjects[c])[:2], "a1", "of"]).title() for c in codes]
    labels = ["xyz"[c] if rng.random() < 0.8 else "x" for c in codes]
    return Dataset(pa.table({"t": texts, "y": labels}), {Role.TEXT: ["t"], Role.LABEL: ["y"]}), codes, labels


def test_a_group_is_named_by_the_words_that_set_it_apart() -> None:
    data, codes, _ = newsroom()
    names = [set(describe(data, codes, c).split(", ")) for c in range(3)]
    assert names == [{"football", "goal", "match"}, {"market", "shares", "bank"}, {"rain", "wind", "storm"}]


def test_a_word_of_a_few_rows_names_no_group() -> None:
    texts = ["football"] * 98 + ["football zebra"] * 2 + ["market"] * 200
    data = Dataset(pa.table({"t": texts}), {Role.TEXT: ["t"]})
    codes = np.repeat(np.array([1, 0], np.int32), [100, 200])
    assert (describe(data, codes, 0), describe(data, codes, 1)) == ("market", "football")


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.string())])
def test_the_name_does_not_depend_on_how_texts_are_stored(kind: pa.DataType) -> None:
    data, codes, _ = newsroom()
    cells = data.table.column("t")
    texts = [[text] for text in cells.to_pylist()] if pa.types.is_list(kind) else cells.to_pylist()
    stored = cells.dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(texts, kind)
    other = Dataset(pa.table({"t": stored}), {Role.PROMPT: ["t"]})
    assert describe(other, codes, 1) == describe(data, codes, 1)


def test_a_group_without_words_is_named_by_its_label_else_by_its_number() -> None:
    data, codes, labels = newsroom()
    plain = Dataset(data.table.select(["y"]), {Role.LABEL: ["y"]})
    own = [label for label, c in zip(labels, codes, strict=True) if c == 1]
    assert describe(plain, codes, 1) == f"mostly y ({100 * own.count('y') / len(own):.0f} %)"
    even = Dataset(pa.table({"y": ["a", "b", "c", "a"]}), {Role.LABEL: ["y"]})
    assert describe(even, np.zeros(4, np.int32), 0) == "most often a (50 %)"
    unlabelled = Dataset(pa.table({"y": pa.array([None, None, "a"], pa.string())}), {Role.LABEL: ["y"]})
    assert describe(unlabelled, np.array([0, 0, 1], np.int32), 0) == "group 0"
    with pytest.raises(DrossError, match="no group 7"):
        describe(data, codes, 7)


def test_texts_that_are_all_alike_or_hostile_give_a_harmless_name() -> None:
    same = Dataset(pa.table({"t": ["same words"] * 40}), {Role.TEXT: ["t"]})
    assert describe(same, np.repeat(np.array([0, 1], np.int32), 20), 0) == "group 0"
    nasty = ["<script>alert(1)</script>\u202e\x00" + "x" * 100_000] * 20 + [None, "sound"] * 10
    data = Dataset(pa.table({"t": nasty}), {Role.TEXT: ["t"]})
    name = describe(data, np.repeat(np.array([0, 1], np.int32), 20), 0)
    assert len(name) < 80
    assert all(c.isalpha() or c in ", " for c in name)


def test_mixed_groups_agree_with_scikit_learn_where_the_groups_are_clear() -> None:
    X, truth = blobs((500, 400, 300, 200, 100), seed=2)
    codes = cluster(X, np.arange(len(X)), 5, seed=1)
    assert adjusted_rand_score(truth, codes) > 0.7
