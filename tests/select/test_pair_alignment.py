"""LAION-5B: the purity that is promised, the estimates behind it, order of rows, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.claims.select.pair_alignment import captioned, texts
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.pair_index import read_index
from dross.select.pair_alignment import PairAlignment, purities, share_of_wrong, threshold_for
from dross.testing import check_method
from dross.testing.planted import blobs


def test_contract() -> None:
    check_method(PairAlignment)


def test_purity_is_estimated_from_random_pairs() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(20_000) < 0.6
    scores = np.where(right, rng.normal(2.0, 1, 20_000), rng.normal(0, 1, 20_000))
    wrong = rng.normal(0, 1, 20_000)
    assert share_of_wrong(scores, wrong) == pytest.approx(0.4, abs=0.05)
    for purity in (0.7, 0.9, 0.97):
        kept = scores >= threshold_for(scores, wrong, purity)
        spread = 2 * np.sqrt((1 - purity) * kept.sum()) / kept.sum()  # of the wrong pairs kept, and of those expected
        assert purity - 2 * spread <= right[kept].mean() < purity + 0.05
    assert threshold_for(wrong[:5000], wrong[5000:], 0.9) == np.inf


def test_purities_are_the_formula() -> None:
    rng = np.random.default_rng(1)
    scores, wrong = rng.normal(1, 1, 40).round(1), rng.normal(0, 1, 60).round(1)
    share = share_of_wrong(scores, wrong)
    for score, found in zip(scores, purities(scores, wrong), strict=True):
        chance = min((1 + (wrong >= score).sum()) / 61, 1)
        assert found == pytest.approx(np.clip(1 - share * chance / (scores >= score).mean(), 0, 1))


@pytest.mark.parametrize("make", [texts, captioned])
def test_right_pairs_are_kept(make: Any) -> None:
    data, right = make(0)
    found = PairAlignment().run(data, Signals(data))
    assert isinstance(found, Selection)
    assert right[found.rows].mean() > 0.87 > 0.7 > right.mean()
    assert right[found.rows].sum() > 0.6 * right.sum()


def test_a_given_threshold_is_kept_to(tmp_path: Path) -> None:
    data, _ = texts(1)
    found = PairAlignment(threshold=0.3, folder=str(tmp_path / "i"), tags=("source",)).run(data, Signals(data))
    assert isinstance(found, Selection)
    index = read_index(tmp_path / "i")
    assert len(index) == len(data)
    kept = index.subset({"similarity": (0.3, None)})
    assert sorted(kept.column("row").to_pylist()) == sorted(found.rows.tolist())
    assert {"passage_language", "query_words", "source", "key"} <= set(index.tags)
    with pytest.raises(DrossError, match="something already"):
        PairAlignment(folder=str(tmp_path / "i")).run(data, Signals(data))


def test_the_order_of_the_rows_does_not_change_the_choice() -> None:
    data, _ = texts(2)
    turned = data.take(np.random.default_rng(0).permutation(len(data)))
    chosen = [each.row_ids[PairAlignment().run(each, Signals(each)).rows].tolist() for each in (data, turned)]  # type: ignore[union-attr]
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"purity": 1.0}, "purity"), ({"dimensions": 0}, "dimensions"), ({"tags": ("labell",)}, "did you mean 'label'")],
)
def test_bad_input(wrong: dict[str, Any], told: str) -> None:
    data = blobs(60).data
    with pytest.raises(DrossError, match=told):
        PairAlignment(**wrong).run(data, Signals(data))


def test_rows_that_are_no_pairs_or_too_few() -> None:
    plain = Dataset(pa.table({"t": ["x", "y"]}), {Role.TEXT: ["t"]})
    assert isinstance(PairAlignment().run(plain, Signals(plain)), NotApplicable)
    few = blobs(10).data
    assert isinstance(PairAlignment().run(few, Signals(few)), NotApplicable)
