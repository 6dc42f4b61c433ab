"""Labelling instructions: precision and choice against slow forms, the sheet is inert, bad input."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from dross.claims.label.labeling_instructions import digits_partly_labelled
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.labeling_instructions import LabelingInstructions, average_precision, choose, telling_words
from dross.testing import check_method
from dross.testing.planted import blobs, sentence


@settings(max_examples=50)
@given(st.integers(2, 30), st.integers(0, 10_000))
def test_average_precision_equals_scikit_learn(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, relevant = rng.permutation(n).astype(float), rng.random(n) < 0.4
    relevant[rng.integers(n)] = True
    assert average_precision(scores[None], relevant)[0] == pytest.approx(average_precision_score(relevant, scores))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_choice_is_no_worse_than_any_swap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = 6, 25
    similarity, relevant = rng.random((m, n)), rng.random(n) < 0.4
    relevant[:m] = True

    def slow(chosen: tuple[int, ...]) -> float:
        rest = [i for i in range(n) if i not in chosen]
        pooled = similarity[list(chosen)].max(axis=0)
        return float(average_precision_score(relevant[rest], pooled[rest]))

    chosen, reached = choose(similarity, np.arange(m), relevant, 2)
    assert reached == pytest.approx(slow(tuple(chosen)))
    assert reached >= max(slow((i,)) for i in range(m)) - 1e-5
    for i, other in itertools.product(range(len(chosen)), range(m)):
        if other not in chosen:
            assert slow((*chosen[:i], other, *chosen[i + 1 :])) <= reached + 1e-5


def test_proxy_annotator_is_right_and_deterministic() -> None:
    data, truth = digits_partly_labelled(0)
    signals = Signals(data)
    found = LabelingInstructions().run(data, signals)
    again = LabelingInstructions().run(data, signals)
    assert isinstance(found, Labels)
    assert isinstance(again, Labels)
    assert np.array_equal(found.probs, again.probs)
    assert (found.codes == truth)[900:].mean() > 0.85
    assert found.summary["mean_average_precision"] > 0.85
    assert all(1 <= len(rows) <= 5 for rows in found.summary["exemplars"].values())
    assert all((truth[rows] == int(c)).all() for c, rows in found.summary["exemplars"].items())
    assert all((truth[rows] != int(c)).all() for c, rows in found.summary["mistaken_for"].items())


def hostile() -> Dataset:
    rng = np.random.default_rng(0)
    texts = [f"<script>alert({i})</script> \u202e {'good' if i % 2 else 'bad'} {sentence(rng)}" for i in range(80)]
    labels = ["<img src=x onerror=alert(1)>" if i % 2 else "b" for i in range(80)]
    return Dataset(pa.table({"t": texts, "y": labels}), {Role.TEXT: ["t"], Role.LABEL: ["y"]})


def test_sheet_shows_texts_and_telling_words_inert(tmp_path: Path) -> None:
    data = hostile()
    path = tmp_path / "sheet.html"
    found = LabelingInstructions(sheet=str(path)).run(data, Signals(data))
    assert isinstance(found, Labels)
    page = path.read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    assert "<bdi>good</bdi>" in page
    with pytest.raises(DrossError, match="cannot be written"):
        LabelingInstructions(sheet=str(tmp_path / "none" / "sheet.html")).run(data, Signals(data))


def test_sheet_shows_pictures(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    data, _ = digits_partly_labelled(1)
    path = tmp_path / "sheet.html"
    LabelingInstructions(2, str(path)).run(data, Signals(data))
    assert path.read_text().count("data:image/png;base64,") >= 10


def test_words_of_all_classes_tell_nothing() -> None:
    texts = ["the red fox", "the red hen", "the blue fox", "the blue hen"] * 5
    assert telling_words(texts, np.array([0, 0, 1, 1] * 5), 2) == [["red"], ["blue"]]
    assert telling_words(["a"], np.array([0]), 2) == [[], []]


def test_what_does_not_apply_says_why() -> None:
    data = blobs(60, k=3).data
    few = data.slice(0, 5)
    assert isinstance(LabelingInstructions().run(few, Signals(few)), NotApplicable)
    with pytest.raises(DrossError, match="per_class"):
        LabelingInstructions(per_class=0).run(data, Signals(data))


def test_keeps_the_contract() -> None:
    check_method(LabelingInstructions)
