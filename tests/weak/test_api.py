from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dross
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels
from dross.core.roles import Role
from dross.weak import label, labeling_function
from dross.weak.estimate import models
from tests.weak.made import TEXTS, messages

free = labeling_function(name="free")(lambda row: "spam" if "free" in row["text"].lower() else None)
short = labeling_function(name="short")(lambda row: "ham" if row["length"] < 10 else None)
loud = labeling_function(name="loud")(lambda row: {"spam": 0.75, "ham": 0.25} if "!" in row["text"] else None)


def test_labels_on_rows_with_a_vote() -> None:
    done = label(messages(), [free, short, loud], model="majority")
    assert done.labels.classes == ["ham", "spam"]
    assert done.labels.codes.tolist() == [1, 0, 1, -1, -1, 0]
    assert done.labels.confidence[2] == pytest.approx(0.875)  # one vote and three quarters of one, of two
    assert done.labels.summary["model"] == "majority"
    assert (done.labels.summary["labelled"], done.labels.summary["calibrated_on"]) == (4, 0)


@pytest.mark.parametrize("model", models())
def test_every_label_model_can_be_asked_for(model: str) -> None:
    done = label(messages(), [free, short, labeling_function(name="even")(lambda row: "ham")], model=model)
    assert done.labels.probs.shape == (6, 2)
    assert not done.labels.abstained.any()


def test_the_labeler_says_the_same_of_the_columns() -> None:
    from dross.core.signal import Signals
    from dross.label.weak_supervision import WeakSupervision

    done = label(messages(), [free, short])
    told = WeakSupervision().run(done.applied.data, Signals(done.applied.data))
    assert isinstance(told, Labels)
    assert told.classes == done.labels.classes
    np.testing.assert_array_equal(told.probs, done.labels.probs)


def test_labels_have_the_type_of_given_ones() -> None:
    table = pa.table({"x": [1, 2, 3, 4], "a": [1, 0, -1, 1], "y": [1, None, None, 0]})
    done = label(Dataset(table, {Role.VOTES: ["a"], Role.LABEL: ["y"]}), model="majority")
    assert done.labels.classes == [0, 1]
    assert done.labels.codes.tolist() == [1, 0, -1, 1]


@pytest.mark.parametrize(
    ("balance", "words"),
    [
        ({"ham": 0.9, "spam": 0.9}, "adds up to 1.8"),
        ({"ham": 1.5, "spam": -0.5}, "below 0"),
        ({"ham": 0.5, "eggs": 0.5}, "'eggs', for which no rule votes"),
        ({"ham": 1.0}, "leaves out 'spam'"),
    ],
)
def test_contradictory_class_balance(balance: dict[str, float], words: str) -> None:
    with pytest.raises(DrossError, match=words):
        label(messages(), [free, short], balance=balance)


def test_nobody_votes(tmp_path: Path) -> None:
    done = label(messages(), labeling_function(name="none")(lambda row: None))
    assert done.labels.abstained.all()
    assert done.analysis.covered == 0
    with pytest.raises(DrossError, match="no label to write"):
        done.write(tmp_path / "out.parquet")


def test_mistakes() -> None:
    with pytest.raises(DrossError, match="neither a rule nor a column of votes"):
        label(messages())
    with pytest.raises(DrossError, match="no label model 'magic'"):
        label(messages(), free, model="magic")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".arrow"])
def test_what_is_written(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "data.csv"
    source.write_text("text,length\n" + "".join(f'"{text}",{len(text)}\n' for text in TEXTS))
    done = label(dross.load(str(source), text="text"), [free, short, loud], model="majority")
    out = tmp_path / f"out{suffix}"
    done.write(out)
    back = dross.load(str(out), text="text").table
    assert back.column_names[:2] == ["text", "length"]
    assert back.column_names[2:] == ["dross_label", "dross_confidence", "dross_probs", "dross_votes"]
    assert back.column("dross_label").to_pylist() == ["spam", "ham", "spam", None, None, "ham"]
    with pytest.raises(DrossError, match="the file exists"):
        done.write(out)
    with pytest.raises(DrossError, match="never changes a source"):
        done.write(source, overwrite=True)
    done.write(out, overwrite=True)
    if suffix == ".parquet":
        table = pq.read_table(out)
        assert table.column("dross_probs").to_pylist()[2] == pytest.approx({"ham": 0.125, "spam": 0.875})
        assert table.column("dross_probs").to_pylist()[3] is None
        assert table.column("dross_votes").to_pylist()[2] == [
            {"source": "free", "label": "spam"},
            {"source": "loud", "label": "spam"},
        ]
        np.testing.assert_allclose(table.column("dross_confidence").to_pylist()[:3], [1, 1, 0.875])


def test_a_labelled_file_is_not_labelled_over(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    label(messages(), free).write(out)
    done = label(dross.load(str(out), text="text"), free)
    with pytest.raises(DrossError, match="a column 'dross_label' already"):
        done.write(tmp_path / "again.parquet")
