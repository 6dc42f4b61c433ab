"""``dross claims``: rerun the papers' claims and say which hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dross.claims import Outcome


def command(
    methods: Annotated[list[str] | None, typer.Argument(help="Only the claims of these methods.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Run the slow ones too.")] = False,  # noqa: A002 - the option is --all
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to repeat each over.")] = 5,
    write: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as Markdown.")] = None,
) -> None:
    """Rerun the papers' claims and print what was measured and whether it holds."""
    from rich.table import Table

    from dross.claims import Budget, check, claims
    from dross.cli._console import err, one_line, out
    from dross.core.errors import DrossError, nearest
    from dross.core.registry import methods as known

    if write is not None and not write.absolute().parent.is_dir():
        raise DrossError("there is no such folder", where=str(write.parent), fix="create it, or name another file")
    aliases = {m.alias: name for name, m in known().items() if m.alias}
    every = claims()
    wanted = {aliases.get(name, name.replace("_", "-")) for name in methods or []}
    unknown = wanted - {c.method for c in every}
    if unknown:
        name = min(unknown)
        raise DrossError(f"no claim is about {name!r}", fix=nearest(name, sorted({c.method for c in every})))
    chosen = [c for c in every if (all or c.fast or wanted) and (not wanted or c.method in wanted)]
    outcomes = []
    for outcome in check(chosen, Budget(seeds=tuple(range(seeds)))):
        outcomes.append(outcome)
        said = f"{outcome.claim.method}: {outcome.claim.name}: {verdict(outcome)} ({outcome.seconds:.1f} s)"
        err().print(one_line(said), soft_wrap=True)
    table = Table(title=f"{len(outcomes)} claims", title_justify="left")
    for heading in ("method", "claim", "measured", "verdict"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        table.add_row(outcome.claim.method, outcome.claim.says, "\n".join(measured(outcome)), verdict(outcome))
    out().print(table)
    if write is not None:
        write.write_text(markdown(outcomes), encoding="utf-8")
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


def verdict(outcome: Outcome) -> str:
    """One word for the table."""
    if outcome.evidence is None:
        return f"failed: {outcome.error}"
    return "holds" if outcome.evidence.holds else "does not hold"


def measured(outcome: Outcome) -> list[str]:
    """One line per number, intervals in brackets."""
    if outcome.evidence is None:
        return []
    lines = []
    for name, value in outcome.evidence.measured.items():
        if isinstance(value, tuple):
            mean, low, high = value
            lines.append(f"{name} {mean:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low <= high else ""))  # NaN: one seed
        else:
            lines.append(f"{name} {value:.4g}")
    return lines + ([outcome.evidence.note] if outcome.evidence.note else [])


def markdown(outcomes: list[Outcome]) -> str:
    """The table as a Markdown page."""
    lines = [
        "# Claims",
        "",
        "Each published claim, what was measured when it was last run, and whether it holds. Intervals are 95 %",
        "over the seeds. Written by `dross claims --write docs/claims.md`.",
        "",
        "| method | claim | measured | verdict | seconds |",
        "|---|---|---|---|---|",
    ]
    for o in outcomes:
        cells = (o.claim.method, o.claim.says, "<br>".join(measured(o)), f"**{verdict(o)}**", f"{o.seconds:.0f}")
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
