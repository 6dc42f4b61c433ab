"""A proof with a training method as its model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.job.learner import tempered
from dross.job.prove import Proof, prove
from dross.ledger.state import WEIGHT
from dross.testing.planted import blobs

torch = pytest.importorskip("torch")
QUICK = {"epochs": 8, "learning_rate": 0.005}
LINEAR = {"network": "linear", "epochs": 40, "learning_rate": 0.05}


def noisy(n: int = 400, rate: float = 0.4) -> tuple[Dataset, Dataset]:
    """Clusters with wrong labels of all kinds, and the clean data."""
    clean = blobs(n, d=20, flipped=0.0).data
    rng = np.random.default_rng(0)
    wrong = np.where(rng.random(n) < rate, rng.integers(0, 4, n), clean.codes)
    names = pa.array([str(c) for c in clean.classes])
    return clean.with_column("label", pa.chunked_array([names.take(pa.array(wrong))])), clean


def weighted(data: Dataset, weight: np.ndarray) -> Dataset:
    return Dataset(data.table.append_column(WEIGHT, pa.array(weight)), data.roles, row_ids=data.row_ids)


def shown(method: str, **options: object) -> Proof:
    raw, clean = noisy()
    test = clean.slice(300, 400)
    options = {**QUICK, **options}
    return prove(raw.slice(0, 300), clean.slice(0, 300), test=test, repeats=5, trainer=method, options=options)


def test_repairing_helps_plain_training() -> None:
    proof = shown("cross-entropy", epochs=20)
    assert proof.verdict == "helped"
    assert proof.model == "cross-entropy, the network auto on the embedding, 20 epochs"
    assert not [note for note in proof.notes if "Plain training" in note], "it stands beside itself"


def test_a_robust_method_is_set_beside_plain_training() -> None:
    proof = shown("gce", network="linear")
    assert proof.model.startswith("generalized-cross-entropy")
    plain, beside = proof.notes[-2:]
    assert plain.startswith("Plain training of the same network: accuracy 0.")
    assert beside.startswith("On the raw rows gce is ")
    assert shown("gce", network="linear") == proof


def test_targets_are_trained_on_as_numbers() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    y = X @ np.array([1.0, -2.0, 0.5, 0.0])
    spoiled = np.where(np.arange(300) % 3 == 0, rng.normal(size=300) * 3, y)
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4)
    raw = Dataset(pa.table({"x": column, "y": spoiled}), {Role.EMBEDDING: ["x"], Role.TARGET: ["y"]})
    treated = raw.with_column("y", pa.chunked_array([pa.array(y)]))
    test = treated.slice(200, 300)
    proof = prove(
        raw.slice(0, 200), treated.slice(0, 200), test=test, repeats=5, trainer="cross-entropy", options=LINEAR
    )
    assert proof.scores[0].name == "R²"
    assert proof.scores[0].treated_minus_raw.estimate > 0


def test_what_cannot_be_trained_is_said() -> None:
    raw, clean = noisy(120)
    with pytest.raises(DrossError, match=r"did you mean 'mixup'"):
        prove(raw, clean, repeats=5, trainer="mixpu")
    with pytest.raises(DrossError, match="has no setting 'epoch'"):
        prove(raw, clean, repeats=5, trainer="mixup", options={"epoch": 3})
    with pytest.raises(DrossError, match=r"does not apply to these rows: .*query and passage"):
        prove(raw, clean, repeats=5, trainer="tas-balanced", options={"epochs": 1})
    weight = np.where(np.arange(120) % 2 == 0, 0.5, 1.0)
    weighed = weighted(raw, weight)
    with pytest.raises(DrossError, match="give rows weights"):
        prove(raw, weighed, repeats=5, trainer="mixup", options={"epochs": 1})


def test_rows_of_no_weight_are_left_out() -> None:
    raw, clean = noisy(200)
    wrong = raw.codes != clean.codes
    weighed = weighted(raw, np.where(wrong, 0.0, 1.0))
    dropped = raw.take(np.flatnonzero(~wrong))
    kinds = [prove(raw, one, repeats=5, trainer="cross-entropy", options=QUICK) for one in (weighed, dropped)]
    assert kinds[0].scores[0].treated == kinds[1].scores[0].treated


def test_chances_are_tempered_by_one_row_of_each_class() -> None:
    assert tempered(np.zeros((1, 4)), 0).tolist() == [[0.25] * 4]
    np.testing.assert_allclose(tempered(np.array([[0.0, 1.0]]), 8), [[0.1, 0.9]])
