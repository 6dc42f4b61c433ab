"""``dross methods``, ``dross claims`` and the frame that all commands share."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

import dross
from dross import claims as claims_
from dross.claims import Budget, Claim, Evidence
from dross.cli.claims import markdown
from dross.core import registry
from dross.core.registry import methods
from tests.reliability.running import run

COMMANDS = [file.stem for file in Path(dross.__file__).parent.joinpath("cli").glob("[!_]*.py")]


def test_methods_as_json() -> None:
    done = run("methods", "--json")
    assert (done.code, done.err) == (0, "")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["id"] for row in rows] == sorted(methods())
    for row in rows:
        assert row.keys() == {"id", "verb", "paper", "extra", "finds", "about", "claim"}
        assert row["paper"] is None or row["paper"].keys() == {"title", "year", "arxiv", "address"}
        assert row["about"].endswith(".")


def test_methods_as_a_table_and_as_markdown() -> None:
    table, page = run("methods"), run("methods", "--markdown")
    assert f"{len(methods())} methods" in table.out
    assert "exact-duplicates" in table.out
    rows = re.findall(r"^\| `([\w-]+)` \|", page.out, re.MULTILINE)
    assert sorted(rows) == sorted(methods())
    assert {line.replace("\\|", "").count("|") for line in page.out.splitlines() if line.startswith("|")} == {6}


@pytest.mark.filterwarnings("always")
def test_a_method_of_others_that_cannot_be_imported_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = EntryPoint("theirs", "no_such_package:Method", registry.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **chosen: EntryPoints([theirs]).select(**chosen))
    for kept in (registry.methods, registry._installed):
        kept.cache_clear()
        monkeypatch.setattr(registry, kept.__name__, kept.__wrapped__)
    done = run("methods", "--json", "--verb", "detect")
    assert done.code == 0
    assert len(done.out.splitlines()) > 20
    assert set(done.err.splitlines()) == {
        "dross: note: the method 'theirs' (no_such_package:Method) is left out: "
        "ModuleNotFoundError: No module named 'no_such_package'"
    }


def test_methods_of_a_verb() -> None:
    rows = [json.loads(line) for line in run("methods", "--json", "--verb", "detect").out.splitlines()]
    assert {row["verb"] for row in rows} == {"detect"}
    done = run("methods", "--verb", "detekt")
    assert (done.code, done.err) == (2, "dross: --verb: there is no verb 'detekt'. did you mean 'detect'?\n")


def holding(_: Budget) -> Evidence:
    return Evidence({"gain": (0.5, 0.4, 0.6), "n": 12.0}, holds=True, note="with | a bar")


def failing(_: Budget) -> Evidence:
    return Evidence({"gain": (-0.1, -0.3, 0.1)}, holds=False)


def broken(_: Budget) -> Evidence:
    raise ZeroDivisionError("first\nsecond")


def once(budget: Budget) -> Evidence:
    return Evidence({"gain": claims_.interval([0.5] * len(budget.seeds))}, holds=True)


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put these measurements in place of the claims there are; the last is a slow one."""

    def put(*measures: Callable[[Budget], Evidence]) -> None:
        made = [
            Claim(
                "exact-duplicates",
                f"says {m.__name__}",
                "",
                fast=i == 0 or i < len(measures) - 1,
                measure=m,
            )
            for i, m in enumerate(measures)
        ]
        monkeypatch.setattr(claims_, "claims", lambda: made)

    return put


def test_claims_that_hold_and_do_not(some: Callable[..., None], tmp_path: Path) -> None:
    some(holding, failing, holding)
    done = run("claims", "--write", tmp_path / "claims.md")
    assert done.code == 0, "a claim that does not hold is a result, not an error"
    assert "2 claims" in done.out
    assert "gain 0.500 [0.400, 0.600]" in done.out
    assert "does not hold" in done.out
    assert done.err.count("\n") == 2
    page = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "gain 0.500 [0.400, 0.600]<br>n 12<br>with \\| a bar | **holds** |" in page


def test_all_claims_and_those_of_a_method(some: Callable[..., None]) -> None:
    some(holding, failing, holding)
    assert "3 claims" in run("claims", "--all").out
    assert "3 claims" in run("claims", "exact_duplicates").out
    done = run("claims", "exact-duplicats")
    assert (done.code, done.out) == (2, "")
    assert done.err == "dross: no claim is about 'exact-duplicats'. did you mean 'exact-duplicates'?\n"


def test_a_claim_that_cannot_be_measured_is_an_error_and_the_others_go_on(some: Callable[..., None]) -> None:
    some(broken, holding, holding)
    done = run("claims")
    assert done.code == 1
    assert "exact-duplicates: broken: failed: ZeroDivisionError: first�second (" in done.err
    assert "exact-duplicates: holding: holds (" in done.err


def test_the_page_keeps_its_shape_whatever_an_error_says(some: Callable[..., None], tmp_path: Path) -> None:
    some(broken)
    run("claims", "--write", tmp_path / "claims.md")
    rows = [line for line in (tmp_path / "claims.md").read_text().splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert "first second" in rows[-1]
    assert markdown([]).count("\n|") == 2


def test_one_seed_has_no_interval(some: Callable[..., None]) -> None:
    some(once)
    assert "gain 0.500 " in run("claims", "--seeds", "1").out
    assert "nan" not in run("claims", "--seeds", "1").out
    assert run("claims", "--seeds", "0").code == 2


def test_where_to_write_is_checked_before_the_work(some: Callable[..., None], tmp_path: Path) -> None:
    some(broken)
    done = run("claims", "--write", tmp_path / "no" / "claims.md")
    assert done.code == 2
    assert done.err == f"dross: there is no such folder (in {tmp_path / 'no'}). create it, or name another file\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) > 5


def test_the_frame() -> None:
    everything = run("--help")
    assert everything.code == 0
    for command in COMMANDS:
        assert command in everything.out
    assert run("--version").out == f"{dross.__version__}\n"
    unknown = run("audti")
    assert unknown.code == 2
    assert "audit" in unknown.err
    assert run("findings", "--workspace", "/nowhere").code == 2


def test_an_interrupted_command_says_what_to_do(some: Callable[..., None]) -> None:
    def interrupted(_: Budget) -> Evidence:
        raise KeyboardInterrupt

    some(interrupted)
    done = run("claims")
    assert done.code == 130
    assert done.err == "dross: interrupted; what was finished is kept, run the same command again to go on\n"


def test_the_demo_spares_what_is_yours(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for out, says in ((tmp_path, "the folder holds something else"), (tmp_path / "notes.txt", "this is a file")):
        done = run("demo", "--out", out)
        assert done.code == 2
        assert done.err.startswith(f"dross: {says} (in {out})")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
