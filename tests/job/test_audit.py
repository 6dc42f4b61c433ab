"""``dross.audit``: what it takes, what it gives, and that it gives the same again."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import dross
from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.core.roles import Role
from dross.core.signal import Signal, Signals
from dross.job.audit import check_options
from dross.job.table import COLUMNS
from dross.ledger import Ledger
from dross.signals.embedding import Embedding
from dross.signals.probabilities import Probabilities
from dross.testing.planted import blobs, texts_with_copies
from tests.reliability.made import table

FEW = ("confident-learning", "exact-duplicates", "knn-outliers")
T = table(300)
X = T.select("x0", "x1", "x2", "x3").to_numpy()
Y = T["y"].to_list()


def of_path(folder: Path) -> dross.Audit:
    T.write_csv(folder / "t.csv")
    return dross.audit(folder / "t.csv", label="y", only=FEW)


def of_pandas(_: Path) -> dross.Audit:
    return dross.audit(pytest.importorskip("pandas").DataFrame(T.to_dict(as_series=False)), label="y", only=FEW)


SOURCES: dict[str, Callable[[Path], dross.Audit]] = {
    "path": of_path,
    "text path": lambda folder: dross.audit(str(of_path(folder).data.source.path), label="y", only=FEW),  # type: ignore[union-attr]
    "pandas": of_pandas,
    "polars": lambda _: dross.audit(T, label="y", only=FEW),
    "Arrow": lambda _: dross.audit(T.to_arrow(), label="y", only=FEW),
    "dict": lambda _: dross.audit(T.to_dict(as_series=False), label="y", only=FEW),
    "dataset": lambda _: dross.audit(dross.load(T, label="y"), only=FEW),
}


@pytest.fixture(scope="module")
def reference() -> dross.Audit:
    return dross.audit(T, label="y", only=FEW)


# ---- what it takes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_findings_whatever_the_rows_come_from(source: str, tmp_path: Path, reference: dross.Audit) -> None:
    found = SOURCES[source](tmp_path)
    assert found.findings().equals(reference.findings())
    assert found.run["fingerprint"] == reference.run["fingerprint"]
    assert (found.workspace is None) == (source not in {"path", "text path"})


def test_arrays() -> None:
    one, other = dross.audit(X, label=Y, only=FEW), dross.audit(X=X, label=np.array(Y), only=FEW)
    assert one.data.roles[Role.FEATURES] == ("X",)
    assert one.findings().equals(other.findings())
    assert one.run["issues"]["duplicate"]["findings"] == 5


def test_roles_belong_to_loading() -> None:
    with pytest.raises(DrossError, match="label cannot be given with a dataset, whose roles are settled"):
        dross.audit(dross.load(T, label="y"), label="y")
    with pytest.raises(DrossError, match=r"no role called 'lable'.*did you mean 'label'"):
        dross.audit(T, lable="y")
    with pytest.raises(DrossError, match="there is nothing to load"):
        dross.audit()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fdr": 0}, "fdr must be a number between 0 and 1, not 0"),
        ({"fdr": 1.0}, "fdr must be"),
        ({"fdr": float("nan")}, "fdr must be"),
        ({"seed": -1}, "the seed must be a whole number from 0 on, not -1"),
        ({"only": ["confident-lerning"]}, "no method is called 'confident-lerning'. did you mean 'confident-learning'"),
        ({"only": "knn-outliers"}, r"is one text. give a list: only=\['knn-outliers'\]"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DrossError, match=says):
        dross.audit("there is no such file", **options)


def test_methods_to_run() -> None:
    named = check_options(only=["knn_outliers", "exact-duplicates", "knn-outliers"])
    assert [detector.name() for detector in named] == ["knn-outliers", "exact-duplicates"]
    every = [detector.name() for detector in check_options()]
    assert every == sorted(every)
    assert set(FEW) <= set(every)


@pytest.mark.parametrize(
    ("frame", "roles", "says"),
    [
        (T[:1], {"label": "y"}, "there is only one row to audit"),
        (T.with_columns(y=pl.lit("a")), {"label": "y"}, "every label is 'a'"),
        (T.with_columns(y=pl.lit(7)), {"label": "y"}, "every label is 7"),
        (T.with_columns(y=pl.lit(2.0)), {"target": "y"}, "every target is 2.0"),
        (T.with_columns(i=pl.lit("a")), {"label": "y", "id": "i"}, "the id a stands on more than one row"),
    ],
)
def test_data_that_gives_nothing_to_learn(
    frame: pl.DataFrame, roles: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(DrossError, match=says):
        dross.audit(frame, workspace=tmp_path / "w", **roles)
    assert not (tmp_path / "w").exists()


def test_rows_without_any_label_or_target() -> None:
    nothing = dross.Dataset(pa.table({"x": [1.0, 2.0], "y": pa.nulls(2, pa.string())}), {Role.LABEL: ["y"]})
    with pytest.raises(DrossError, match="every label is missing, so there is nothing to learn"):
        dross.audit(nothing)
    no_rows = dross.Dataset(pa.table({"x": pa.array([], pa.float64())}), {Role.FEATURES: ["x"]})
    with pytest.raises(DrossError, match="there are no rows to audit"):
        dross.audit(no_rows)


# ---- what it gives --------------------------------------------------------------------------------------------------


def test_findings(reference: dross.Audit) -> None:
    every = reference.findings()
    assert tuple(every.columns) == COLUMNS
    assert [str(kind) for kind in every.dtypes] == [
        *("Int64", "String", "String", "Float32", "Boolean", "String", "String", "Float32")
    ]
    order = [str(issue) for issue in Issue]
    assert every["issue"].to_list() == sorted(every["issue"].to_list(), key=order.index)
    for issue in every["issue"].unique().to_list():
        part = reference.findings(issue)
        assert part["row"].to_list() == sorted(set(part["row"].to_list()))
        assert part.equals(every.filter(pl.col("issue") == issue))
        assert len(part) == reference.run["issues"][issue]["findings"]
        flagged = reference.findings(issue, flagged=True)
        assert flagged["flagged"].all()
        assert len(flagged) == reference.run["issues"][issue]["flagged"]
    keys = [f"{i:016x}" for i in reference.data.row_ids[every["row"].to_numpy()].tolist()]
    assert every["id"].to_list() == keys
    copies = reference.findings("duplicate")
    assert (copies["row"].to_list(), copies["suggestion"].to_list()) == (list(range(295, 300)), list("01234"))
    assert set(reference.findings("label")["suggestion"].unique()) <= {"c0", "c1", "c2"}


def test_findings_of_no_such_issue(reference: dross.Audit) -> None:
    with pytest.raises(DrossError, match=r"no issue is called 'lable'\. did you mean 'label'"):
        reference.findings("lable")
    none = reference.findings("drift")
    assert none.is_empty()
    assert tuple(none.columns) == COLUMNS


def test_no_findings_at_all_are_an_empty_frame_of_the_same_kind(reference: dross.Audit) -> None:
    nothing = dross.audit(blobs(60).data, only=["split-drift"])
    assert nothing.run["methods"]["split-drift"]["status"] == "not applicable"
    assert nothing.findings().schema == reference.findings().schema
    assert nothing.run["issues"] == {}


def test_the_summary_is_plain_json(reference: dross.Audit) -> None:
    assert json.loads(json.dumps(reference.run, allow_nan=False)) == reference.run
    assert reference.failed == {}


def test_defects_are_found_with_the_rates_promised() -> None:
    planted = blobs(800, flipped=0.1, spread=0.7, seed=3)
    found = dross.audit(planted.data, only=["confident-learning"], fdr=0.1)
    flagged = found.findings("label", flagged=True)["row"].to_numpy()
    right = np.isin(flagged, planted.rows).mean()
    assert right > 0.8
    assert np.isin(planted.rows, flagged).mean() > 0.7
    strict = dross.audit(planted.data, only=["confident-learning"], fdr=0.01)
    assert strict.run["issues"]["label"]["flagged"] <= len(flagged)


# ---- memory and workspace -------------------------------------------------------------------------------------------


def test_in_memory(reference: dross.Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    again = dross.audit(T, label="y", only=FEW)
    assert (again.workspace, again.run["run"]) == (None, None)
    assert again.report("r.html") == Path("r.html")
    for forbidden in (again.apply, lambda: again.ledger):
        with pytest.raises(DrossError, match=r"this audit is not recorded. give dross.audit\(…, workspace="):
            forbidden()
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_from_memory_into_a_workspace(tmp_path: Path) -> None:
    found = dross.audit(T, label="y", only=FEW, workspace=tmp_path / "w")
    assert found.run["run"] == "r1"
    assert found.ledger.findings().num_rows == len(found.findings())
    version = found.apply({"duplicate": "drop", "label": "relabel"})
    assert version is not None
    current = found.ledger.current()
    assert len(current) == 300 - found.run["issues"]["duplicate"]["flagged"]
    found.ledger.undo(everything=True)
    assert found.ledger.current().table.select(T.columns).equals(found.data.table.select(T.columns))


def test_what_is_recorded_is_what_was_found(tmp_path: Path) -> None:
    found = of_path(tmp_path)
    assert found.workspace == tmp_path / ".dross"
    assert pl.DataFrame(found.ledger.findings()).equals(
        found.findings().with_columns(pl.col("issue", "method").cast(pl.Categorical)), null_equal=True
    )
    assert Ledger.open(tmp_path / ".dross").run() == found.run


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        T.write_csv(tmp_path / "t.csv")
        found = dross.audit(tmp_path / "t.csv", label="y", workspace=tmp_path / name)
        run = {
            **found.run,
            "time": "",
            "signals": {},
            "methods": {k: v["status"] for k, v in found.run["methods"].items()},
        }
        files = {p.name: p.read_bytes() for p in (tmp_path / name / "runs" / "r1").glob("*.arrow")}
        signals = {
            str(p.relative_to(tmp_path / name)): p.read_bytes() for p in (tmp_path / name / "signals").rglob("*.npy")
        }
        written.append((run, files, signals))
    assert len(written[0][1]) > 5
    assert written[0] == written[1]


def test_another_seed_plants_other_defects(reference: dross.Audit) -> None:
    other = dross.audit(T, label="y", only=FEW, seed=1)
    assert other.run["seed"] == 1
    rows = other.findings("label").select("row", "suggestion")
    assert rows.equals(reference.findings("label").select("row", "suggestion"))
    assert other.run["issues"]["label"]["curve"] != reference.run["issues"]["label"]["curve"]


def test_shuffled_rows_are_found_by_their_ids(reference: dross.Audit) -> None:
    """The rows carry their ids along; which of them are suspicious hardly depends on their order."""
    order = np.random.default_rng(0).permutation(300)
    shuffled = dross.audit(T[order.tolist()], label="y", only=FEW)
    one = dict(reference.findings("label").select("id", "score").iter_rows())
    other = dict(shuffled.findings("label").select("id", "score").iter_rows())
    assert one.keys() == other.keys()
    assert np.corrcoef([one[i] for i in one], [other[i] for i in one])[0, 1] > 0.95


# ---- what is measured once ------------------------------------------------------------------------------------------


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each signal of an audited dataset was computed; not those of planted variants, kept in memory only."""
    counts: Counter[str] = Counter()
    obtain = Signals._obtain

    def counting(self: Signals, signal: Signal[Any]) -> Any:
        before = self.seconds.get(signal.title())
        value = obtain(self, signal)
        if self.store is not None and self.seconds.get(signal.title()) != before:
            counts[type(signal).__name__] += 1
        return value

    monkeypatch.setattr(Signals, "_obtain", counting)
    return counts


