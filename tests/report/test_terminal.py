from __future__ import annotations

import io

import pytest
from rich.console import Console

from dross.report import terminal
from tests.report.samples import METHODS, proof_json, run_of, shapes

SHAPES = shapes()


def printed(call: object, *args: object, width: int = 100) -> str:
    out = io.StringIO()
    call(*args, Console(file=out, width=width, markup=False, highlight=False, color_system=None))  # type: ignore[operator]
    return out.getvalue()


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_prints(name: str) -> None:
    data, found, _ = SHAPES[name]
    assert printed(terminal.summary, run_of(data, found)).strip()


def test_it_says_the_same_in_brief() -> None:
    data, found, _ = SHAPES["text"]
    words = printed(terminal.summary, run_of(data, found))
    assert "About 9 % of the labels are probably wrong (7–11 %)." in words
    assert "Label errors" in words
    assert "91 % (86–95 %)" in words
    assert "Not flagged: drift between splits." in words


def test_failures_and_hostile_names_are_inert() -> None:
    data, found, _ = SHAPES["text"]
    evil = "\x1b[2J[red]gone[/red]\u202e"
    methods = {**METHODS, evil: {"status": "failed", "reason": evil, "seconds": 0.0}}
    words = printed(terminal.summary, run_of(data, found, methods=methods))
    assert "\x1b" not in words
    assert "\u202e" not in words
    assert "␛[2J[red]gone[/red]⟨202E⟩" in words.replace("\n", "")


def test_proof_prints_its_numbers_within_eighty_columns() -> None:
    proof = proof_json()
    proof["why"] = ["because \x1b[1m"]
    words = printed(terminal.proof, proof, width=80)
    assert "It helped" in words
    assert "+5.0 (+4.0 to +6.0)" in words
    assert "3 rows dropped and 20 labels changed" in " ".join(words.split())
    assert "\x1b" not in words
    assert max(len(line) for line in words.splitlines()) <= 80
