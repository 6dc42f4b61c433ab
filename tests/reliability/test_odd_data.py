"""Odd data that is no mistake: every method copes or says why it does not apply, and no warning escapes.

The tests turn every warning of NumPy, Polars, pyarrow and scikit-learn into an error.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dross
from dross.testing.planted import WORDS, sentence
from tests.reliability.made import left, table
from tests.reliability.running import run

N = 120
T = table(N)
I = pl.int_range(N)


def every(step: int, odd: pl.Expr, column: str = "x0") -> pl.Expr:
    """The column with every ``step``-th value replaced."""
    return pl.when(step > I % (2 * step)).then(pl.col(column)).otherwise(odd).alias(column)


TABLES: dict[str, pl.DataFrame] = {
    "a constant, an empty and an all-NaN column": T.with_columns(
        a=pl.lit(1.5), b=pl.lit(None, pl.Float64), c=pl.lit(float("nan")), d=pl.lit(""), e=pl.lit(None, pl.String)
    ),
    "missing values": T.with_columns(every(2, pl.lit(None)), every(3, pl.lit(float("nan")), "x1")),
    "infinities": T.with_columns(every(9, pl.lit(float("inf"))), every(7, pl.lit(float("-inf")), "x1")),
    "huge and tiny values": T.with_columns(
        pl.col("x0") * 1e300, pl.col("x1") * 1e-300, every(50, pl.lit(1e308), "x2"), big=I * 10**15
    ),
    "several types": T.with_columns(
        every(9, pl.lit("abc")).cast(pl.String),
        truth=I % 2 == 0,
        day=pl.date(2024, 1, 1) + pl.duration(days=I),
        colour=pl.Series(["red", "green", None] * (N // 3)),
    ),
    "tiny classes": T.with_columns(y=pl.when(I < 1).then(pl.lit("r")).when(I < 3).then(pl.lit("s")).otherwise("y")),
    "many classes": T.with_columns(y=(I // 2).cast(pl.String)),
    "missing labels": T.with_columns(every(2, pl.lit(None), "y")),
    "labels that are truth values": T.with_columns(y=pl.col("x0") > 0),
    "equal rows": T.with_columns(pl.lit(1.5).alias(name) for name in ("x0", "x1", "x2", "x3")),
    "one column": T.select("x1", "y"),
    "labels alone": T.select("y"),
    "a split of one row": T.with_columns(split=pl.when(I == 0).then(pl.lit("test")).otherwise(pl.lit("train"))),
    "a huge target": T.with_columns(y=pl.col("x0") * 1e300),
    "a target with gaps": T.with_columns(y=pl.when(I % 5 == 0).then(None).otherwise(pl.col("x0") * 2)),
    "two rows": T[:2].with_columns(y=pl.Series(["a", "b"])),
    "five rows": T[:5],
}


def audited(frame: pl.DataFrame, folder: Path, **roles: object) -> dross.Audit:
    """The whole audit and its report: no method fails, in calibration neither."""
    found = dross.audit(frame, label="y", **roles)
    assert found.failed == {}
    assert [one["note"] for one in found.run["issues"].values() if "could not score" in one["note"]] == []
    json.dumps(found.run, allow_nan=False)
    assert found.findings().height == sum(one["findings"] for one in found.run["issues"].values())
    assert found.report(folder / "r.html").stat().st_size < 3_000_000
    return found


@pytest.mark.parametrize("case", list(TABLES))
def test_tables(case: str, tmp_path: Path) -> None:
    audited(TABLES[case], tmp_path)


def texts(n: int = N) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, n)
    words = (WORDS[:12], WORDS[10:22], WORDS[20:])
    return pl.DataFrame({"text": [sentence(rng, 14, words[c]) for c in codes], "y": [f"c{c}" for c in codes]})


D = texts()
TEXTS: dict[str, pl.DataFrame] = {
    "missing and empty texts": D.with_columns(every(2, pl.lit(None), "text")).with_columns(
        every(3, pl.lit(" "), "text")
    ),
    "no text at all": D.with_columns(text=pl.lit(None, pl.String)),
    "the same text": D.with_columns(text=pl.lit("the same text in every row")),
    "marks and numbers": D.with_columns(
        text=pl.when(I % 2 == 0).then(pl.lit("!?! ... ;-)")).otherwise(I.cast(pl.String))
    ),
    "other scripts": D.with_columns(text=pl.format("我喜欢这本书因为它很好看 {} 😀 مرحبا", I)),
    "one word of a million letters": D.with_columns(
        text=pl.when(I < 2).then(pl.lit("x" * 1_000_000)).otherwise("text")
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_texts(case: str, tmp_path: Path) -> None:
    audited(TEXTS[case], tmp_path, text="text")


def test_cells_of_a_megabyte_are_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured in processor time, beside the same texts of ordinary length."""
    monkeypatch.chdir(tmp_path)
    spent = {}
    for name, times in (("short", 1), ("long", 12_000)):
        longer = D.with_columns(text=pl.Series([(t + " ") * (times if i < 5 else 1) for i, t in enumerate(D["text"])]))
        longer.write_csv(f"{name}.csv")
        started = time.process_time()
        done = run("audit", f"{name}.csv", "--label", "y", "--text", "text", "--workspace", name)
        spent[name] = time.process_time() - started
        assert done.code == 0, done.err
        assert (tmp_path / name / "report.html").stat().st_size < 1_000_000
    assert (tmp_path / "long.csv").stat().st_size > 5_000_000
    assert spent["long"] < spent["short"] + 10
    assert len(run("findings", "--workspace", "long").out) < 200_000


def test_images_that_do_not_decode_are_found_as_malformed(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for c, light in (("cat", 120), ("dog", 40)):
        (tmp_path / "photos" / c).mkdir(parents=True)
        for i in range(25):
            pixels = (rng.integers(0, 60, (24, 24, 3)) + light).astype(np.uint8)
            image.fromarray(pixels).save(tmp_path / "photos" / c / f"{i:02}.png")
    broken = {
        "cat/00.png": b"no picture",
        "dog/01.png": b"",
        "dog/02.png": (tmp_path / "photos/dog/02.png").read_bytes()[:90],
    }
    for name, content in broken.items():
        (tmp_path / "photos" / name).write_bytes(content)
    before = left(tmp_path / "photos")
    done = run("audit", tmp_path / "photos", "--json")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["issues"]["form"]["flagged"] == 3
    found = dross.Ledger.open(tmp_path / ".dross").findings(issue="form", flagged=True)
    files = dross.load(tmp_path / "photos").table.column("file").to_pylist()
    assert {files[row] for row in found.column("row").to_pylist()} == set(broken)
    assert left(tmp_path / "photos") == before


def test_not_one_image_decodes(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    for i in range(30):
        file = tmp_path / "photos" / f"c{i % 2}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"no picture {i}".encode())
    found = dross.audit(tmp_path / "photos")
    assert found.failed == {}
    assert found.run["issues"]["form"]["flagged"] == 30
