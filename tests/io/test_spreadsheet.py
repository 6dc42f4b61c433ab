from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.io.spreadsheet import dangerous, inert


def column(*cells: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(cells, pa.large_string())])


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1", " =1", "\t=1", "\r=1", "\n\n=1", "\x00=1", "\ufeff=2", "\xa0=1", "＝1+1",
        "=cmd|' /C calc'!A0", '+HYPERLINK("http://x")', "-2+3+cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0",
        '+ HYPERLINK ("x")', '-1 +WEBSERVICE("x")', "＋HYPERLINK(1)", "+'[http://e.xls]S h'!A1", "-Sheet2!$A$1",
        "+cmd|'/C x'!'A1'", "-[b.xls]S!A1", "@importxml (1)",
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_run(cell: str) -> None:
    assert inert(column(cell, "a"))[0].to_pylist() == [f"'{cell}", "a"]


@pytest.mark.parametrize(
    "cell",
    [
        "-5", "-5.5e3", "+1 for this", "@user hi!", "- bullet", "- bullet (x)", "@user (lol)", "@user!hello",
        "+49 170 1234", "-a-", "a=b", "x =1", "--- title ---", "@a|b c", "- a | b", "-1 + 2", "", "+", "user@x.com",
        "+1! great", "- wow! a1", "'=1", "HYPERLINK(1)",
    ],
)  # fmt: skip
def test_what_is_left_alone(cell: str) -> None:
    assert inert(column(cell, None)) == (column(cell, None), 0)


@given(st.lists(st.none() | st.text(alphabet="=+-@a(|!1 '\t\n", max_size=8)))
def test_once_is_enough(cells: list[str | None]) -> None:
    made, count = inert(column(*cells))
    assert count == sum(a != b for a, b in zip(made.to_pylist(), cells, strict=True))
    assert not any(dangerous(made).to_pylist())
    assert [None if c is None else c.removeprefix("'") for c in made.to_pylist() if c] == [
        None if c is None else c.removeprefix("'") for c in cells if c
    ]
