from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.weak_supervision import WeakSupervision, source_facts
from dross.models.label_models import MODELS
from dross.models.votes import from_matrix, from_probs
from dross.testing import check_method


def voting(columns: dict[str, list[object]]) -> Dataset:
    return Dataset(pa.table({name: pa.array(values) for name, values in columns.items()}), {Role.VOTES: list(columns)})


def labelled(data: Dataset, **options: object) -> Labels:
    found = WeakSupervision(**options).run(data, Signals(data))  # type: ignore[arg-type]
    assert isinstance(found, Labels)
    return found


def crowd(n: int = 800, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    columns: dict[str, list[object]] = {}
    for j, accuracy in enumerate((0.95, 0.9, 0.6, 0.5, 0.5, 0.5)):
        said = np.where(rng.random(n) < accuracy, truth, (truth + rng.integers(1, 3, n)) % 3)
        columns[f"s{j}"] = [None if silent else f"c{v}" for silent, v in zip(rng.random(n) < 0.3, said, strict=True)]
    return voting(columns), truth


def test_labels_and_their_story() -> None:
    data, truth = crowd()
    labels = labelled(data)
    assert labels.classes == ["c0", "c1", "c2"]
    known = ~labels.abstained
    assert (labels.codes[known] == truth[known]).mean() > (
        labelled(data, model="majority").codes[known] == truth[known]
    ).mean()
    story = json.loads(json.dumps(labels.summary))
    assert story["model"] == "bayes"
    assert story["why"]
    quality = {row["source"]: (row["low"], row["quality"], row["high"]) for row in story["sources"]}
    for name, accuracy in (("s0", 0.95), ("s2", 0.6), ("s5", 0.5)):
        low, middle, high = quality[name]
        assert low < middle < high
        assert middle == pytest.approx(accuracy, abs=0.08)


def test_rows_without_votes_get_no_label() -> None:
    labels = labelled(voting({"a": ["x", None, "y"], "b": ["x", None, None], "c": ["y", None, "y"]}))
    assert labels.abstained.tolist() == [False, True, False]
    assert labels.codes.tolist() == [0, -1, 1]
    assert labels.summary["covered"] == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_is_there_by_name_and_deterministic(model: str) -> None:
    data, truth = crowd(300)
    labels, again = labelled(data, model=model), labelled(data, model=model)
    assert np.array_equal(labels.probs, again.probs, equal_nan=True)
    known = ~labels.abstained
    assert (labels.codes[known] == truth[known]).mean() > 0.75


def test_the_order_of_rows_does_not_show() -> None:
    data, _ = crowd(400)
    order = np.random.default_rng(1).permutation(400)
    mixed = Dataset(data.table.take(order), data.roles)
    for model in ("dawid-skene", "bayes", "glad", "metal", "triplet"):
        assert np.allclose(
            labelled(data, model=model).probs[order], labelled(mixed, model=model).probs, atol=1e-3, equal_nan=True
        )


def test_soft_votes_are_lists_of_chances() -> None:
    data = voting({"a": [[0.9, 0.1], [0.2, 0.8], None], "b": [[0.6, 0.4], [0.1, 0.9], None]})
    labels = labelled(data)
    assert labels.classes == ["0", "1"]
    assert labels.codes.tolist() == [0, 1, -1]
    with pytest.raises(DrossError, match="same length"):
        labelled(voting({"a": [[0.9, 0.1], [0.2, 0.3, 0.5]]}))
    with pytest.raises(DrossError, match="'b' does not"):
        labelled(voting({"a": [[0.9, 0.1]], "b": ["x"]}))


def test_whole_numbers_vote_and_minus_one_does_not() -> None:
    labels = labelled(voting({"a": [0, 1, -1], "b": [0, 1, -1]}))
    assert labels.classes == ["0", "1"]
    assert labels.codes.tolist() == [0, 1, -1]


def test_a_contradictory_balance_is_refused() -> None:
    data, _ = crowd(60)
    for balance, message in (
        ({"c0": 0.5, "c1": 0.5}, "leaves out 'c2'"),
        ({"c0": 0.5, "c1": 0.2, "c9": 0.3}, "'c9', for which no source votes"),
        ({"c0": 0.5, "c1": 0.2, "c2": 0.9}, "adds up to 1.6"),
    ):
        with pytest.raises(DrossError, match=message):
            labelled(data, balance=balance)
    with pytest.raises(DrossError, match="no label model is called 'snorkel'"):
        labelled(data, model="snorkel")
    given = labelled(data, model="bayes", balance={"c0": 0.8, "c1": 0.1, "c2": 0.1})
    assert given.summary["balance"] == {"c0": 0.8, "c1": 0.1, "c2": 0.1}


def test_degenerate_votes() -> None:
    silent = voting({"a": pa.array([None, None], pa.string()), "b": pa.array([None, None], pa.string())})  # type: ignore[dict-item]
    assert isinstance(WeakSupervision().run(silent, Signals(silent)), NotApplicable)
    assert labelled(voting({"a": ["x", "x"]})).codes.tolist() == [0, 0]
    assert labelled(voting({"a": ["x", "y", None]})).codes.tolist() == [0, 1, -1]
    plain = Dataset(pa.table({"x": [1.0]}), {Role.FEATURES: ["x"]})
    assert isinstance(WeakSupervision().applies(plain), NotApplicable)


def test_facts_of_soft_and_hard_sources_agree() -> None:
    matrix = np.random.default_rng(0).integers(-1, 2, (50, 4))
    soft = np.full((50, 4, 2), np.nan)
    soft[matrix >= 0] = np.eye(2)[matrix[matrix >= 0]]
    hard, softly = source_facts(from_matrix(matrix, 2)), source_facts(from_probs(soft))
    for name in hard:
        assert np.allclose(hard[name], softly[name])


def test_the_choice_on_real_rules() -> None:
    import pyarrow.parquet as pq

    folder = real("ws_youtube")
    votes = np.load(folder / "votes.npz")["votes"].astype(np.int64)
    truth = pq.read_table(folder / "texts.parquet").column("label").to_numpy()
    labels = labelled(voting({f"rule_{j}": votes[:, j].tolist() for j in range(votes.shape[1])}))
    known = ~labels.abstained
    assert (labels.codes[known] == truth[known]).mean() > 0.86
    assert labels.summary["dependent_pairs"] > 0
    assert any("err together" in sentence for sentence in labels.summary["why"])


def test_keeps_the_contract() -> None:
    check_method(WeakSupervision)
