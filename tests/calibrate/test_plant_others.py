"""Planted label sets, targets, copies and outliers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.calibrate import plant_copies, plant_labels, plant_outliers, plant_target
from dross.calibrate.plant_labels import toggle
from dross.calibrate.plant_target import wrong_targets
from dross.calibrate.planting import Planting, planters
from dross.core.dataset import Dataset
from dross.core.results import Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.io.images import encode
from dross.testing.planted import blobs, sentence


def only(planted: object) -> Planting:
    assert not isinstance(planted, NotApplicable)
    [variant] = list(planted)  # type: ignore[call-overload]
    return variant  # type: ignore[no-any-return]


def label_sets(n: int = 60) -> Dataset:
    rng = np.random.default_rng(0)
    labels = [[name for name in "abcd" if rng.random() < 0.4] if i % 7 else None for i in range(n)]
    table = pa.table({"x": rng.random(n), "y": pa.array(labels, pa.list_(pa.string()))})
    return Dataset(table, {Role.FEATURES: ["x"], Role.LABELS: ["y"]})


def texts(n: int = 80, *, two: bool = False) -> Dataset:
    rng = np.random.default_rng(0)
    columns = {"t": [sentence(rng) for _ in range(n)], "y": [f"c{i % 3}" for i in range(n)]}
    columns["s"] = ["train" if i % 4 else "test" for i in range(n)]
    if two:
        columns["u"] = [sentence(rng, 5) for _ in range(n)]
    roles = {Role.TEXT: ["t", "u"] if two else ["t"], Role.LABEL: ["y"], Role.SPLIT: ["s"]}
    return Dataset(pa.table(columns), roles)


def pictures(n: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 12, 10), np.uint8)


# ---- label sets and targets -----------------------------------------------------------------------------------------


def test_one_label_of_each_planted_row_is_toggled() -> None:
    data = label_sets()
    before = data.column(Role.LABELS).to_pylist()
    planted = plant_labels.plant(data, Signals(data), Issue.LABEL, np.random.default_rng(0))
    assert not isinstance(planted, NotApplicable)
    more = fewer = 0
    for variant in planted:
        after = variant.data.column(Role.LABELS).to_pylist()
        assert variant.data.table.schema.equals(data.table.schema)
        for row in range(len(data)):
            if row not in variant.rows:
                assert after[row] == before[row]
                continue
            assert len(set(after[row]) ^ set(before[row])) == 1
            more += len(after[row]) > len(before[row])
            fewer += len(after[row]) < len(before[row])
    assert more > 0
    assert fewer > 0


def test_toggling_a_full_and_an_empty_set() -> None:
    rng = np.random.default_rng(0)
    assert toggle([], ["a"], {"a"}, rng) == ["a"]
    assert toggle(["a"], ["a"], {"a"}, rng) == []
    assert toggle(["a"], ["a"], set(), rng) is None


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.int32()])
def test_targets_of_the_planted_rows_change(kind: pa.DataType) -> None:
    rng = np.random.default_rng(0)
    y = pa.array([None if i % 9 == 0 else float(i % 40) for i in range(100)]).cast(kind)
    data = Dataset(pa.table({"x": rng.random(100), "y": y}), {Role.FEATURES: ["x"], Role.TARGET: ["y"]})
    planted = plant_target.plant(data, Signals(data), Issue.LABEL, rng)
    assert not isinstance(planted, NotApplicable)
    for variant in planted:
        assert variant.data.table.schema.equals(data.table.schema)
        same = (variant.data.target == data.target) | (np.isnan(variant.data.target) & np.isnan(data.target))
        assert np.flatnonzero(~same).tolist() == variant.rows.tolist()


def test_wrong_targets_are_plausible_numbers() -> None:
    rng = np.random.default_rng(0)
    others = rng.normal(10, 2, 5000)
    wrong = wrong_targets(np.full(2000, 10.0), others, rng)
    assert 0.5 < np.abs(wrong - 10).mean() / 2 < 2
    assert wrong.mean() == pytest.approx(10, abs=0.3)


# ---- copies ---------------------------------------------------------------------------------------------------------


def test_every_issue_that_can_be_planted_has_a_planter() -> None:
    assert {Issue.LABEL, Issue.VALUE, Issue.OUTLIER, Issue.DUPLICATE, Issue.LEAKAGE} <= set(planters())
    assert Issue.DRIFT not in planters()


def test_copies_are_appended_beside_decoys() -> None:
    data = texts()
    for issue in plant_copies.ISSUES:
        variant = only(plant_copies.plant(data, Signals(data), issue, np.random.default_rng(0)))
        n = len(data)
        assert variant.data.table.slice(0, n).equals(data.table)
        assert len(variant.rows) == len(variant.sources) == len(variant.decoys) == 60
        assert len(variant.data) == n + 120
        assert len(set(variant.sources.tolist())) == 60
        assert variant.pairs
        assert len(set(variant.data.row_ids.tolist())) == n + 120


def test_exact_copies_read_the_same() -> None:
    from dross.signals.content_hash import ContentHash

    data = texts(two=True)
    variant = only(plant_copies.plant(data, Signals(data), Issue.DUPLICATE, np.random.default_rng(0)))
    hashes = variant.signals[ContentHash()]
    assert np.array_equal(hashes[variant.rows], hashes[variant.sources])
    assert not np.isin(hashes[variant.decoys], hashes[: len(data)]).any()


def test_near_copies_share_most_words_and_decoys_half() -> None:
    data = texts()
    variant = only(plant_copies.plant(data, Signals(data), Issue.NEAR_DUPLICATE, np.random.default_rng(0)))
    words = [set(t.split()) for t in variant.data.column(Role.TEXT).to_pylist()]
    shared = [
        len(words[row] & words[source]) / len(words[source])
        for row, source in zip(variant.rows, variant.sources, strict=True)
    ]
    assert 0.75 < np.mean(shared) < 1
    of_decoys = [max(len(words[d] & words[r]) / len(words[d]) for r in range(len(data))) for d in variant.decoys]
    assert np.mean(of_decoys) < 0.85


def test_conflicting_copies_carry_another_label() -> None:
    data = texts()
    variant = only(plant_copies.plant(data, Signals(data), Issue.CONFLICT, np.random.default_rng(0)))
    assert (variant.data.codes[variant.rows] != data.codes[variant.sources]).all()


def test_leaked_copies_stand_in_another_split() -> None:
    data = texts()
    variant = only(plant_copies.plant(data, Signals(data), Issue.LEAKAGE, np.random.default_rng(0)))
    split = np.array(variant.data.column(Role.SPLIT).to_pylist())
    assert (split[variant.rows] != split[variant.sources]).all()


@pytest.mark.parametrize("form", ["bytes", "struct", "paths"])
def test_copies_of_images_in_every_form(form: str, tmp_path: Path) -> None:
    from dross.core.dataset import Source
    from dross.io.images import images

    raw = encode(pictures())
    if form == "bytes":
        column = raw
    elif form == "struct":
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        column = pa.array([{"bytes": b, "path": None} for b in raw.to_pylist()], kind)
    else:
        for i, b in enumerate(raw.to_pylist()):
            (tmp_path / f"{i}.pgm").write_bytes(b)
        column = pa.array([f"{i}.pgm" for i in range(30)])
    data = Dataset(pa.table({"image": column}), {Role.IMAGE: ["image"]}, source=Source(str(tmp_path), "folder"))
    planted = plant_copies.plant(data, Signals(data), Issue.NEAR_DUPLICATE, np.random.default_rng(0))
    assert not isinstance(planted, NotApplicable)
    for variant in planted:
        shown = list(images(variant.data))
        assert all(p is not None and p.shape == (12, 10) for p in shown)
        new = np.array([shown[r] for r in variant.rows], float)
        old = np.array([shown[s] for s in variant.sources], float)
        away = np.abs(new - old).mean(axis=(1, 2))
        assert np.median(away) < 40
        assert (away > 0).mean() > 0.8


def test_copies_of_vectors_lie_nearer_than_other_rows() -> None:
    from dross.signals.neighbours import Neighbours

    data = blobs(300, flipped=0.0).data
    signals = Signals(data)
    typical = np.median(signals[Neighbours()].distances[:, 0])
    variant = only(plant_copies.plant(data, signals, Issue.SEMANTIC_DUPLICATE, np.random.default_rng(0)))
    nearest = variant.signals[Neighbours()].distances[:, 0]
    assert np.median(nearest[variant.rows]) < 0.6 * typical
    assert np.median(nearest[variant.decoys]) > 0.8 * typical


def test_cells_of_tables() -> None:
    rng = np.random.default_rng(0)
    columns = {
        "a": rng.random(90),
        "b": rng.integers(0, 5, 90),
        "c": pa.array(["x", "y", None] * 30).dictionary_encode(),
    }
    data = Dataset(pa.table(columns), {Role.FEATURES: ["a", "b", "c"]})
    variant = only(plant_copies.plant(data, Signals(data), Issue.NEAR_DUPLICATE, rng))
    rows = variant.data.table.to_pylist()
    changed = [
        sum(rows[r][name] != rows[s][name] for name in columns)
        for r, s in zip(variant.rows, variant.sources, strict=True)
    ]
    assert max(changed) == 1
    outliers = only(plant_outliers.plant(data, Signals(data), Issue.OUTLIER, rng))
    assert outliers.data.table.slice(0, 90).equals(data.table)


def test_ids_may_repeat_in_copies() -> None:
    data = texts()
    table = data.table.append_column("id", pa.array(np.arange(1, 81)))
    keyed = Dataset(table, {**data.roles, Role.ID: ["id"]})
    variant = only(plant_copies.plant(keyed, Signals(keyed), Issue.DUPLICATE, np.random.default_rng(0)))
    assert len(set(variant.data.row_ids.tolist())) == len(variant.data)


# ---- outliers -------------------------------------------------------------------------------------------------------


def test_outliers_lie_off_the_data() -> None:
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 6, 400)
    X = np.column_stack([t, np.sin(t), np.cos(t), t**2 / 6, np.exp(-t)]).astype(np.float32)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 5)
    data = Dataset(pa.table({"x": flat}), {Role.EMBEDDING: ["x"]})
    variant = only(plant_outliers.plant(data, Signals(data), Issue.OUTLIER, rng))
    new = variant.data.matrix(Role.EMBEDDING)[variant.rows]
    away = np.sqrt(((new[:, None] - X) ** 2).sum(axis=2)).min(axis=1)
    assert np.median(away) > 0.3


def test_what_cannot_be_planted() -> None:
    rng = np.random.default_rng(0)
    short, bare = texts(10), Dataset(pa.table({"y": ["a"] * 30}), {Role.LABEL: ["y"]})
    for data in (short, bare):
        for issue in plant_copies.ISSUES:
            assert isinstance(plant_copies.plant(data, Signals(data), issue, rng), NotApplicable)
        assert isinstance(plant_outliers.plant(data, Signals(data), Issue.OUTLIER, rng), NotApplicable)
        assert isinstance(plant_labels.plant(data, Signals(data), Issue.LABEL, rng), NotApplicable)
        assert isinstance(plant_target.plant(data, Signals(data), Issue.LABEL, rng), NotApplicable)
    one_split = Dataset(texts().table, {Role.TEXT: ["t"]})
    assert isinstance(plant_copies.plant(one_split, Signals(one_split), Issue.LEAKAGE, rng), NotApplicable)
    assert isinstance(plant_copies.plant(one_split, Signals(one_split), Issue.CONFLICT, rng), NotApplicable)
