from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.model_choice import ModelChoice
from dross.signals.probabilities import Probabilities
from dross.testing.planted import blobs, digits, table_dataset

TOPICS = {"sport": "goal match team player score ball", "food": "bread soup cook oven salt taste"}


def topical(n: int = 120, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = [list(TOPICS)[i % 2] for i in range(n)]
    common = "the day was long and we went home".split()
    texts = [
        " ".join([*rng.choice(TOPICS[y].split(), 3), *rng.choice(common, 4)]) + f" {i}" for i, y in enumerate(labels)
    ]
    return Dataset(pa.table({"t": texts, "y": labels}), {Role.TEXT: ["t"], Role.LABEL: ["y"]})


def relabelled(data: Dataset, labels: list[str | None]) -> Dataset:
    return data.with_column("label", pa.array(labels))


def check(P: np.ndarray, data: Dataset) -> None:
    assert P.shape == (len(data), len(data.classes))
    assert P.dtype == np.float32
    assert np.isfinite(P).all()
    assert (P > 0).all()
    assert np.allclose(P.sum(axis=1), 1, atol=1e-4)


def test_wrong_labels_get_low_probability() -> None:
    planted = digits(flipped=0.2)
    P = Signals(planted.data)[Probabilities()]
    check(P, planted.data)
    assert (P.argmax(axis=1) == planted.truth).mean() > 0.95
    wrong = np.isin(np.arange(len(P)), planted.rows)
    assert roc_auc_score(wrong, 1 - P[np.arange(len(P)), planted.data.codes]) > 0.98


def test_probabilities_keep_their_promise() -> None:
    planted = blobs(1500, spread=2.0, flipped=0.1)
    P = Signals(planted.data)[Probabilities()]
    sure, right = P.max(axis=1), P.argmax(axis=1) == planted.data.codes
    for low, high in ((0.3, 0.6), (0.6, 0.8), (0.8, 1.0)):
        some = (sure >= low) & (sure < high)
        assert abs(sure[some].mean() - right[some].mean()) < 0.06


def test_features_without_meaning_give_the_shares_of_the_classes() -> None:
    rng = np.random.default_rng(0)
    data = table_dataset(rng.normal(size=(600, 5)), np.where(rng.random(600) < 0.15, "rare", "usual"))
    P = Signals(data)[Probabilities()]
    assert P[:, 0].mean() == pytest.approx((data.codes == 0).mean(), abs=0.03)
    assert P[:, 0].std() < 0.06


def test_deterministic_and_independent_of_chunks() -> None:
    data = blobs(200).data
    P = Signals(data)[Probabilities()]
    assert np.array_equal(P, Signals(data)[Probabilities()])
    pieces = pa.concat_tables([data.table.slice(i, 17) for i in range(0, 200, 17)])
    assert np.array_equal(P, Signals(Dataset(pieces, data.roles))[Probabilities()])


def test_order_of_rows_does_not_matter() -> None:
    data = blobs(200).data
    order = np.random.default_rng(0).permutation(200)
    P, Q = Signals(data)[Probabilities()], Signals(data.take(order))[Probabilities()]
    assert np.allclose(P[order], Q, atol=1e-3)


def test_a_copy_does_not_give_its_label_away() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(150, 12)), 2, axis=0)[: 150 + 60]  # meaningless, and some rows stand twice
    labels = np.repeat(rng.choice(["a", "b"], 150), 2)[: 150 + 60]
    data = table_dataset(np.concatenate([X, rng.normal(size=(90, 12))]), np.append(labels, rng.choice(["a", "b"], 90)))
    P = Signals(data)[Probabilities()]
    assert P[np.arange(300), data.codes][:210].mean() < 0.56
    assert "copies" in Signals(data)[ModelChoice()].together


def test_missing_labels_are_predicted_and_not_learnt_from() -> None:
    planted = blobs(300, flipped=0.0)
    codes = planted.data.codes
    labels = [None if i % 3 == 0 else f"class {c}" for i, c in enumerate(codes)]
    data = relabelled(planted.data, labels)
    P = Signals(data)[Probabilities()]
    check(P, data)
    assert (P.argmax(axis=1) == codes)[::3].mean() > 0.9


