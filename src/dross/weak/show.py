"""The analysis of rules for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dross.report.text import counted, interval, percent, visible
from dross.weak.analysis import Analysis, RuleFacts

if TYPE_CHECKING:
    from rich.console import Console

MOST = 12
"""Remarks of a kind that are printed; ``--json`` has them all."""


def show(found: Analysis, console: Console) -> None:
    """Print what the rules are worth.

    Parameters
    ----------
    found
        The analysis.
    console
        A console without markup; text from the data is shown, never obeyed.
    """
    from rich.text import Text

    console.print()
    console.print(Text(_headline(found), style="bold"))
    for name, words in (("model", f"the label model ({found.model})"), ("majority", "the majority of the votes")):
        if name in found.accuracy:
            one = found.accuracy[name]
            console.print(f"On given labels, {words} is right on {percent(one[0])} ({interval(one)}).")
    for why in found.why:
        console.print(Text(safe(why[:1].upper() + why[1:] + "."), style="dim"))
    console.print()
    _table(found, console)
    _section(console, "Rules that failed", [line for rule in found.rules for line in _failures(rule)], "red")
    harmful = [f"{rule.name}: {why}" for rule in found.rules for why in rule.harmful]
    _section(console, "Harmful rules (change or drop them)", harmful, "red")
    alike = [
        f"{one['rules'][0]} and {one['rules'][1]}: {percent(one['alike'])} of their votes are the same"
        for one in found.redundant
    ]
    _section(console, "Redundant rules (keep one of each pair, or one opinion counts twice)", alike)
    _section(console, "Also", [f"{rule.name}: {word}" for rule in found.rules for word in rule.remarks] + found.notes)
    _conflicts(found, console)
    _uncovered(found, console)


def _headline(found: Analysis) -> str:
    n = max(1, found.rows)
    return (
        f"{counted(len(found.rules), 'source')} on {counted(found.rows, 'row')}: {percent(found.covered / n)} have a "
        f"vote, {percent(found.overlapping / n)} several, {percent(found.disputed / n)} votes that differ"
    )


def _table(found: Analysis, console: Console) -> None:
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False, box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("rule", overflow="fold")
    table.add_column("votes for", overflow="fold")
    failed = any(rule.failed for rule in found.rules)
    for heading in ("coverage", "overlap", "conflict", "estimated", "measured", *(["failed"] if failed else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for rule in found.rules:
        measured = "–" if rule.measured is None else f"{percent(rule.measured[0])} ({interval(rule.measured)})"
        table.add_row(
            safe(rule.name),
            safe(", ".join(sorted(rule.labels, key=lambda name: -rule.labels[name])[:4])) or "–",
            percent(rule.coverage),
            percent(rule.overlap),
            percent(rule.conflict),
            percent(rule.estimated),
            measured,
            *([f"{rule.failed:,}" if rule.failed else "–"] if failed else []),
        )
    console.print(table)


def _failures(rule: RuleFacts) -> list[str]:
    lines = [f"{rule.name} is left out: {rule.stopped}"] if rule.stopped else []
    lines += [
        f"{rule.name} ({rule.where}), {counted(one['count'], 'row')}: {one['message']} (first on row {one['row']:,})"
        for one in rule.failures
    ]
    return lines


def _section(console: Console, title: str, lines: list[str], style: str = "bold") -> None:
    from rich.text import Text

    if not lines:
        return
    console.print()
    console.print(Text(title, style=style))
    for line in lines[:MOST]:
        console.print(f"  {safe(line)}", soft_wrap=True)
    if len(lines) > MOST:
        console.print(f"  … and {len(lines) - MOST:,} more (--json lists all)")


def _conflicts(found: Analysis, console: Console) -> None:
    from rich.text import Text

    if not found.conflicts:
        return
    console.print()
    console.print(Text("Conflicts", style="bold"))
    for one in found.conflicts[:5]:
        console.print(f"  {safe(' and '.join(one['rules']))} differ on {counted(one['rows'], 'row')}", soft_wrap=True)
        for example in one["examples"]:
            votes = " / ".join(example["votes"])
            console.print(f"    {safe(votes)}: {safe(example['text'])}", soft_wrap=True)


def _uncovered(found: Analysis, console: Console) -> None:
    from rich.text import Text

    if not found.uncovered:
        return
    console.print()
    console.print(Text("Rows without a vote, by subject: a new rule could be about", style="bold"))
    for group in found.uncovered:
        console.print(f"  {safe(group['name'])} (about {counted(group['rows'], 'row')})", soft_wrap=True)
        for example in group["examples"][:2]:
            console.print(f"    {safe(example['text'])}", soft_wrap=True)


def safe(text: str) -> str:
    """Visible text on one line."""
    return visible(text).replace("\n", " ").replace("\t", " ")
