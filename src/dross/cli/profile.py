"""``dross profile``: what a corpus is made of, and what a recipe would do to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def command(
    corpus: Annotated[list[str], typer.Argument(help="Files, a folder or a quoted glob of JSON Lines or Parquet.")],
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Show what this recipe would drop, with examples.")
    ] = None,
    text: Annotated[str, typer.Option(metavar="COLUMN", help="The text column, without a recipe.")] = "text",
    rows: Annotated[int, typer.Option(help="About how many rows to look at.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Look at a sample of a corpus before a recipe is run on all of it."""
    from dross.cli._console import inert, out, plain
    from dross.cli._progress import bars
    from dross.corpus.profiling import profile

    with bars() as progress:
        found = profile(corpus, text=text, recipe=recipe, rows=rows, progress=progress)
    if as_json:
        plain(json.dumps(found.plain(), ensure_ascii=False))
    else:
        out().print(inert(found.text()), soft_wrap=True)
