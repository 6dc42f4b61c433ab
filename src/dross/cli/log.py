"""``dross log``: who changed what, when and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dross.ledger import Edit, Version


def command(
    row: Annotated[str | None, typer.Option(metavar="ID", help="Only the edits of this row, by its id.")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Only the edits that follow this audit.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many edits to show; 0 for all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="All of them, one JSON object per edit, one a line.")] = False,
    workspace: Annotated[Path | None, typer.Option(help="Where the record is. Default: .dross in this folder.")] = None,
) -> None:
    """Show the versions and the edits, newest first."""
    import json
    from itertools import islice

    from dross.cli._console import out, plain
    from dross.ledger import Ledger, workspace_for

    with Ledger.open(workspace_for(given=workspace)) as ledger:
        edits = ledger.log(row=row, run=run)
        if as_json:
            for edit in edits:
                plain(json.dumps(_described(edit)))
            return
        if row is None and run is None:
            _versions(ledger.versions())
        shown = list(islice(edits, limit or None))
        if not shown:
            out().print("no edits" + ("" if row is None and run is None else " that match"))
            return
        _edits(shown)
        if limit and next(edits, None) is not None:
            out().print(f"these are the newest {limit:,}; --limit 0 or --json shows all")


def _described(edit: Edit) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(edit) | {"row_id": f"{edit.row_id:016x}"}


def _versions(versions: list[Version]) -> None:
    from rich.table import Table

    from dross.cli._console import inert, out

    if not versions:
        return
    table = Table(title="versions", title_justify="left")
    for heading in ("version", "when", "who", "command", "source"):
        table.add_column(heading, overflow="fold")
    table.add_column("rows", justify="right")
    for one in reversed(versions):
        source = one.source or "memory"
        command = "as loaded" if one.parent is None else one.command
        table.add_row(
            f"v{one.number}",
            _minute(one.time),
            inert(one.author),
            inert(command),
            inert(Path(source).name),
            f"{one.rows:,}",
        )
    out().print(table)


def _edits(edits: list[Edit]) -> None:
    from rich.table import Table

    from dross.cli._console import inert, out

    table = Table(title="edits", title_justify="left")
    for heading in ("edit", "when, who", "row, id"):
        table.add_column(heading, no_wrap=True, max_width=24)
    for heading in ("what", "why"):
        table.add_column(heading, overflow="fold")
    for edit in edits:
        who, row = f"{_minute(edit.time)}\n{edit.author}", f"{edit.row}\n{edit.key}"
        table.add_row(*(inert(cell) for cell in (str(edit.id), who, row, _what(edit), _why(edit))))
    out().print(table)


def _minute(time: str) -> str:
    """A time without what nobody reads: ``2026-01-31 17:05``, universal time as in the JSON."""
    return time[:16].replace("T", " ")


def _what(edit: Edit) -> str:
    import json

    before, after = (json.dumps(value, ensure_ascii=False) for value in (edit.before, edit.after))
    what = edit.action if edit.field is None else f"{edit.action} {edit.field}: {before} → {after}"
    if edit.reverses is not None:
        what = f"undo {edit.reverses} ({what})"
    return what if edit.active else f"{what}\n(taken back)"


def _why(edit: Edit) -> str:
    sure = "" if edit.confidence is None else f"; chance {edit.confidence:.2f}"
    method = f"; {edit.method}" if edit.method and edit.method != edit.author else ""
    return f"{edit.reason}{sure}{method}"
