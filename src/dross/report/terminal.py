"""The report in brief, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dross.report import words
from dross.report.proof import change, edited, level
from dross.report.text import counted, interval, listed, percent, visible

if TYPE_CHECKING:
    from rich.console import Console


def summary(run: Mapping[str, Any], console: Console) -> None:
    """Print what an audit found: the headline, a table of the issues, and what could not be looked for.

    Parameters
    ----------
    run
        The summary of the run, as in ``run.json``.
    console
        A console without markup; text from the data is shown, never obeyed.
    """
    from rich.table import Table
    from rich.text import Text

    console.print()
    console.print(Text(_safe(words.headline(run)), style="bold"))
    for sentence in words.details(run):
        console.print(Text(_safe(sentence)))
    every = words.lines(run)
    found = [line for line in every if line.flagged]
    if found:
        table = Table(show_edge=False, pad_edge=False, box=None, padding=(0, 3, 0, 0), header_style="dim")
        table.add_column("defect", no_wrap=True)
        for heading in ("flagged", "of rows", "precision", "recall"):
            table.add_column(heading, justify="right")
        for line in found:
            table.add_row(
                line.title,
                f"{line.flagged:,}",
                percent(line.of_rows),
                _estimate(line.precision),
                _estimate(line.recall),
            )
        console.print()
        console.print(table)
        if any(line.precision for line in found):
            note = "Precision and recall: what to expect, with 95 % intervals, read from planted defects."
            console.print(Text(note, style="dim"))
    quiet = [line.title.lower() for line in every if not line.flagged]
    if quiet and found:
        console.print(Text(f"Not flagged: {listed(quiet)}.", style="dim"))
    failed = sorted(name for name, one in run["methods"].items() if one["status"] == "failed")
    if failed:
        named = f"{counted(len(failed), 'method')} failed, so what they look for is not covered: {listed(failed)}."
        console.print(Text(_safe(named), style="red"))


def _estimate(estimate: tuple[float, float, float] | None) -> str:
    if estimate is None:
        return "–"
    return f"{percent(estimate[0])} ({interval(estimate)})"


def _safe(text: str) -> str:
    """Visible text on one line."""
    return visible(text).replace("\n", " ").replace("\t", " ")


def proof(result: Mapping[str, Any], console: Console) -> None:
    """Print a proof: its verdict, the scores of the three arms, and what may explain it."""
    from rich.table import Table
    from rich.text import Text

    styles = {"helped": "bold green", "hurt": "bold red"}
    console.print(Text(_safe(result["headline"]), style=styles.get(result["verdict"], "bold")))
    table = Table(show_edge=False, pad_edge=False, box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("score")
    for heading in ("raw", "treated", "placebo", "treated against raw"):
        table.add_column(heading, justify="right", no_wrap=True)
    for score in result["scores"]:
        name = score["name"]
        cells = [level(name, score[arm]) for arm in ("raw", "treated", "placebo")]
        table.add_row(_safe(name), *cells, change(name, score["treated_minus_raw"]))
    console.print()
    console.print(table)
    moved = [c for c in result["classes"] if c["adjusted"] < 0.05]
    if moved:
        said = [f"{_safe(c['name'])} {change(c['name'], c['treated_minus_raw'])}" for c in moved[:8]]
        console.print(Text(f"Classes whose recall changed beyond chance: {'; '.join(said)}."))
    for why in (*result["why"], *result["notes"]):
        console.print(Text(f"- {_safe(why)}"))
    how = (
        f"{edited(result['edits'])}; {counted(result['repeats'], 'repeat')}, {result['train_rows']:,} rows to train on,"
        f" {result['test_rows']:,} to test on ({result['test']}); {result['model']}."
    )
    console.print(Text(_safe(how), style="dim"))