def test_a_second_audit_reads_the_signals_back(tmp_path: Path, computed: Counter[str]) -> None:
    T.write_csv(tmp_path / "t.csv")
    first = dross.audit(tmp_path / "t.csv", label="y")
    assert computed["Embedding"] == computed["Probabilities"] == computed["Neighbours"] == 1
    assert max(computed.values()) == 1, "each is measured once and shared by all methods"
    computed.clear()
    second = dross.audit(tmp_path / "t.csv", label="y")
    assert computed == Counter()
    assert set(second.run["signals"]) == {"calibration"}
    assert set(first.run["signals"]) > {"calibration", "embedding", "probabilities"}
    assert second.findings().equals(first.findings())


def test_the_same_rows_in_another_format_use_the_same_signals(tmp_path: Path, computed: Counter[str]) -> None:
    T.write_csv(tmp_path / "t.csv")
    T.write_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        dross.audit(tmp_path / name, label="y", only=FEW)
    assert set(computed.values()) == {1}


def test_an_edit_of_the_labels_does_not_measure_the_content_again(tmp_path: Path, computed: Counter[str]) -> None:
    dross.audit(T, label="y", workspace=tmp_path / "w")
    before = set(computed)
    computed.clear()
    edited = T.with_columns(y=pl.when(pl.int_range(300) < 9).then(pl.lit("c0")).otherwise("y"))
    dross.audit(edited, label="y", workspace=tmp_path / "w")
    assert "Probabilities" in computed, "they depend on the labels"
    assert not {"Embedding", "Neighbours", "ContentHash"} & set(computed)
    assert set(computed) < before


