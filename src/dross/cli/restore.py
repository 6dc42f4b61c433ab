"""``dross restore``: rows that a step of a recipe dropped come back, in a new corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    corpus: Annotated[Path, typer.Argument(help="The folder that dross curate wrote; it stays as it is.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the corpus with the rows put back.")],
    step: Annotated[str, typer.Option(metavar="NAME", help="The step, as the report calls it, or its number.")],
    reason: Annotated[str, typer.Option(metavar="REASON", help="Only rows dropped for this reason.")] = "",
    row: Annotated[list[str] | None, typer.Option(metavar="FILE#ROW", help="Only this row. May be repeated.")] = None,
) -> None:
    """Take drops of a recipe back."""
    from dross.cli._console import err, inert
    from dross.corpus.restoring import restore

    done = restore(corpus, out, step, reason, row or [])
    err().print(inert(f"{done.back:,} rows put back; {done.rows:,} rows in {out}"), soft_wrap=True)
