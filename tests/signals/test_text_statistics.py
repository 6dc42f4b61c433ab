from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.languages import LANGUAGES, SCRIPTS, word_hash
from dross.signals.text_statistics import (
    BIDI,
    COLUMNS,
    CONTROL,
    DIGIT,
    LOWER,
    PUNCTUATION,
    SPACE,
    UPPER,
    TextStatistics,
    kind_of,
    loudest,
    measure,
)


def read(text: str) -> dict[str, float]:
    return dict(zip(COLUMNS, measure(pa.array([text]))[0].tolist(), strict=True))


@given(st.text(max_size=60))
def test_counts_agree_with_a_plain_count(text: str) -> None:
    found = read(text)
    kinds = [kind_of(c) if ord(c) < 65535 else None for c in text]
    assert found["characters"] == len(text)
    assert found["letters"] == sum(k in (LOWER, UPPER) for k in kinds)
    names = ("capitals", "digits", "punctuation", "spaces", "control", "bidi")
    for name, kind in zip(names, (UPPER, DIGIT, PUNCTUATION, SPACE, CONTROL, BIDI), strict=True):
        assert found[name] == kinds.count(kind)
    assert found["replacement"] == text.count("\ufffd")
    assert found["longest_run"] == max((len(m[0]) for m in re.finditer(r"(.)\1*", text, re.DOTALL)), default=0)


def test_words_and_endings() -> None:
    assert read("It's one two, two.")["words"] == 4
    assert read("It's one two, two.")["distinct_words"] == 3
    assert [read(t)["ends_open"] for t in ("end.", "en", "a,", "wait…", "", "x ")] == [0, 1, 1, 2, 0, 1]
    assert read("<b>x</b> 1 < 2")["tags"] == 2
    assert read("dÃ¼rfen â€™s")["mojibake"] == 2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the cat and the dog were in the house of the king", "english"),
        ("der Hund und die Katze sind nicht in dem Haus", "german"),
        ("это не то, что было у меня, но так и есть", "russian"),
        ("γεια σου κόσμε", "greek"),
        ("これは日本語の文です", "japanese"),
        ("東京本社で会議が開催予定", "japanese"),
        ("北京大学经济学院发表", "chinese"),
        ("123 456", None),
        ("zxcv qwer", None),
    ],
)
def test_languages(text: str, language: str | None) -> None:
    guess = int(read(text)["language"])
    assert (LANGUAGES[guess] if guess >= 0 else None) == language


def test_words_that_several_languages_share_decide_nothing() -> None:
    assert read("no no no no no no no no")["language"] == -1
    assert loudest.function(np.array([2.0, 1.3, 0.0]), 9) == 0
    assert loudest.function(np.array([1.3, 2.0, 1.3]), 9) == 1
    assert loudest.function(np.array([2.0, 0.0, 1.5]), 9) == -1
    assert loudest.function(np.array([1.4, 0.0, 0.0]), 9) == -1


def test_a_few_words_of_a_long_text_are_no_language_but_those_of_a_short_one_are() -> None:
    assert loudest.function(np.array([1.5, 0.0]), 21) == 0
    assert loudest.function(np.array([1.5, 0.0]), 22) == -1
    names = "zxcv qwer " * 40
    assert read("write it")["language"] == LANGUAGES.index("english")
    assert read(f"{names} write it")["language"] == -1
    assert read("12 34 " * 40 + " write it")["language"] == LANGUAGES.index("english")  # numbers are of no language


def test_scripts() -> None:
    assert list(SCRIPTS)[int(read("привет")["script"])] == "CYRILLIC"
    assert read("приvet")["script_share"] == pytest.approx(0.5)
    assert read("12")["script"] == -1


def test_word_hash_is_the_kernels() -> None:
    assert word_hash("The") == word_hash("the")


def test_nulls_chunks_and_several_columns() -> None:
    table = pa.table({"a": ["one", None, "three", "four"], "b": ["x", "y", None, "zz"]})
    whole = Dataset(table, {Role.TEXT: ["a", "b"]})
    parts = Dataset(pa.concat_tables([table.slice(0, 1), table.slice(1)]), {Role.TEXT: ["a", "b"]})
    values = Signals(whole)[TextStatistics()]
    assert values[:, 0].tolist() == [5, 1, 5, 7]
    assert np.array_equal(values, Signals(parts)[TextStatistics()])
    assert measure(pa.array([], pa.string())).shape == (0, len(COLUMNS))


def test_guessed_languages_are_seldom_wrong() -> None:
    import polars as pl

    data = pl.read_parquet(real("langid_sib200") / "dev.parquet")
    spoken = {
        "eng_Latn": "english",
        "deu_Latn": "german",
        "fra_Latn": "french",
        "spa_Latn": "spanish",
        "rus_Cyrl": "russian",
    }
    data = data.filter(pl.col("lang").is_in(list(spoken)))
    guessed = measure(data["text"].to_arrow())[:, COLUMNS.index("language")].astype(int)
    names = np.array([*LANGUAGES, ""])[guessed]
    truth = np.array([spoken[code] for code in data["lang"]])
    assert (names == truth).mean() > 0.75
    assert ((names != truth) & (names != "")).mean() < 0.02
