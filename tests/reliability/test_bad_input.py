"""Bad input: one line that says what is wrong, where and what to do; exit code 2; nothing written, nothing touched."""

from __future__ import annotations

import gzip
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dross.ledger import Ledger
from tests.reliability.made import left, table
from tests.reliability.running import Ran, run

T = table()
N = len(T)
THIRDS = np.full((N, 3), 1 / 3)


def csv(frame: pl.DataFrame = T) -> Callable[[], None]:
    return lambda: frame.write_csv("t.csv")


def raw(content: bytes | str, name: str = "t.csv") -> Callable[[], None]:
    return lambda: void(Path(name).write_bytes(content if isinstance(content, bytes) else content.encode()))


def void(_: object) -> None:
    """Nothing of it."""


def with_array(array: np.ndarray) -> Callable[[], None]:
    def make() -> None:
        T.write_csv("t.csv")
        np.save("p.npy", array)

    return make


def cut_parquet() -> None:
    T.write_parquet("t.parquet")
    whole = Path("t.parquet").read_bytes()
    Path("t.parquet").write_bytes(whole[: len(whole) // 2])


def garbled_parquet() -> None:
    T.write_parquet("t.parquet")
    bytes_ = bytearray(Path("t.parquet").read_bytes())
    bytes_[4:60] = b"\xff" * 56  # the header of the first page
    Path("t.parquet").write_bytes(bytes_)


def cut_gzip() -> None:
    whole = gzip.compress(table(5000).write_csv().encode())
    Path("t.csv.gz").write_bytes(whole[: len(whole) // 2])


def beside(name: str, content: str | None) -> Callable[[], None]:
    """The table and a file, or a folder, of the user's."""

    def make() -> None:
        T.write_csv("t.csv")
        Path(name).mkdir() if content is None else Path(name).write_text(content)

    return make


def newer() -> None:
    T.write_csv("t.csv")
    Ledger.open(".dross", create=True).close()
    with sqlite3.connect(".dross/ledger.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def damaged() -> None:
    T.write_csv("t.csv")
    Path(".dross").mkdir()
    Path(".dross/ledger.sqlite").write_text("no database " * 500)


def many(kind: str) -> Callable[[], None]:
    labels = pl.int_range(1_000_000, eager=True)
    return csv(pl.DataFrame({"x": np.arange(1_000_000) % 977 * 0.5, "y": labels.cast(pl.String) if kind else labels}))


AUDIT = ("audit", "t.csv", "--label", "y")
PROBS = (*AUDIT, "--pred-probs", "p.npy")
CASES: dict[str, tuple[Callable[[], None] | None, tuple[str, ...], str]] = {
    # what there is, the command, what the one line must say
    "missing file": (None, AUDIT, r"no such file or folder \(in t\.csv\)"),
    "misspelt file": (csv(), ("audit", "tt.csv"), r"no such file or folder \(in tt\.csv\)\. did you mean 't\.csv'\?"),
    "empty file": (raw(""), AUDIT, r"the file is empty \(in t\.csv\)\. name a file with"),
    "header only": (raw("x,y\n"), AUDIT, r"a header but no rows \(in t\.csv\)\. name a file with at least one row"),
    "no rows in Parquet": (
        lambda: T[:0].write_parquet("t.parquet"),
        ("audit", "t.parquet", "--label", "y"),
        r"no rows \(in t\.parquet\)",
    ),
    "missing column": (
        csv(),
        ("audit", "t.csv", "--label", "stars"),
        r"no column 'stars' \(in t\.csv\)\. choose one of: x0, x1, x2, x3, y",
    ),
    "misspelt column": (
        csv(T.rename({"y": "label"})),
        ("audit", "t.csv", "--label", "lable"),
        r"no column 'lable' \(in t\.csv\)\. did you mean 'label'\?",
    ),
    "all-null label": (
        csv(T.with_columns(y=pl.lit(None, pl.String))),
        AUDIT,
        r"every label is missing \(in column 'y' of t\.csv\)\. name another column",
    ),
    "one class": (
        csv(T.with_columns(y=pl.lit("a"))),
        AUDIT,
        r"every label is 'a', so there is nothing to learn \(in column 'y' of t\.csv\)\. name another .*--role label=",
    ),
    "one target": (
        csv(T.with_columns(y=pl.lit(2.5))),
        ("audit", "t.csv", "--target", "y"),
        r"every target is 2\.5, so there is nothing to learn \(in column 'y' of t\.csv\)",
    ),
    "one row": (csv(T[:1]), AUDIT, r"only one row to audit \(in t\.csv\)\. an audit compares rows"),
    "one row, unlabelled": (csv(T[:1].drop("y")), ("audit", "t.csv"), r"only one row to audit \(in t\.csv\)"),
    "probabilities that sum to two": (
        with_array(2 * THIRDS),
        PROBS,
        rf"row 0 sum to 2, not 1 \({N} such rows\) \(in pred_probs\)\. divide each row by its sum",
    ),
    "probabilities of another number of rows": (with_array(THIRDS[1:]), PROBS, rf"has {N - 1} rows where .* {N}\."),
    "probabilities of another number of classes": (
        with_array(np.full((N, 4), 0.25)),
        PROBS,
        r"4 columns of probabilities for 3 classes .* in this order: c0, c1, c2",
    ),
    "negative probabilities": (
        with_array(np.tile([1.5, -0.5, 0.0], (N, 1))),
        PROBS,
        r"row 0 holds a probability outside 0 to 1 .* a softmax",
    ),
    "probabilities that are not numbers": (with_array(THIRDS * np.nan), PROBS, r"a NaN or infinity in row 0"),
    "probabilities that are one column": (with_array(THIRDS[:, 0]), PROBS, r"must be a matrix .* \(in p\.npy\)"),
    "probabilities in no such file": (csv(), PROBS, r"no such file or folder \(in p\.npy\)"),
    "probabilities in no such column": (
        csv(),
        (*AUDIT, "--pred-probs", "x5"),
        r"'x5' is neither a column nor a \.npy, \.npz, \.parquet or \.csv file\. choose one of: x0",
    ),
    "probabilities whose columns name other classes": (
        lambda: [csv()(), pl.DataFrame(THIRDS, schema=["c0", "c1", "d"], orient="row").write_csv("p.csv")],  # type: ignore[func-returns-value]
        (*AUDIT, "--pred-probs", "p.csv"),
        r"no column of probabilities is called 'c2', as a label is \(1 such labels\) \(in pred_probs\)\.",
    ),
    "probabilities in another kind of file": (
        lambda: [csv()(), raw("junk", "p.npy")()],  # type: ignore[func-returns-value,dict-item]
        PROBS,
        r"the file cannot be read: it is no array of numbers \(in p\.npy\)\. save it with numpy\.save",
    ),
    "embedding of another number of rows": (
        with_array(THIRDS[1:]),
        (*AUDIT, "--embedding", "p.npy"),
        rf"embedding has {N - 1} rows where the data has {N}",
    ),
    "embedding too large for its type": (
        with_array(THIRDS * 1e300),
        (*AUDIT, "--embedding", "p.npy"),
        r"embedding holds a NaN or infinity in row 0",
    ),
    "duplicate ids": (
        csv(T.with_columns(id=pl.int_range(N) % (N - 1))),
        (*AUDIT, "--id", "id"),
        rf"the id 0 stands on more than one row .*\(in column 'id', row {N - 1}\)\. make the ids unique",
    ),
    "broken Parquet": (raw(b"PAR1" + b"junk" * 99, "t.parquet"), ("audit", "t.parquet"), r"\(in t\.parquet\)\. check"),
    "half-written Parquet": (cut_parquet, ("audit", "t.parquet"), r"cannot be read: .*\(in t\.parquet\)\. check that"),
    "garbled Parquet": (garbled_parquet, ("audit", "t.parquet"), r"cannot be read: .*\(in t\.parquet\)\. check that"),
    "half-written gzip": (cut_gzip, ("audit", "t.csv.gz"), r"cut short: its end is missing \(in t\.csv\.gz\)\. check"),
    "no gzip": (raw("x,y\n1,2\n", "t.csv.gz"), ("audit", "t.csv.gz"), r"cannot be read: .*\(in t\.csv\.gz\)\. check"),
    "a million labels": (
        many("text"),
        AUDIT,
        r"1,000,000 different labels for 1,000,000 rows, .* \(in column 'y' of t\.csv\)\. name another column",
    ),
    "a million whole numbers": (many(""), AUDIT, r"1,000,000 different labels .* or load with target=y"),
    "UTF-16": (raw("x,y\n1,a\n2,b\n".encode("utf-16")), AUDIT, r"the file is UTF-16 \(in t\.csv\)\. save it as UTF-8"),
    "Latin-1": (raw("x,y\n1,ä\n".encode("latin-1")), AUDIT, r"not UTF-8: byte 0xe4 in line 2 \(in t\.csv\)\. save it"),
    "ragged rows": (raw("x,y\n1,a\n2,b,c\n"), AUDIT, r"row 3, .* has 3 cells instead of 2 \(in t\.csv\)\. quote cells"),
    "a column twice": (raw("x,x,y\n1,2,a\n"), AUDIT, r"two columns are called 'x' \(in t\.csv\)\. give every column"),
    "another suffix": (raw("x", "t.doc"), ("audit", "t.doc"), r"'\.doc' names no format dross reads \(in t\.doc\)\."),
    "a folder without data": (beside("empty", None), ("audit", "empty"), r"no readable file here \(in empty\)\. dross"),
    "a glob without matches": (
        csv(),
        ("audit", "*.parquet"),
        r"no readable file here \(in \*\.parquet\)\. dross reads",
    ),
    "an address": (None, ("audit", "https://example.org/t.csv"), r"on this machine .*download it first"),
    "a label that is also text": (
        csv(),
        (*AUDIT, "--text", "y"),
        r"'y' is given both as label and as text \(in t\.csv",
    ),
    "a label that is also the id": (csv(), (*AUDIT, "--id", "y"), r"'y' is given both as label and as id \(in t\.csv"),
    "two labels": (csv(), ("audit", "t.csv", "--role", "label=x0,y"), r"the role label takes one column, not 2: x0, y"),
    "a label given twice": (csv(), (*AUDIT, "--role", "label=x0"), r"the role label is given twice"),
    "a target of texts": (csv(), ("audit", "t.csv", "--target", "y"), r"no numbers, for example 'c\d' .*use label="),
    "images of numbers": (
        csv(),
        (*AUDIT, "--image", "x0"),
        r"the column 'x0' holds double, not images\. name a column",
    ),
    "--fdr 2": (csv(), (*AUDIT, "--fdr", "2"), r"fdr must be a number between 0 and 1, not 2\.0\. 0\.1 means"),
    "--fdr 0": (csv(), (*AUDIT, "--fdr", "0"), r"fdr must be a number between 0 and 1, not 0\.0"),
    "--fdr nan": (csv(), (*AUDIT, "--fdr", "nan"), r"fdr must be a number between 0 and 1, not nan"),
    "--seed -1": (csv(), (*AUDIT, "--seed", "-1"), r"the seed must be a whole number from 0 on, not -1"),
    "--only nonsense": (csv(), (*AUDIT, "--only", "nonsense"), r"no method is called 'nonsense'\. choose one of: "),
    "--only misspelt": (csv(), (*AUDIT, "--only", "knn-shaply"), r"'knn-shaply'\. did you mean 'knn-shapley'\?"),
    "--only nothing": (csv(), (*AUDIT, "--only", ","), r"no method is called ''"),
    "--role nonsense=x": (
        csv(),
        (*AUDIT, "--role", "nonsense=x0"),
        r"no role is called 'nonsense'\. choose one of: id",
    ),
    "--role misspelt": (
        csv(),
        (*AUDIT, "--role", "fetures=x0"),
        r"no role is called 'fetures'\. did you mean 'features'",
    ),
    "--role without a column": (
        csv(),
        (*AUDIT, "--role", "features"),
        r"no column is named\. write --role features=CO",
    ),
    "--role with no such column": (csv(), (*AUDIT, "--role", "features=x0,z"), r"no column 'z' \(in t\.csv\)\. choose"),
    "--fail-on nonsense:0.1": (csv(), (*AUDIT, "--fail-on", "nonsense:0.1"), r"no issue is called 'nonsense'\. choose"),
    "--fail-on label:x": (
        csv(),
        (*AUDIT, "--fail-on", "label:x"),
        r"'x' is not a share\. write for example label:0\.05",
    ),
    "--fail-on label": (csv(), (*AUDIT, "--fail-on", "label"), r"'' is not a share\. write for example label:0\.05"),
    "--fail-on label:5": (csv(), (*AUDIT, "--fail-on", "label:5"), r"a share lies between 0 and 1\. write for example"),
    "a report over a file of the user": (
        beside("notes.html", "my notes"),
        (*AUDIT, "--report", "notes.html"),
        r"exists and is no dross report \(in notes\.html\)\. choose another name",
    ),
    "a report over the data": (csv(), (*AUDIT, "--report", "t.csv"), r"exists and is no dross report \(in t\.csv\)"),
    "a report over a folder": (
        beside("r", None),
        (*AUDIT, "--report", "r"),
        r"this is a folder \(in r\)\. name a file",
    ),
    "a report below a file": (
        csv(),
        (*AUDIT, "--report", "t.csv/r.html"),
        r"this is a file, .*t\.csv\)\. name a folder",
    ),
    "a workspace that is a file": (beside("w", "mine"), (*AUDIT, "--workspace", "w"), r"this is a file, .*w\)\. name"),
    "a workspace of a newer version": (
        newer,
        AUDIT,
        r"written by a newer dross \(format 99; .*\) \(in \.dross\)\. upgrade with pip .* or name another folder",
    ),
    "a damaged workspace": (damaged, AUDIT, r"its ledger\.sqlite is damaged \(in \.dross\)\. put back a copy"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, command, says = CASES[case]
    monkeypatch.chdir(tmp_path)
    if make is not None:
        make()
    before = state(tmp_path)
    done = run(*command)
    assert done.code == 2, done
    assert done.out == ""
    assert problem(done, says), f"{says}\n{done.err}"
    assert state(tmp_path) == before, "something was written, or the input was touched"


def problem(done: Ran, says: str) -> bool:
    """Whether the last line of standard error, and only that one, is the problem in the words wanted."""
    *others, last = done.err.splitlines()
    roles = [line for line in others if line.startswith("  ") or re.fullmatch(r"[\d,]+ rows?, \S+", line)]
    return others == roles and last.startswith("dross: ") and re.search(says, last) is not None


def state(folder: Path) -> dict[str, bytes]:
    """What a folder holds; SQLite may leave empty logs beside a database that it has only read."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.endswith(("-wal", "-shm"))
    }


@pytest.mark.parametrize("wrong", [("--fdr", "x"), ("--nonsense",), ("--seed", "1.5"), ("more",)])
def test_what_the_command_line_does_not_know(
    wrong: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    csv()()
    done = run(*AUDIT, *wrong)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert wrong[0] in done.err
    assert left(tmp_path) == {"t.csv"}
