"""Hostile cells, labels, ids, column and file names: shown, never obeyed, and unchanged when they are written out."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from tests.reliability.made import table
from tests.reliability.running import run

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What a terminal obeys: control characters (also the 8-bit ones) and marks that change the direction of text."""
HOSTILE = [
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x.example";"y")',
    "\x1b[31mred\x1b]0;owned\x07",
    "\u202edesrever\u202c",
    "nul\x00inside",
    "emoji 😀👩‍👩‍👧",
    "\x9b31mC1",
    "+cmd|' /C calc'!A0",
    "\r\nnew line\r",
    "</style><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raise %}",
    "[bold]rich[/bold] [red",
    "'quoted' \"twice\"",
    "\u2028line\u2029paragraph",
    "javascript:alert(1)",
]
TEXT, LABEL, ID, NUMBER = (
    "\x1b[31mtext\x1b[0m<b>",
    '=HYPERLINK("http://x.example")',
    "<script>id\u202e",
    "\x9b[bold]number",
)
NAME = "=cmd\x1b[31m<script>\u202e"
METHODS = "text-form,exact-duplicates,near-duplicates,class-imbalance,table-form,conflicting-duplicates"


def frame(rows: int = 240) -> pl.DataFrame:
    """Every hostile text as text, label and id; the first of each text has copies."""
    many = len(HOSTILE)
    texts = [HOSTILE[i % many] + ("" if i < 2 * many else f" of row {i}") for i in range(rows)]
    texts[-1] = "<b>" * 400_000
    labels = [HOSTILE[i // 3 % 8] for i in range(rows)]
    ids = [f"{HOSTILE[i % many]}{i}" for i in range(rows)]
    return pl.DataFrame({TEXT: texts, LABEL: labels, ID: ids, NUMBER: [i * 0.5 for i in range(rows)]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an audit of the hostile table."""
    path, before = tmp_path_factory.mktemp("hostile"), Path.cwd()
    os.chdir(path)
    frame().write_parquet(f"{NAME}.parquet")
    yield path
    os.chdir(before)


AUDIT = (
    *("audit", f"{NAME}.parquet", "--text", TEXT, "--label", LABEL, "--id", ID),
    *("--role", f"features={NUMBER}", "--only", METHODS, "--report", f"{NAME}.html"),
)


def test_nothing_that_is_printed_acts(folder: Path) -> None:
    """The whole job, command after command: no byte of the data reaches the terminal as anything but text."""
    drop = "duplicate=drop,near_duplicate=drop,conflict=relabel,form=drop"
    commands = (
        AUDIT, (*AUDIT, "--json"), ("findings",), ("findings", "--format", "json", "--flagged"),
        ("apply", "--dry-run", "--policy", drop), ("apply", "--policy", drop), ("log",),
        ("export", "--out", f"{NAME}.csv"), ("report",), ("undo", "--all"), ("log",),
    )  # fmt: skip
    for command in commands:
        done = run(*command)
        assert done.code == 0, (command, done.err)
        said = ACTS.search(done.out + done.err)
        assert said is None, (command[0], said)
    assert run("log").out.count("�") > 10, "something hostile was shown"


@pytest.mark.parametrize(
    "command",
    [
        ("audit", f"{NAME}.csv.parquet"),
        ("audit", f"{NAME}.parquet", "--label", HOSTILE[2]),
        ("audit", f"{NAME}.parquet", "--text", TEXT, "--target", LABEL),
        ("audit", f"{NAME}.parquet", "--only", HOSTILE[2]),
        ("audit", f"{NAME}.parquet", "--role", HOSTILE[2]),
        ("audit", f"{NAME}.parquet", "--fail-on", HOSTILE[3]),
        ("audit", f"{NAME}.parquet", "--report", f"{NAME}.parquet"),
        ("findings", "--workspace", HOSTILE[2]),
        ("findings", "--issue", HOSTILE[6]),
        ("methods", "--verb", HOSTILE[2]),
        ("claims", HOSTILE[2]),
    ],
)
def test_errors_show_it_on_one_line(folder: Path, command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.code == 2
    assert ACTS.search(done.out + done.err) is None
    assert done.err.splitlines()[-1].startswith("dross: ")
    assert len(done.err.splitlines()[-1]) < 2200


def test_findings_as_csv_hold_no_formula(folder: Path) -> None:
    assert run(*AUDIT).code == 0
    rows = list(csv.reader(run("findings").out.splitlines()))
    assert {len(row) for row in rows} == {8}
    starts = {cell[:1] for row in rows for cell in row if not re.fullmatch(r"-?[\d.e-]+", cell)}
    assert not starts & set("=+-@\t\r")
    assert "'" in starts


def test_the_exported_csv_holds_no_formula_and_all_else_as_it_was(folder: Path) -> None:
    Path("out.csv").unlink(missing_ok=True)
    assert run(*AUDIT).code == 0
    assert run("export", "--out", "out.csv").code == 0
    given = frame()
    limit = csv.field_size_limit(10_000_000)
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.reader(file))
    csv.field_size_limit(limit)
    for before, after in zip([given.columns, *given.cast(pl.String).rows()], written, strict=True):
        assert [cell.removeprefix("'") for cell in after] == [cell.removeprefix("'") for cell in before]
        assert not [cell for cell in after if cell.startswith(("=", "+cmd"))]
    run("export", "--out", "out.parquet")
    assert pl.read_parquet("out.parquet").equals(given)


class Tags(HTMLParser):
    """The tags of a page and everything they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.links.update(str(value) for name, value in attrs if name in {"href", "src", "action", "style"})


def test_the_report_holds_no_script_and_no_link(folder: Path) -> None:
    assert run(*AUDIT).code == 0
    page = Path(f"{NAME}.html").read_text(encoding="utf-8")
    assert len(page) < 3_000_000
    assert ACTS.search(page) is None
    parsed = Tags()
    parsed.feed(page)
    assert not parsed.tags & {"script", "iframe", "object", "embed", "form", "base", "link"}
    assert not {name for name in parsed.attributes if name.startswith("on")}
    assert {link for link in parsed.links if not link.startswith(("#", "data:image/", "https://arxiv.org/"))} <= set()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page


@pytest.mark.parametrize(
    "name", ["new\nline", "[br]acket", "q?", "~tilde", "$HOME", "a'b\"c", "ünï 😀", "x" * 200, ".hid"]
)
def test_names_of_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table(60).write_csv(f"{name}.csv")
    assert run("audit", f"{name}.csv", "--label", "y", "--only", "exact-duplicates").code == 0
    assert run("findings").out.count("\n") == 6
    assert run("apply", "--policy", "duplicate=drop").code == 0
    assert run("export", "--out", f"out {name}.csv").code == 0
    assert (
        Path(f"{name}.csv").read_text() == Path(f"out {name}.csv").read_text()
        or pl.read_csv(f"out {name}.csv", glob=False).height
    )
    assert run("report").code == 0
    assert {path.name for path in tmp_path.iterdir()} == {".dross", f"{name}.csv", f"out {name}.csv"}


def test_a_name_that_is_no_text_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"b\xe4d.csv")
    try:
        Path(name).write_text(table(60).write_csv())
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    done = run("audit", name, "--label", "y")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "(in b�d.csv)" in done.err
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [b"b\xe4d.csv"]
