"""POINTS: what is kept, references, short texts, soups, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.claims.select.points import mixed
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.ngram_language_model import fit
from dross.select.points import Points, least_perplexing
from dross.testing import check_method


def test_contract() -> None:
    check_method(Points)


def test_the_lowest_are_those_of_sorting() -> None:
    values = np.random.default_rng(0).random(57)
    assert least_perplexing(values, 0.25).tolist() == sorted(range(57), key=lambda i: values[i])[:14]


def test_real_text_is_kept_in_the_order_of_its_perplexity() -> None:
    data, kind = mixed(0)
    found = Points().run(data, Signals(data))
    assert isinstance(found, Selection)
    assert len(found) == 200
    assert (kind[found.rows] == 0).mean() > 0.85 > 2 * (kind[:1000] == 0).mean()
    texts = data.column(Role.TEXT).combine_chunks().cast(pa.large_string())
    perplexities = fit(texts.slice(1000), order=3).perplexity(texts.take(pa.array(found.rows)))
    assert (np.diff(perplexities) >= 0).all()
    assert found.rows.max() < 1000


def test_the_order_of_the_rows_does_not_change_the_choice() -> None:
    data, _ = mixed(1)
    turned = data.take(np.random.default_rng(0).permutation(len(data)))
    chosen = [each.row_ids[Points().run(each, Signals(each)).rows].tolist() for each in (data, turned)]  # type: ignore[union-attr]
    assert chosen[0] == chosen[1]


def test_a_reference_file_and_texts_too_short(tmp_path: Path) -> None:
    path = tmp_path / "good.csv"
    path.write_text("text\n" + "\n".join(f"the red fox sees the blue hen number {i}" for i in range(20)))
    texts = ["the red fox sees the blue hen", "hen blue the sees fox red the", "the", "", None]
    data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    found = Points(share=0.5, reference=str(path)).run(data, Signals(data))
    assert isinstance(found, Selection)
    assert found.rows.tolist() == [0]
    assert found.summary["too_short"] == 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"share": 0.0}, "share"),
        ({"order": 9}, "order"),
        ({"target": "nope"}, "nope"),
        ({"least_words": -1}, "least_words"),
    ],
)
def test_bad_input(wrong: dict[str, Any], told: str) -> None:
    data, _ = mixed(0)
    with pytest.raises(DrossError, match=told):
        Points(**wrong).run(data, Signals(data))


def test_without_a_reference_it_does_not_apply() -> None:
    data = Dataset(pa.table({"text": ["a b c", "d"]}), {Role.TEXT: ["text"]})
    assert isinstance(Points().run(data, Signals(data)), NotApplicable)
