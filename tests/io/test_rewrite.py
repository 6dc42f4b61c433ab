from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dross
from dross.core.errors import DrossError
from dross.io import rewrite_csv
from dross.io.delimited import raw
from dross.io.rewrite import row_ends

MESSY = (
    b'\xef\xbb\xbfid,"price",note\r\n'
    b'007,1.50," spaced "\r\n'
    b'008,2.0,"two\r\nlines, and a ""quote"""\r\n'
    b"\r\n"
    b'009,"3",""\r\n'
    b"010,,last"
)


def rewritten(
    folder: Path, content: bytes, keep: list[bool], edits: dict[str, dict[int, str | None]], **more: bool
) -> bytes:
    (folder / "in.csv").write_bytes(content)
    rewrite_csv(str(folder / "in.csv"), np.array(keep, bool), edits, folder / "out.csv", overwrite=True, **more)
    return (folder / "out.csv").read_bytes()


def test_nothing_changed_is_the_same_file(tmp_path: Path) -> None:
    assert rewritten(tmp_path, MESSY, [True] * 4, {}) == MESSY


def test_rows_and_cells(tmp_path: Path) -> None:
    edits: dict[str, dict[int, str | None]] = {"note": {3: 'a "b", c', 0: "gone"}, "price": {1: None}}
    assert rewritten(tmp_path, MESSY, [False, True, True, True], edits) == (
        b'\xef\xbb\xbfid,"price",note\r\n008,,"two\r\nlines, and a ""quote"""\r\n009,"3",""\r\n010,,"a ""b"", c"\r\n'
    )
    assert rewritten(tmp_path, MESSY, [False] * 4, {}) == b'\xef\xbb\xbfid,"price",note\r\n'


def test_irregular_quotes_keep_the_text(tmp_path: Path) -> None:
    content = b'size,n\n5" nail,1.50\n6" nail,2\n"x"y,3\n'
    out = rewritten(tmp_path, content, [True, False, True], {"n": {0: "9"}})
    assert list(csv.reader(io.StringIO(out.decode()))) == [["size", "n"], ['5" nail', "9"], ["xy", "3"]]


def test_formulas_are_inert_unless_asked(tmp_path: Path) -> None:
    content = b'a,=b\n=1+1,"x"\n-5,@user hi\n'
    assert rewritten(tmp_path, content, [True, True], {}) == b"a,'=b\n'=1+1,x\n-5,@user hi\n"
    assert rewritten(tmp_path, content, [True, True], {}, verbatim=True) == content
    assert rewritten(tmp_path, content, [False, True], {}) == b"a,'=b\n-5,@user hi\n"
    path = tmp_path / "count.csv"
    assert rewrite_csv(str(tmp_path / "in.csv"), np.array([True, True]), {"a": {1: "=2"}}, path) == 3


def test_shards_become_one_file(tmp_path: Path) -> None:
    (tmp_path / "s-0.csv").write_text("a,b\n1,1.50")
    (tmp_path / "s-1.csv.gz").write_bytes(gzip.compress(b'a,b\n2,"x"\n3,y\n'))
    (tmp_path / "s-2.csv").write_text("b;a\nz;4\n")
    out = tmp_path / "whole.csv.gz"
    keep, source = np.array([True, True, True, True]), dross.load(str(tmp_path / "s-*")).source
    assert source is not None
    rewrite_csv(source, keep, {"b": {2: "w"}}, out)
    assert gzip.decompress(out.read_bytes()) == b'a,b\n1,1.50\n2,"x"\n3,w\n4,z\n'


def test_refusals(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a,b\n1,2\n")
    keep = np.array([True])
    with pytest.raises(DrossError, match="never changes a source"):
        rewrite_csv(str(path), keep, {}, path, overwrite=True)
    with pytest.raises(DrossError, match="did you mean 'a'"):
        rewrite_csv(str(path), keep, {"aa": {0: "x"}}, tmp_path / "out.csv")
    with pytest.raises(DrossError, match="row 1 of 1"):
        rewrite_csv(str(path), keep, {"a": {1: "x"}}, tmp_path / "out.csv")
    with pytest.raises(DrossError, match="no longer has 2 rows"):
        rewrite_csv(str(path), np.array([True, True]), {}, tmp_path / "out.csv")
    with pytest.raises(DrossError, match="no longer has 0 rows"):
        rewrite_csv(str(path), np.array([], bool), {}, tmp_path / "out.csv")
    with pytest.raises(DrossError, match="csv only as it was read"):
        rewrite_csv(str(path), keep, {}, tmp_path / "out.tsv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv"]


TEXT = st.text(alphabet='ab1.,;"\n\r\t é\x00=', max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8),
    data=st.data(),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_any_csv(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    data: st.DataObject,
    ending: str,
    quoting: int,
) -> None:
    """Kept rows are byte for byte the source's, edited cells hold the new text, all others their own."""
    folder = tmp_path_factory.mktemp("any")
    out = io.StringIO(newline="")
    bare = any("\r" in cell for row in rows for cell in row)  # a bare one ends a row for some readers
    writer = csv.writer(out, lineterminator=ending, quoting=csv.QUOTE_ALL if bare else quoting)  # type: ignore[arg-type]
    writer.writerows([("x", "y", "z"), *rows])
    content = out.getvalue().encode()
    n = len(rows)
    keep = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    edits = data.draw(st.dictionaries(st.sampled_from("xyz"), st.dictionaries(st.integers(0, n - 1), TEXT, max_size=2)))
    assert rewritten(folder, content, [True] * n, {}, verbatim=True) == content
    before = raw(folder / "in.csv", "csv").to_pylist()
    rewritten(folder, content, keep, edits, verbatim=True)  # type: ignore[arg-type]
    expected = [{**row, **{c: cells[i] for c, cells in edits.items() if i in cells}} for i, row in enumerate(before)]
    after = raw(folder / "out.csv", "csv").to_pylist() if any(keep) else []
    assert after == [row for row, kept in zip(expected, keep, strict=True) if kept]


@given(st.binary(max_size=30).map(lambda b: bytes(b'ab,"\n\r'[x % 6] for x in b)))
def test_row_ends_agree_with_the_reader(content: bytes) -> None:
    ends = row_ends(content, ",")
    if ends is not None and len(content):
        rows = [row for row in csv.reader(io.StringIO(content.decode(), newline=""), strict=True) if row]
        pieces = np.split(np.frombuffer(content, np.uint8), ends)
        if b"\r" not in content.replace(b"\r\n", b""):
            assert len(ends) == max(1, len(rows))
        assert b"".join(p.tobytes() for p in pieces) == content
