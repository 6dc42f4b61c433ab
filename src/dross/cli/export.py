"""``dross export``: the current version as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Where to write; the suffix tells the format: .parquet, .csv, .tsv, .jsonl (also .gz, .zst), .arrow; "
            "without a suffix, a folder for Hugging Face datasets. Only an earlier export is ever replaced.",
        ),
    ],
    format: Annotated[  # noqa: A002 - the option is called --format
        str | None, typer.Option(help="csv, tsv, jsonl, parquet, arrow or huggingface, where the suffix does not tell.")
    ] = None,
    verbatim: Annotated[
        bool, typer.Option("--verbatim", help="Leave CSV cells as they are that a spreadsheet would run as a formula.")
    ] = False,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Export what this audit looked at. Default: what was changed last."),
    ] = None,
    workspace: Annotated[Path | None, typer.Option(help="Where the record is. Default: .dross in this folder.")] = None,
) -> None:
    """Write the current version of the data, in your row order and columns."""
    from dross.cli._console import err, inert
    from dross.ledger import Ledger, workspace_for

    with Ledger.open(workspace_for(given=workspace)) as ledger:
        made = ledger.export(out, verbatim=verbatim, format=format, run=run)
    err().print(inert(f"{made.rows:,} rows written to {made.path}"))
    if made.inert:
        cells = "1 cell" if made.inert == 1 else f"{made.inert:,} cells"
        err().print(
            f"{cells} that a spreadsheet would run as a formula got a leading apostrophe; --verbatim leaves them"
        )
