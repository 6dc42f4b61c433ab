"""Automatic rules: thresholds against brute force, variety, learners for few labels, the table, degenerate input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.automatic_rules import AutomaticRules, best_temperature, tempered, views_of
from dross.models import few_labels as f
from dross.models import rules as r
from dross.models.few_labels import Problem
from dross.testing.planted import blobs, table_dataset


def partly(n: int = 200, labelled: int = 40, k: int = 3, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """Blobs of which a few rows are labelled."""
    planted = blobs(n, k=k, flipped=0.0, seed=seed)
    assert planted.truth is not None
    label = pa.array(planted.data.table["label"].to_pylist(), mask=np.arange(n) >= labelled)
    return planted.data.with_column("label", label), planted.truth


@settings(max_examples=60)
@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 10_000))
def test_stumps_are_the_best_thresholds(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 5, (n, d)).astype(np.float32)
    positive, within, weights = rng.random(n) < 0.5, rng.random(n) < 0.8, rng.random(n)
    got, at = r.stumps(X, positive, weights, within)

    def f1(fires: np.ndarray) -> float:
        return 2 * weights[fires & positive].sum() / max(weights[fires].sum() + weights[positive].sum(), 1e-12)

    for j in range(d):
        values = np.unique(X[:, j])
        middles = (values[1:] + values[:-1]) / 2
        for side in (0, 1):
            tried = [f1(within & ((X[:, j] > t) == bool(side))) for t in middles]
            assert got[j, side] == pytest.approx(max(tried, default=-1), abs=1e-9)
            if tried:
                assert f1(within & ((X[:, j] > at[j, side]) == bool(side))) == pytest.approx(max(tried), abs=1e-9)


def test_two_conditions_find_what_one_cannot() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((200, 5)).astype(np.float32)
    codes = ((X[:, 1] > 0.5) & (X[:, 3] <= 0.4)).astype(np.int64)
    one, two = (max(r.synthesize(X, codes, 1, np.ones(200), c), key=lambda rule: rule.f1) for c in (1, 2))
    assert one.f1 < 0.75
    assert two.f1 == pytest.approx(1.0)
    assert {(c[0], c[2]) for c in two.conditions} == {(1, True), (3, False)}
    assert np.array_equal(two.fires(X), codes == 1)


def test_pruning_prefers_rows_not_yet_covered() -> None:
    X = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]], np.float32)
    same, other = r.Rule(0, ((0, 0.5, False),), 0.9), r.Rule(0, ((1, 0.5, False),), 0.8)
    covered = np.array([True, False, False])
    assert r.prune([same, other], X, covered, set()) == other
    assert r.prune([same, other], X, covered, {other.conditions}) == same
    assert r.prune([same], X, covered, {same.conditions}) is None


def test_rules_label_blobs() -> None:
    data, truth = partly()
    X = data.matrix(Role.EMBEDDING)
    rows = np.arange(40)
    rules, said = r.write_rules(X, rows, truth[:40].astype(np.int64), 3, rounds=10, conditions=2, model="abstention")
    assert 3 <= len(rules) <= 30
    assert (said.argmax(axis=1) == truth)[40:].mean() > 0.85
    assert np.allclose(said.sum(axis=1), 1)


def test_propagation_solves_the_linear_system() -> None:
    data, truth = partly(80, 12)
    X = data.matrix(Role.EMBEDDING)
    rows, codes = np.arange(12), truth[:12].astype(np.int64)
    smooth, _ = f.graph(X)
    given_labels = np.zeros((80, 3))
    given_labels[rows, codes] = 1
    exact = np.linalg.solve(np.eye(80) - f.SPREAD * smooth.toarray(), (1 - f.SPREAD) * given_labels)
    share = (given_labels.sum(axis=0) + 0.5) / (12 + 1.5)
    exact *= share / exact.sum(axis=0)
    exact /= exact.sum(axis=1, keepdims=True)
    assert np.abs(f.propagation(Problem(X, rows, codes, 3)) - exact).max() < 0.12  # fifty passes of many
    assert np.array_equal(f.propagation(Problem(X, rows, codes, 3)).argmax(axis=1), exact.argmax(axis=1))


def test_learnt_features_keep_neighbours_together(monkeypatch: pytest.MonkeyPatch) -> None:
    data, truth = partly(300)
    X = data.matrix(Role.EMBEDDING)
    for sample in (10_000, 200):  # with the rest carried over from a sample
        monkeypatch.setattr(f, "SAMPLE", sample)
        Z = f.learnt_features(X)
        assert Z.min() >= 0
        said = f.logistic(Problem(Z, np.arange(60), truth[:60].astype(np.int64), 3))
        assert (said.argmax(axis=1) == truth)[60:].mean() > 0.9


def test_comparison_is_sorted_and_scored_on_rows_without_label() -> None:
    data, truth = partly()
    codes = truth.astype(np.int64)
    views = {"raw": data.matrix(Role.EMBEDDING), "noise": np.random.default_rng(0).random((200, 4)).astype(np.float32)}
    results = f.compare(views, np.arange(40), codes[:40], codes)
    assert len(results) == 6
    assert [x.accuracy for x in results] == sorted((x.accuracy for x in results), reverse=True)
    assert all(x.rows == 160 and x.low <= x.accuracy <= x.high for x in results)
    assert results[0].features == "raw"
    assert results[-1].features == "noise"
    left_out = f.compare_left_out(views, np.arange(40), codes[:40])
    assert all(x.rows == 40 for x in left_out)
    assert len(f.table(left_out).splitlines()) == 7


def test_the_rest_is_labelled_with_calibrated_chances() -> None:
    data, truth = partly(400, 60)
    found = AutomaticRules().run(data, Signals(data))
    assert isinstance(found, Labels)
    right = found.codes == truth
    assert right[60:].mean() > 0.9
    assert right[:60].all()
    assert abs(found.confidence[60:].mean() - right[60:].mean()) < 0.1
    assert {line["method"] for line in found.summary["comparison"]} == set(f.SOLVERS)
    assert found.summary["best"].split(" on ")[0] in f.SOLVERS
    assert all(0 < rule["coverage"] < 1 for rule in found.summary["rules"])


def test_texts_get_three_views() -> None:
    texts = [f"{'red fox' if i % 2 else 'blue hen'} number {i}" for i in range(60)]
    label = pa.array([("fox" if i % 2 else "hen") if i < 20 else None for i in range(60)])
    data = Dataset(pa.table({"text": texts, "label": label}), {Role.TEXT: ["text"], Role.LABEL: ["label"]})
    assert list(views_of(data, Signals(data), 0)) == ["raw", "embedding", "learnt"]
    for features in ("raw", "embedding"):
        found = AutomaticRules(features=features, compare=False).run(data, Signals(data))
        assert isinstance(found, Labels)
        assert "table" not in found.summary
        assert (found.codes == np.array([0 if i % 2 else 1 for i in range(60)])).all()


def test_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(3), 5000)
    codes = np.array([rng.choice(3, p=p) for p in honest])
    assert best_temperature(tempered(honest, 0.5), codes) == 2.0


def test_same_answer_twice() -> None:
    data, _ = partly(120, 30)
    first, again = (AutomaticRules(compare=False).run(data, Signals(data)) for _ in range(2))
    assert isinstance(first, Labels)
    assert isinstance(again, Labels)
    assert np.array_equal(first.probs, again.probs)


@pytest.mark.parametrize(("n", "labelled"), [(0, 15), (20, 15), (100, 0), (100, 4), (100, 100)])
def test_too_little_does_not_apply(n: int, labelled: int) -> None:
    data, _ = partly(100, labelled)
    few = data.slice(0, n)
    assert isinstance(AutomaticRules().run(few, Signals(few)), NotApplicable)


def test_constant_vectors_and_unknown_features() -> None:
    label = pa.array([f"c{i % 2}" if i < 20 else None for i in range(60)])
    data = table_dataset(np.ones((60, 4)), label)
    assert isinstance(AutomaticRules().run(data, Signals(data)), NotApplicable)
    with pytest.raises(DrossError, match="no features"):
        AutomaticRules(features="pixels").run(data, Signals(data))


def test_spam_from_a_hundred_labels() -> None:
    import polars as pl

    texts = pl.read_parquet(real("ws_youtube") / "texts.parquet")
    truth = texts["label"].cast(pl.String).to_numpy()
    given_labels = np.random.default_rng(0).permutation(len(truth)) < 100
    label = pa.array(truth.tolist(), mask=~given_labels)
    data = Dataset(
        pa.table({"text": texts["text"].to_arrow(), "label": label}), {Role.TEXT: ["text"], Role.LABEL: ["label"]}
    )
    found = AutomaticRules(compare=False).run(data, Signals(data))
    assert isinstance(found, Labels)
    said = np.array(found.classes)[found.codes]
    assert (said == truth)[~given_labels].mean() > 0.8
