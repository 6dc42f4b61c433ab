"""``dross undo``: take changes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer


def command(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[EDIT|RUN|VERSION]", help="12 is an edit, r2 a run, v3 a version; see dross log."),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="All that was done on this audit's findings.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything: back to the data as it was loaded.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "taken back",
    workspace: Annotated[Path | None, typer.Option(help="Where the record is. Default: .dross in this folder.")] = None,
) -> None:
    """Take back an edit, a run, a version or everything; the edit that takes back can itself be taken back."""
    from dross.cli._console import out
    from dross.ledger import Ledger, workspace_for

    edit, named, version = _read(target) if target is not None else (None, None, None)
    with Ledger.open(workspace_for(given=workspace)) as ledger:
        if named is not None and run is not None and named != run:
            _refuse(f"{named} and --run {run} are two runs")
        made = ledger.undo(edit, run=named or run, version=version, everything=everything, reason=reason)
        count = sum(n for actions in made.summary["taken back"].values() for n in actions.values())
        edits = "1 edit" if count == 1 else f"{count:,} edits"
        out().print(
            f"{edits} taken back; version {made.number} is written ({made.rows:,} rows).\n"
            f"To make them again: dross undo v{made.number}"
        )


def _read(target: str) -> tuple[int | None, str | None, int | None]:
    """An edit's number, a run's id, or a version's number."""
    if target.isdecimal():
        return int(target), None, None
    if re.fullmatch(r"v\d+", target):
        return None, None, int(target[1:])
    if re.fullmatch(r"r\d+", target):
        return None, target, None
    _refuse(f"{target!r} is neither an edit, a run nor a version")
    return None, None, None


def _refuse(what: str) -> None:
    from dross.core.errors import DrossError

    raise DrossError(what, fix="12 is an edit, r2 a run, v3 a version; dross log shows them")
