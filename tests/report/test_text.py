from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from dross.report.text import clipped, cut, differences, few_lines, interval, number, percent, plain, visible

ANY = st.text(st.characters(exclude_categories=()))  # lone surrogates too


@given(ANY)
@example("\u202e\x00\ud800\u2028\xad")
def test_visible_text_only_ever_shows(text: str) -> None:
    shown = visible(text)
    for c in shown:
        assert c in "\n\t\u200c\u200d\xa0" or c.isprintable()
        assert unicodedata.category(c) not in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} or c in "\n\t"
    shown.encode("utf-8")
    assert visible(shown) == shown


def test_visible_leaves_people_their_scripts() -> None:
    for text in ("שלום עולם", "می‌خواهم", "日本語", "👩‍👩‍👧 👍🏽 ❤️", "naïve café", "a\tb\nc"):
        assert visible(text) == text


@given(ANY, st.integers(1, 50), st.integers(1, 5))
def test_cut_text_says_how_much_there_was(text: str, limit: int, lines: int) -> None:
    short = cut(text, limit)
    assert (f"({len(text):,} characters)" in short) == (len(text) > limit) or "characters)" in text
    assert few_lines(text, lines).count("\n") < lines
    assert clipped(text, limit, lines)[:limit] is not None


@given(ANY, ANY)
def test_differences_keep_both_texts(left: str, right: str) -> None:
    a, b = differences(left, right)
    if len(left) < 200 and len(right) < 200:
        assert "".join(p.text for p in a) == left
        assert "".join(p.text for p in b) == right
    if left == right:
        assert not any(p.differs for p in a + b)


def test_differences_mark_words() -> None:
    a, b = differences("pay 10 euros now please", "pay 12 euros now please")
    assert [p.text for p in a if p.differs] == ["10"]
    assert [p.text for p in b if p.differs] == ["12"]
    assert not any(p.differs for p in differences("one two three", "four five six")[0])
    spaced = differences("a b c d", "a  b c d")
    assert any(p.differs for p in spaced[0] + spaced[1])  # spaces are marked where nothing else differs


@given(st.floats(0, 1))
def test_percent_never_rounds_to_certainty(share: float) -> None:
    words = percent(share)
    assert words.endswith(" %")
    assert (words == "0 %") == (share == 0)
    assert (words == "100 %") == (share == 1)


def test_numbers_without_a_value() -> None:
    assert percent(float("nan")) == number(float("inf")) == number(None) == "–"
    assert interval(None) == interval((0.1, None, 0.2)) == ""  # type: ignore[arg-type]
    assert plain({"a": [1, 2.5, None]}) == "a: 1, 2.5, –"
    assert plain(True) == "yes"