def test_rare_classes_one_class_and_few_rows() -> None:
    plain = blobs(60, k=3).data
    names = [f"c{c}" for c in plain.codes]
    alone = relabelled(plain, [*names[:-1], "only once"])
    check(Signals(alone)[Probabilities()], alone)
    every = relabelled(plain, [f"r{i}" for i in range(60)])
    check(Signals(every)[Probabilities()], every)
    one = relabelled(plain, ["a"] * 60)
    assert (Signals(one)[Probabilities()] == 1).all()
    for n in (1, 2, 3, 5):
        small = plain.slice(0, n)
        check(Signals(small)[Probabilities()], small)
    nobody = relabelled(plain, [None] * 60)
    with pytest.raises(DrossError, match="no row has a label"):
        Signals(nobody)[Probabilities()]


def test_the_chosen_model_is_said_and_can_be_asked_for(tmp_path: Path) -> None:
    data = topical()
    choice = Signals(data, tmp_path)[ModelChoice()]
    assert choice.losses[choice.model] == min(choice.losses.values())
    assert "n-grams" in choice.losses
    assert choice == Signals(data, tmp_path)[ModelChoice()]
    assert choice.model in str(choice)
    for name in ("n-grams", "logistic", "kernel ridge"):
        P = Signals(data)[Probabilities(model=name)]
        check(P, data)
        assert (P.argmax(axis=1) == data.codes).mean() > 0.9, name
        assert Signals(data)[ModelChoice(model=name)].model == name
    with pytest.raises(DrossError, match="logistic"):
        Signals(data)[Probabilities(model="logistics")]


def test_trees_learn_what_is_not_linear() -> None:
    rng = np.random.default_rng(0)
    n = 600
    x, c = rng.normal(size=n), rng.choice(["p", "q"], n)
    labels = np.where((x > 0) == (c == "p"), "in", "out")
    roles = {Role.FEATURES: ["x", "c"], Role.LABEL: ["y"]}
    data = Dataset(pa.table({"x": x, "c": c, "y": labels}), roles)
    P = Signals(data)[Probabilities(model="boosted trees")]
    assert (P.argmax(axis=1) == data.codes).mean() > 0.95
    check(Signals(data)[Probabilities()], data)


@pytest.mark.parametrize("make", [lambda: blobs(150, flipped=0.0).data, topical], ids=["vectors", "texts"])
def test_added_rows_are_predicted_and_the_first_stay(make) -> None:  # type: ignore[no-untyped-def]
    whole = make()
    n = len(whole) - 30
    signals = Signals(Dataset(whole.table.slice(0, n), whole.roles))
    before = signals[Probabilities()]
    child = signals.derive(signals.data.append(whole.table.slice(n)))
    after = child[Probabilities()]
    assert np.array_equal(after[:n], before)
    check(after, child.data)
    assert (after[n:].argmax(axis=1) == whole.codes[n:]).mean() > 0.9
    alone = signals.derive(signals.data.append(whole.table.slice(n + 7, 1)))[Probabilities()]
    assert np.allclose(alone[n], after[n + 7], atol=1e-4)


def test_flipped_labels_carry_the_probabilities() -> None:
    data = blobs(100).data
    signals = Signals(data)
    before = signals[Probabilities()]
    names = np.array([f"class {c}" for c in data.codes])
    names[:10] = np.roll(names, 1)[:10]
    child = signals.derive(data.with_column("label", pa.array(names.tolist())), carry=(Probabilities,))
    assert np.array_equal(child[Probabilities()], before)


def test_groups_are_held_out_whole() -> None:
    rng = np.random.default_rng(0)
    unit = np.arange(400) // 4  # a hundred units of four rows; their place in space tells their label, nothing else
    X = rng.normal(size=(100, 6))[unit] + 0.01 * rng.normal(size=(400, 6))
    labels = rng.choice(["a", "b"], 100)[unit]
    data = table_dataset(X, labels)
    table = data.table.append_column("unit", pa.array([f"u{u}" for u in unit]))
    grouped = Dataset(table, {**data.roles, Role.GROUP: ["unit"]})
    free = Signals(data)[Probabilities()]
    held = Signals(grouped)[Probabilities()]
    assert (free.argmax(axis=1) == data.codes).mean() > 0.8
    assert (held.argmax(axis=1) == data.codes).mean() < 0.65
    assert Signals(grouped)[ModelChoice()].together == ["unit"]
