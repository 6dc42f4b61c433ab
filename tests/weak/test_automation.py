"""Labelling automatically at a promised accuracy, and handing the rest to people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels
from dross.core.roles import Role
from dross.ledger import Ledger
from dross.models.label_models import fit
from dross.models.votes import from_matrix
from dross.review.desk import Desk
from dross.weak.automation import automatic, record
from tests.realdata import real


def answered(n: int = 400, known: int = 200, seed: int = 0) -> tuple[Dataset, Labels, np.ndarray]:
    """Half the rows are answered surely; the truth is known of some."""
    rng = np.random.default_rng(seed)
    truth, sure = rng.integers(0, 2, n), rng.random(n) < 0.5
    p = np.where(sure, 0.99, 0.6)
    said = np.where(rng.random(n) < p, truth, 1 - truth)
    probs = np.where(said[:, None] == 1, np.stack([1 - p, p], 1), np.stack([p, 1 - p], 1)).astype(np.float32)
    names = np.array(["ham", "spam"])
    given = [str(names[t]) if i < known else None for i, t in enumerate(truth)]
    table = pa.table({"text": [f"row {i}" for i in range(n)], "y": pa.array(given, pa.string())})
    return Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["y"]}), Labels(["ham", "spam"], probs), truth


def test_every_row_without_a_label_is_labelled_or_for_people() -> None:
    data, labels, truth = answered()
    labels.probs[250] = np.nan
    done = automatic(data, labels, accuracy=0.95)
    assert np.array_equal(np.sort(np.concatenate([done.rows, done.review])), np.arange(200, 400))
    assert (labels.codes[done.rows] == truth[done.rows]).mean() > 0.95
    assert 250 in done.review
    assert done.sets[250].all()
    assert done.summary["automatic"] == len(done.rows) > 60


def test_a_label_that_nobody_gave_is_never_automatic() -> None:
    data, labels, _ = answered()
    odd = Labels(["ham", "eggs"], labels.probs)
    done = automatic(data, odd, accuracy=0.9)
    assert (odd.codes[done.rows] == 0).all()


def test_rows_shown_as_examples_do_not_judge() -> None:
    data, labels, _ = answered()
    done = automatic(data, labels, shown=np.arange(100))
    assert done.summary["calibration_rows"] == 100


@pytest.mark.parametrize(
    ("accuracy", "known", "said"),
    [(1.0, 200, "cannot be promised"), (0.95, 400, "every row has a label"), (0.95, 5, "too few"), (0.95, 0, "judge")],
)
def test_what_cannot_be_promised_is_said(accuracy: float, known: int, said: str) -> None:
    data, labels, _ = answered(known=known)
    with pytest.raises(DrossError, match=said):
        automatic(data, labels, accuracy=accuracy)


def test_automatic_labels_are_edits_and_the_rest_waits_for_people(tmp_path: Path) -> None:
    data, labels, _ = answered()
    done = automatic(data, labels)
    with Ledger.open(tmp_path, create=True) as ledger:
        kept = record(ledger, data, done)
        assert kept.version is not None
        now = ledger.version(kept.version)
        assert (now.codes >= 0).sum() == 200 + len(done.rows)
        assert [now.classes[c] for c in now.codes[done.rows]] == [labels.classes[c] for c in labels.codes[done.rows]]
        ledger.undo(version=kept.version)
        assert np.array_equal(ledger.current().codes, data.codes)
    desk = Desk.open(tmp_path)
    try:
        assert desk.heading("label").findings == len(done.review)
        row = desk.next("label")
        assert row in done.review
        assert desk.item("label", int(row)).card.suggested in ("ham", "spam")
        desk.decide("label", [int(row)], "accept", author="ada")
        assert desk.heading("label").decided == 1
    finally:
        desk.close()


@pytest.mark.data
def test_the_promise_holds_over_200_splits_of_real_rules() -> None:
    """Rules of ws_youtube and ws_sms_rules, a random fifth of the labels given: few automatic labels are wrong."""
    for name in ("ws_youtube", "ws_sms_rules"):
        votes = np.load(real(name) / "votes.npz")["votes"]
        truth = pq.read_table(real(name) / "texts.parquet").column("label").to_numpy()
        seen = (votes >= 0).any(axis=1)
        belief, truth = fit("auto", from_matrix(votes[seen], 2)), truth[seen]
        labels = Labels(["0", "1"], belief.probs.astype(np.float32))
        wrong = []
        for seed in range(200):
            given = np.random.default_rng(seed).random(len(truth)) < 0.2
            column = pa.array(truth.astype(str), mask=~given)
            done = automatic(Dataset(pa.table({"y": column}), {Role.LABEL: ["y"]}), labels, accuracy=0.95)
            wrong.append((labels.codes[done.rows] != truth[done.rows]).mean() if len(done.rows) else 0.0)
        assert np.mean(wrong) <= 0.05 + 2 * np.std(wrong) / np.sqrt(200)
