from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.job.arms import Material, align, arms, gather, placebo_rows, splits
from dross.job.prove import Proof, prove
from dross.testing.planted import Planted, blobs, digits, table_dataset


def corrected(planted: Planted, share: float = 1.0, seed: int = 0) -> Dataset:
    """The planted data with a share of its wrong labels put right."""
    assert planted.truth is not None
    rng = np.random.default_rng(seed)
    fixed = rng.choice(planted.rows, round(share * len(planted.rows)), replace=False)
    codes = planted.data.codes.copy()
    codes[fixed] = planted.truth[fixed]
    return relabelled(planted.data, codes)


def relabelled(data: Dataset, codes: np.ndarray) -> Dataset:
    names = pa.array([str(c) for c in data.classes])
    return data.with_column("label", pa.chunked_array([names.take(pa.array(codes))]))


def random_edits(data: Dataset, seed: int) -> Dataset:
    """A tenth of the rows dropped, a tenth relabelled, all at random."""
    rng = np.random.default_rng(seed)
    n, k = len(data), len(data.classes)
    order = rng.permutation(n)
    codes = data.codes.copy()
    codes[order[: n // 10]] = (codes[order[: n // 10]] + rng.integers(1, k, n // 10)) % k
    return relabelled(data, codes).take(np.sort(order[: -n // 10]))


def with_columns(data: Dataset, **columns: tuple[Role, list]) -> Dataset:
    table, roles = data.table, dict(data.roles)
    for name, (role, values) in columns.items():
        table, roles[role] = table.append_column(name, pa.array(values)), (name,)
    return Dataset(table, roles)


# ---- the verdict ----------------------------------------------------------------------------------------------------


def systematic(n: int = 500, rate: float = 0.4, seed: int = 0) -> tuple[Planted, Dataset]:
    """Clusters whose wrong labels are all the next class, which no penalty averages out; and the clean data."""
    clean = blobs(n, d=20, flipped=0.0, seed=seed)
    assert clean.truth is not None
    rows = np.sort(np.random.default_rng(seed).choice(n, round(rate * n), replace=False))
    codes = clean.truth.copy()
    codes[rows] = (codes[rows] + 1) % 4
    return Planted(relabelled(clean.data, codes), rows, clean.truth), clean.data


def test_real_corrections_help() -> None:
    planted, clean = systematic()
    proof = prove(planted.data.slice(0, 350), corrected(planted).slice(0, 350), test=clean.slice(350, 500))
    first = proof.scores[0]
    assert proof.verdict == "helped"
    assert first.treated_minus_raw.low > 0.05
    assert first.treated_minus_placebo.low > 0
    assert proof.edits == {"relabel": int((planted.rows < 350).sum())}
    assert "It helped" in proof.headline


def test_real_corrections_help_on_uncleaned_rows_too() -> None:
    planted = digits(0.0, seed=0)
    assert planted.truth is not None
    wrong = np.sort(np.random.default_rng(0).choice(1797, 540, replace=False))
    codes = planted.truth.copy()
    codes[wrong] = (codes[wrong] + 1) % 10
    raw = relabelled(planted.data, codes)
    proof = prove(raw, planted.data)
    assert proof.verdict == "helped"
    assert proof.scores[0].treated_minus_placebo.low > 0
    assert any("measured gains are" in why for why in proof.why)


def test_noise_that_a_penalty_averages_out_is_no_evidence() -> None:
    """Wrong labels spread at random: a well held back model hardly minds them, and the proof must not pretend."""
    planted = blobs(500, d=40, flipped=0.2, seed=1)
    proof = prove(planted.data, corrected(planted, 0.3), repeats=8)
    assert proof.verdict == "no evidence"
    assert any("shrugs off" in why for why in proof.why)


def test_random_edits_do_not_help() -> None:
    verdicts = []
    for seed in range(6):
        data = blobs(300, flipped=0.2, spread=2.0, seed=seed).data
        proof = prove(data, random_edits(data, seed), seed=seed, repeats=10)
        verdicts.append(proof.verdict)
        assert proof.scores[0].treated_minus_placebo.p > 0.05
    assert "helped" not in verdicts


def test_wrecking_labels_hurts() -> None:
    planted = blobs(400, flipped=0.0, spread=1.0, seed=3)
    codes = planted.data.codes.copy()
    codes[codes == 0] = 1
    codes[:3] = 0
    proof = prove(planted.data, relabelled(planted.data, codes))
    assert proof.verdict == "hurt"
    assert "undo" in " ".join(proof.why)
    worst = next(c for c in proof.classes if c.name == "class 0")
    assert worst.adjusted is not None
    assert worst.adjusted < 0.05
    assert worst.treated_minus_raw.high < 0


def test_few_edits_give_no_evidence_and_the_reasons() -> None:
    planted = blobs(400, flipped=0.02, spread=0.5, seed=4)
    proof = prove(planted.data, corrected(planted, 0.5))
    assert proof.verdict == "no evidence"
    said = " ".join(proof.why)
    assert "Few edits" in said
    assert "cannot be told from chance" in said
    assert "already" in said


def test_dropping_copies_is_named_as_such() -> None:
    data = blobs(200, flipped=0.1, seed=5).data
    doubled = Dataset(pa.concat_tables([data.table, data.table.slice(0, 60)]), data.roles)
    proof = prove(doubled, doubled.take(np.arange(200)))
    assert proof.verdict != "helped"
    assert any("copies" in why for why in proof.why)


def test_same_seed_same_proof_and_plain_json() -> None:
    planted = blobs(200, flipped=0.2, seed=6)
    one, two = (prove(planted.data, corrected(planted), seed=7, repeats=5).to_json() for _ in range(2))
    assert one == two
    assert json.loads(json.dumps(one, allow_nan=False)) is not None
    assert one != prove(planted.data, corrected(planted), seed=8, repeats=5).to_json()


def test_progress_is_told() -> None:
    planted, seen = blobs(150, flipped=0.2, seed=0), []
    prove(planted.data, corrected(planted), repeats=5, progress=lambda *what: seen.append(what))
    assert seen == [("prove", i + 1, 5) for i in range(5)]


# ---- test rows ------------------------------------------------------------------------------------------------------


def test_a_clean_test_set_sees_more() -> None:
    planted, clean = systematic(seed=1)
    raw, treated = planted.data.slice(0, 350), corrected(planted).slice(0, 350)
    seen, own = prove(raw, treated, test=clean.slice(350, 500)), prove(raw, treated)
    assert seen.test == "the test set that was given"
    assert seen.test_rows == 150
    assert seen.scores[0].treated_minus_raw.estimate > own.scores[0].treated_minus_raw.estimate + 0.05
    assert not any("not cleaned" in why for why in seen.why)


def test_test_rows_keep_their_labels() -> None:
    """Edits of the test part change nothing: neither the labels scored against nor what is trained on."""
    planted = blobs(300, flipped=0.3, seed=2)
    parts = ["train"] * 200 + ["test"] * 100
    raw = with_columns(planted.data, part=(Role.SPLIT, parts))
    codes = raw.codes.copy()
    codes[200:] = planted.truth[200:]  # type: ignore[index]
    proof = prove(raw, relabelled(raw, codes))
    assert proof.test_rows == 100
    assert proof.scores[0].treated_minus_raw.estimate == 0.0
    assert proof.verdict == "no evidence"
    assert "None of the edits fell on training rows" in proof.why[0]


def test_training_copies_of_test_rows_are_left_out_of_every_arm() -> None:
    data = blobs(200, flipped=0.1, seed=3).data
    doubled = Dataset(pa.concat_tables([data.table, data.table.slice(0, 50)]), data.roles)
    raw = with_columns(doubled, part=(Role.SPLIT, ["train"] * 200 + ["test"] * 50))
    treated = raw.take(np.setdiff1d(np.arange(250), np.arange(60)))
    proof = prove(raw, treated)
    assert any("50 training rows are copies of test rows" in note for note in proof.notes)
    assert proof.train_rows == 120  # four fifths of the 150 that are left


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_copies_and_groups_never_straddle(seed: int, grouped: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(150, 3))[rng.integers(0, 150, 200)]
    data = table_dataset(vectors, rng.integers(0, 2, 200).astype(str))
    raw = with_columns(data, person=(Role.GROUP, rng.integers(0, 80, 200).tolist())) if grouped else data
    material = gather(raw, raw.take(np.arange(199)), None, Signals(raw))
    person = raw.table.column("person").to_numpy() if grouped else np.arange(200)
    seen = 0
    for train, held in splits(material, 5, 0.2, rng):
        seen += len(held)
        assert not set(vectors[train, 0]) & set(vectors[held, 0])
        assert not set(person[train]) & set(person[held])
    assert seen


def test_a_trait_is_compared_and_a_unit_kept_together() -> None:
    data = blobs(400, flipped=0.1, seed=0).data
    sex = with_columns(data, g=(Role.GROUP, ["f", "m"] * 200))
    patient = with_columns(data, g=(Role.GROUP, [i // 4 for i in range(400)]))
    traits, units = (gather(d, d.take(np.arange(399)), None, Signals(d)) for d in (sex, patient))
    assert len(set(traits.families)) == 400
    assert set(traits.group) == {0, 1}
    assert len(set(units.families)) == 100
    assert set(units.group) == {-1}


# ---- the arms -------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_the_placebo_has_the_same_edits(seed: int) -> None:
    """As many drops from every class and as many changes from every class to every other."""
    rng = np.random.default_rng(seed)
    data = blobs(90, k=3, flipped=0.0, seed=seed).data
    treated = random_edits(data, seed)
    material = gather(data, treated, None, Signals(data))
    train = np.sort(rng.choice(90, 70, replace=False))
    made = arms(material, train, rng)
    raw, real, fake = (made[name] for name in ("raw", "treated", "placebo"))
    assert np.array_equal(raw.y, data.codes[train])
    assert (
        np.bincount(real.y.astype(int), minlength=3).tolist() == np.bincount(fake.y.astype(int), minlength=3).tolist()
    )
    edited = train[material.changes.edited[train]]
    chosen = placebo_rows(train, edited, material.changes.kind, rng)
    assert len(set(chosen)) == len(edited)
    assert (data.codes[chosen] == data.codes[edited]).all()


def test_the_placebo_is_spread_over_the_rows_of_the_class() -> None:
    kind, rng = np.zeros(50, np.int64), np.random.default_rng(0)
    counts = np.zeros(50)
    for _ in range(400):
        counts[placebo_rows(np.arange(50), np.arange(5), kind, rng)] += 1
    assert counts.min() > 15
    assert counts.max() < 75


def test_weights_count_and_their_placebo_is_weighted_too() -> None:
    planted, clean = systematic()
    raw, test, wrong = planted.data.slice(0, 350), clean.slice(350, 500), planted.rows[planted.rows < 350]
    weight = np.ones(350)
    weight[wrong] = 0.0
    proof = prove(raw, weighted(raw, weight), test=test)
    assert proof.edits == {"reweight": len(wrong)}
    assert proof.verdict == "helped"
    dropped = prove(raw, raw.take(np.setdiff1d(np.arange(350), wrong)), test=test)
    gains = [p.scores[0].treated_minus_raw.estimate for p in (proof, dropped)]
    assert gains[0] == pytest.approx(gains[1], abs=0.02)
    with pytest.raises(DrossError, match="weight"):
        prove(raw, weighted(raw, -weight))


def weighted(data: Dataset, weight: np.ndarray) -> Dataset:
    return Dataset(data.table.append_column("dross_weight", pa.array(weight)), data.roles, row_ids=data.row_ids)


def test_content_edits_move_the_vectors() -> None:
    planted = blobs(300, flipped=0.0, spread=0.5, seed=2)
    X = planted.data.matrix(Role.EMBEDDING).copy()
    damaged = X.copy()
    damaged[:90] = -X[:90]
    raw = table_dataset(damaged, planted.data.table.column("label").to_pylist())
    healed = raw.with_column("x", table_dataset(X, ["a"] * 300).table.column("x"))
    material = gather(raw, healed, None, Signals(raw))
    assert material.changes.counts() == {"content": 90}
    made = arms(material, np.arange(300), np.random.default_rng(0))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert np.allclose(made["treated"].X, unit, atol=1e-5)
    assert not np.allclose(made["placebo"].X, unit, atol=1e-2)
    assert (np.abs(made["placebo"].X - made["raw"].X).sum(axis=1) > 1e-6).sum() == 90


def test_regression_targets() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)).astype(np.float32)
    clean = X @ np.array([2.0, -1.0, 0.5]) + rng.normal(scale=0.3, size=400)
    noisy = clean.copy()
    noisy[:120] += 8.0 * X[:120, 1]
    columns = {f"x{i}": X[:, i] for i in range(3)}
    roles = {Role.FEATURES: list(columns), Role.TARGET: ["y"]}
    raw = Dataset(pa.table({**columns, "y": noisy}), roles)
    test = Dataset(pa.table({**columns, "y": clean}), roles).take(np.arange(300, 400))
    raw = raw.take(np.arange(300))
    treated = raw.with_column("y", pa.chunked_array([clean[:300]]))
    proof = prove(raw, treated, test=test)
    assert proof.verdict == "helped"
    assert [s.name for s in proof.scores] == ["R²", "mean absolute error"]
    assert proof.edits == {"retarget": 120}
    assert proof.scores[1].treated_minus_raw.estimate < 0
    assert proof.scores[0].placebo_minus_raw.estimate < proof.scores[0].treated_minus_raw.estimate


def test_missing_labels_may_be_filled_in() -> None:
    planted = blobs(600, flipped=0.0, spread=2.0, seed=1)
    labels = planted.data.table.column("label").to_pylist()
    some = [None if i % 4 else label for i, label in enumerate(labels)]
    raw = planted.data.with_column("label", pa.chunked_array([some]))
    proof = prove(raw, raw.with_column("label", pa.chunked_array([labels])), repeats=5)
    assert proof.edits == {"relabel": 450}
    assert proof.scores[0].treated_minus_raw.estimate > -0.02


def test_worst_group_is_reported() -> None:
    planted = blobs(400, flipped=0.2, spread=1.5, seed=1)
    raw = with_columns(planted.data, site=(Role.GROUP, ["north" if i % 3 else "south" for i in range(400)]))
    proof = prove(raw, relabelled(raw, corrected(planted).codes))
    worst = next(s for s in proof.scores if s.name == "worst-group accuracy")
    assert worst.raw.estimate <= proof.scores[0].raw.estimate


# ---- bad input ------------------------------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    data = blobs(120, k=2, flipped=0.1, seed=0).data
    one_class = relabelled(data, np.zeros(120, np.int32))
    cases = [
        ("equals the raw data", lambda: prove(data, data)),
        ("no rows left", lambda: prove(data, data.slice(0, 0))),
        ("1 class", lambda: prove(data, one_class)),
        ("not among the raw rows", lambda: prove(data, blobs(120, k=2, seed=9).data)),
        ("too few rows", lambda: prove(data.slice(0, 30), data.slice(0, 29))),
        ("repeats", lambda: prove(data, data.slice(0, 90), repeats=2)),
        ("no column 'x'", lambda: prove(data, data.slice(0, 90), test=Dataset(pa.table({"label": ["a"]}), {}))),
        ("label or a target", lambda: prove(_unlabelled(data), _unlabelled(data).slice(0, 90))),
    ]
    for words, call in cases:
        with pytest.raises(DrossError, match=words):
            call()


def _unlabelled(data: Dataset) -> Dataset:
    return Dataset(data.table, {Role.EMBEDDING: ["x"]})


def test_a_test_column_that_does_not_fit() -> None:
    data = blobs(120, k=2, flipped=0.1, seed=0).data
    others = blobs(120, k=2, seed=1).data
    numbers = Dataset(others.table.set_column(1, "label", pa.array(range(120))), data.roles)
    text = Dataset(data.table.set_column(0, "x", pa.array(["?"] * 120)), {Role.TEXT: ["x"], Role.LABEL: ["label"]})
    with pytest.raises(DrossError, match="does not fit"):
        prove(data, data.slice(0, 90), test=text)
    assert prove(data, data.slice(0, 90), test=numbers, repeats=5).scores[0].raw.estimate == 0.0


def test_align_finds_shuffled_rows() -> None:
    data = blobs(50, seed=1).data
    order = np.random.default_rng(0).permutation(50)[:40]
    where = align(data, data.take(order))
    assert (where[order] == np.arange(40)).all()
    assert (where >= 0).sum() == 40


def test_proof_is_a_frozen_record() -> None:
    planted = blobs(150, flipped=0.2, seed=0)
    proof = prove(planted.data, corrected(planted), repeats=5)
    assert isinstance(proof, Proof)
    assert isinstance(gather(planted.data, corrected(planted), None, Signals(planted.data)), Material)
    with pytest.raises(AttributeError):
        proof.verdict = "hurt"  # type: ignore[misc]
