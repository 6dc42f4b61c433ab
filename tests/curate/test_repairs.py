"""Personal data, encoding, language and quality: odd texts, what is changed and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.core.step import Rows
from dross.curate.encoding_repair import EncodingRepair, repaired
from dross.curate.language import Language
from dross.curate.personal_data import PersonalData, find, mask
from dross.curate.quality_classifier import QualityClassifier
from dross.testing import check_method

FOUND = {
    "write to jane.doe+x@mail.example.co.uk.": "jane.doe+x@mail.example.co.uk",
    "card 4111 1111 1111 1111!": "4111 1111 1111 1111",
    "IBAN DE89 3704 0044 0532 0130 00": "DE89 3704 0044 0532 0130 00",
    "SSN 460-89-9847": "460-89-9847",
    "host 93.184.216.34:80": "93.184.216.34",
    "at 2606:2800:220:1:248:1893:25c8:1946 now": "2606:2800:220:1:248:1893:25c8:1946",
    "call (212) 555-0123 x 12": "(212) 555-0123 x 12",
    "tel. 01.84.17.61.18": "01.84.17.61.18",
    "key AKIAIOSFODNN7EXAMPLE": "AKIAIOSFODNN7EXAMPLE",
}
NOTHING = ("a@b", "4111 1111 1111 1112", "DE88 3704 0044 0532 0130 00", "192.168.1.1", "2024-01-31 10:00",
           "version 1.2.3.4567", "ISBN 978-3-16-148410-0", "3.14159265358979", "f(x) = 12345678",
           "123456789012345678901234567890", "")  # fmt: skip


@pytest.mark.parametrize("kind", [PersonalData, EncodingRepair, Language, QualityClassifier])
def test_contract(kind: type) -> None:
    check_method(kind)


@pytest.mark.parametrize("text", FOUND)
def test_personal_data_is_found_and_masked(text: str) -> None:
    ((kind, start, stop),) = find(text)
    assert text[start:stop] == FOUND[text]
    table = pa.table({"text": [text, "nothing here", None]})
    verdict = PersonalData().judge(Rows(table, "text"), None)
    assert verdict.changed["text"].to_pylist() == [text.replace(FOUND[text], f"<{kind.upper()}>"), "nothing here", ""]
    assert PersonalData(action="drop").judge(Rows(table, "text"), None).reason.tolist() == [0, -1, -1]


@pytest.mark.parametrize("text", NOTHING)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert find(text) == []
    assert mask(text, []) == text


def test_lists_of_addresses_are_dropped() -> None:
    text = " ".join(f"user{i}@example.org" for i in range(20))
    verdict = PersonalData(most=10).judge(Rows(pa.table({"text": [text]}), "text"), None)
    assert (verdict.reason.tolist(), verdict.value.tolist()) == ([1], [20.0])  # type: ignore[union-attr]
    with pytest.raises(DrossError, match="did you mean 'email'"):
        PersonalData(kinds=("emial",))


@pytest.mark.parametrize("text", ["café – “naïve” 10 €", "Żółć", "日本語 text", "½ cup", "Ω ≈ ç√∫", "", "plain"])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_misread_text_is_read_again(text: str, times: int) -> None:
    given = text
    for _ in range(times):
        given = given.encode().decode("cp1252", "surrogateescape")
        given = "".join(chr(ord(c) - 0xDC00) if 0xDC80 <= ord(c) <= 0xDCFF else c for c in given)
    assert repaired(given) == text


def test_hidden_marks_go_and_lost_letters_drop() -> None:
    texts = ["a\u200bb\x00c\ufeff", "e\u0301", "��� lost", "tab\tand\nline"]
    verdict = EncodingRepair().judge(Rows(pa.table({"text": texts}), "text"), None)
    assert verdict.reason.tolist() == [-1, -1, 0, -1]
    assert verdict.changed["text"].to_pylist() == ["abc", "é", "��� lost", "tab\tand\nline"]


def test_languages_of_a_reference(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = {"xx": ["kala", "mino", "tuve", "soqa", "lemi"], "yy": ["grunt", "blarg", "snorf", "krimp", "drosk"]}
    lines = [{"text": " ".join(rng.choice(words[k], 8)), "lang": k} for k in ("xx", "yy") for _ in range(30)]
    (tmp_path / "ref.jsonl").write_text("\n".join(map(json.dumps, lines)))
    step = Language(keep=("xx",), reference=str(tmp_path / "ref.jsonl"))
    step.prepare(tmp_path)
    verdict = step.judge(Rows(pa.table({"text": ["mino kala soqa", "snorf grunt", ""]}), "text"), step.ready(tmp_path))
    assert verdict.reason.tolist() == [-1, 0, 1]
    assert verdict.changed["language"].to_pylist() == ["xx", "yy", "unknown"]
    with pytest.raises(DrossError, match="no language 'zz'"):
        Language(keep=("zz",), reference=str(tmp_path / "ref.jsonl")).prepare(tmp_path)
    with pytest.raises(DrossError, match="did you mean 'english'"):
        Language(keep=("englisch",)).prepare(tmp_path)


def test_a_classifier_and_its_chances(tmp_path: Path) -> None:
    for name, text in (
        ("good", "the cell divides and the protein folds"),
        ("bad", "click here to buy cheap deals now"),
    ):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": f"{text} {i}"}) for i in range(20)))
    files = {"good": (f"{tmp_path}/good.jsonl",), "bad": (f"{tmp_path}/bad.jsonl",)}
    step = QualityClassifier(**files)
    step.prepare(tmp_path)
    rows = Rows(pa.table({"text": ["a protein and a cell", "buy deals here"] * 50}), "text")
    verdict = step.judge(rows, step.ready(tmp_path))
    assert verdict.reason.tolist() == [-1, 0] * 50
    some = Rows(pa.table({"text": [f"the protein number {i} of many deals" for i in range(200)]}), "text")
    kept = QualityClassifier(**files, pareto=9.0).judge(some, step.ready(tmp_path)).kept
    assert 0 < kept.sum() < 200