def test_an_edit_of_the_content_measures_it_again(tmp_path: Path, computed: Counter[str]) -> None:
    dross.audit(T, label="y", workspace=tmp_path / "w", only=FEW)
    computed.clear()
    dross.audit(T.with_columns(x0=pl.col("x0") + 1), label="y", workspace=tmp_path / "w", only=FEW)
    assert {"Embedding", "Probabilities", "ContentHash"} <= set(computed)


def test_what_was_measured_before_an_interruption_is_used(
    tmp_path: Path, computed: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Probabilities.compute

    def interrupted(self: Probabilities, data: dross.Dataset, signals: Signals) -> Any:
        signals[Embedding()]
        raise KeyboardInterrupt

    monkeypatch.setattr(Probabilities, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dross.audit(T, label="y", workspace=tmp_path / "w", only=FEW)
    assert computed["Embedding"] == 1
    assert "Probabilities" not in computed
    assert Ledger.open(tmp_path / "w").runs() == []
    monkeypatch.setattr(Probabilities, "compute", compute)
    found = dross.audit(T, label="y", workspace=tmp_path / "w", only=FEW)
    assert computed["Embedding"] == computed["Probabilities"] == 1
    shutil.rmtree(tmp_path / "w")
    assert dross.audit(T, label="y", workspace=tmp_path / "w", only=FEW).findings().equals(found.findings())


def test_batches_that_were_measured_are_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal of 50,000 rows is interrupted after two of its four batches."""
    from dross.signals.content_hash import ContentHash

    data = texts_with_copies(50_000, copies=10).data
    measured: list[int] = []
    measure = ContentHash.measure

    def stopping(self: ContentHash, batch: dross.Dataset, signals: Signals) -> Any:
        measured.append(len(batch))
        if len(measured) == 3:
            raise KeyboardInterrupt
        return measure(self, batch, signals)

    monkeypatch.setattr(ContentHash, "measure", stopping)
    with pytest.raises(KeyboardInterrupt):
        dross.audit(data, only=["exact-duplicates"], workspace=tmp_path / "w")
    measured[:] = [0] * 3
    found = dross.audit(data, only=["exact-duplicates"], workspace=tmp_path / "w")
    assert len(measured) - 3 - planted(measured[3:]) == 2
    assert found.run["issues"]["duplicate"]["findings"] == 10
    assert not list((tmp_path / "w" / "signals").glob("*.part"))


def planted(sizes: list[int]) -> int:
    """How many of the batches are the calibration's: planted rows, fewer than a batch."""
    return len([size for size in sizes if size < 50_000 % 16_384])


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    dross.audit(T, label="y", only=FEW, progress=lambda *step: told.append(step))
    names = [what for what, _, _ in told]
    assert {"embedding", "probabilities", "detect: knn-outliers"} <= set(names)
    assert all(0 <= done <= total for _, done, total in told)
