"""Budget, order, mixture and split: what they keep, and what they refuse."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.core.step import RANK, Rows
from dross.curate.budget import Budget
from dross.curate.domain_mixture import DomainMixture
from dross.curate.ordering import Ordering
from dross.curate.validation_split import ValidationSplit
from dross.testing import check_method

TEXTS = [f"this is text number {i} {'x' * i}" for i in range(40)]


@pytest.mark.parametrize("kind", [Budget, DomainMixture, Ordering, ValidationSplit])
def test_contract(kind: type) -> None:
    check_method(kind)


def rows(**columns: list[object]) -> Rows:
    return Rows(pa.table({"text": TEXTS, **columns}), "text")


def test_budgets() -> None:
    scores = [float(i % 7) for i in range(40)]
    best, counts = Budget(rows=6, by="highest s").over(rows(s=scores), None)
    assert best.addresses.tolist() == [5, 6, 13, 20, 27, 34]
    assert counts["over_budget"] == 34
    size, _ = Budget(characters=200, by="shortest").over(rows(), None)
    assert size.addresses.tolist() == list(range(len(size)))
    assert sum(map(len, TEXTS[: len(size)])) <= 200 < sum(map(len, TEXTS[: len(size) + 1]))
    one, other = (Budget(share=0.5, seed=seed).over(rows(), None)[0].addresses.tolist() for seed in (1, 2))
    assert len(one) == len(other) == 20 != len(set(one) & set(other))


@pytest.mark.parametrize("given", [{}, {"rows": 5, "share": 0.5}, {"share": 1.5}])
def test_budgets_that_are_none(given: dict[str, float], tmp_path: object) -> None:
    with pytest.raises(DrossError, match="not one budget"):
        Budget(**given).prepare(tmp_path)  # type: ignore[arg-type]


def test_orders() -> None:
    numbers = np.random.default_rng(0).permutation(40).astype(float)
    ranked, _ = Ordering(by="lowest s", folds=3).over(rows(s=numbers.tolist()), None)
    order = numbers[np.argsort(ranked.numbers(RANK))]
    assert order.tolist() == [*range(0, 40, 3), *range(1, 40, 3), *range(2, 40, 3)]
    for given in ({"folds": 0}, {"by": "best"}):
        with pytest.raises(DrossError):
            Ordering(**given)


def test_mixtures() -> None:
    domains = ["a"] * 30 + ["b"] * 9 + ["c"]
    left, counts = DomainMixture(shares=("a=0.5", "b=0.5")).over(rows(domain=domains), None)
    found = left.strings("domain").to_pylist()
    assert found.count("b") == 9
    assert counts["domain_not_asked_for"] == 1
    size = {
        name: sum(len(t) for t, d in zip(left.text().to_pylist(), found, strict=True) if d == name) for name in "ab"
    }
    assert 0.8 * size["b"] < size["a"] <= size["b"]
    with pytest.raises(DrossError, match="no row is of the domain 'z'"):
        DomainMixture(shares=("a=0.5", "z=0.5")).over(rows(domain=domains), None)


@pytest.mark.parametrize("shares", [(), ("a=0.5",), ("a",), ("a=x", "b=1"), ("a=2", "b=-1")])
def test_shares_that_are_none(shares: tuple[str, ...]) -> None:
    with pytest.raises(DrossError, match="share"):
        DomainMixture(shares=shares).parsed()


def test_groups_are_not_parted() -> None:
    groups = [str(i // 4) for i in range(40)]
    left, _ = ValidationSplit(share=0.4, group="g", similarity=0.99).over(rows(g=groups), None)
    sides = np.array(left.strings("split").to_pylist()).reshape(10, 4)
    assert (sides == sides[:, :1]).all()
    assert len(set(sides[:, 0])) == 2
    with pytest.raises(DrossError, match="share for validation"):
        ValidationSplit(share=0.0)
