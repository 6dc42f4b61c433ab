"""``dross report``: write the report of an audit again, with the proof where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write. Default: report.html in the workspace.")
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="The audit. Default: the latest.")] = None,
    workspace: Annotated[Path | None, typer.Option(help="Where the record is. Default: .dross in this folder.")] = None,
) -> None:
    """Write the report of an audit: one HTML file that needs no network."""
    from dross.cli._console import out as console
    from dross.job.holding import held
    from dross.ledger import Ledger, workspace_for
    from dross.report.stored import render_stored

    with Ledger.open(workspace_for(given=workspace)) as ledger, held(ledger.workspace):
        where = render_stored(ledger, out, run)
    console().print(f"Report: {where}", soft_wrap=True)
