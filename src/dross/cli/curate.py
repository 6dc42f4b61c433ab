"""``dross curate``: a corpus larger than memory goes through a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dross.corpus.report import Report


def command(
    recipes: Annotated[list[Path], typer.Argument(metavar="RECIPE", help="A YAML file; two or more with --compare.")],
    inputs: Annotated[
        list[str], typer.Option("--in", metavar="FILES", help="Files, a folder or a quoted glob. May be repeated.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the corpus goes; a new folder, or an interrupted run's."),
    ] = None,
    engine: Annotated[str, typer.Option(help="local (processes of this machine) or ray.")] = "local",
    workers: Annotated[int | None, typer.Option(help="Tasks at a time. Default: one for each core.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster to join. Default: Ray is started on this machine.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Say which recipe keeps the better text; write no corpus.")
    ] = False,
    proxy: Annotated[
        bool, typer.Option("--proxy", help="With --compare: by a small language model trained on what each keeps.")
    ] = False,
    held_out: Annotated[
        str | None, typer.Option("--held-out", metavar="FILES", help="With --compare: text to do well on.")
    ] = None,
    tokens: Annotated[int, typer.Option(help="With --compare: tokens that each model reads.")] = 1_000_000,
    seeds: Annotated[int, typer.Option(help="With --compare: models trained for each recipe.")] = 3,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="With --compare: small (from scratch), or hf:FOLDER to train further.")
    ] = "small",
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Take a corpus through a recipe: filter, deduplicate, rate, select, mix. Every drop is kept with its reason."""
    from dross.core.errors import DrossError

    if compare or proxy:
        _compare(recipes, inputs, held_out, tokens, seeds, model, as_json, workers)
        return
    if len(recipes) != 1:
        raise DrossError(f"{len(recipes)} recipes were given", fix="give one, or --compare them")
    if out is None:
        raise DrossError("no folder for the corpus was named", fix="name a new one with --out")
    from dross.cli._console import err, inert, plain
    from dross.cli._progress import bars
    from dross.corpus.curating import curate

    with bars() as progress:
        report = curate(
            recipes[0], inputs, out, engine_name=engine, workers=workers, address=address, progress=progress
        )
    if as_json:
        plain(json.dumps(report.plain(), ensure_ascii=False))
    else:
        show(report)
    err().print(inert(f"Corpus: {out}"), soft_wrap=True)


def show(report: Report) -> None:
    """The table of steps, and why rows were dropped."""
    from rich.table import Table

    from dross.cli._console import inert, out
    from dross.corpus.report import duration, size

    table = Table(box=None, pad_edge=False)
    for name in ("step", "in", "out", "dropped", "CPU", "memory", "why"):
        table.add_column(
            name, justify="left" if name in {"step", "why"} else "right", overflow="fold", no_wrap=name == "step"
        )
    for stage in report.stages:
        why = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in list(stage.reasons.items())[:4])
        more = f", {len(stage.reasons) - 4} more" if len(stage.reasons) > 4 else ""
        changed = f"{stage.changed:,} changed" if stage.changed else ""
        told = "; ".join(part for part in (changed, why + more) if part)
        share = f"{1 - stage.rows_out / max(1, stage.rows_in):.1%}"
        cells = (f"{stage.rows_in:,}", f"{stage.rows_out:,}", share, duration(stage.seconds), size(stage.memory))
        table.add_row(stage.label, *cells, inert(told))
    console = out()
    console.print(table)
    console.print(
        f"{report.rows_out:,} of {report.rows_in:,} rows, {size(report.bytes_out)} of {size(report.bytes_in)}, "
        f"in {duration(report.seconds)}"
    )


def _compare(
    recipes: list[Path],
    inputs: list[str],
    held_out: str | None,
    tokens: int,
    seeds: int,
    model: str,
    as_json: bool,
    workers: int | None,
) -> None:
    from dross.cli._console import out, plain
    from dross.cli._progress import bars
    from dross.core.errors import DrossError
    from dross.corpus.comparing import compare

    if held_out is None:
        raise DrossError("no text to judge the recipes by was named", fix="name it with --held-out FILES")
    with bars() as progress:
        found = compare(
            recipes, inputs, held_out, tokens=tokens, seeds=seeds, model=model, workers=workers, progress=progress
        )
    if as_json:
        plain(json.dumps(found.plain(), ensure_ascii=False))
    else:
        out().print(found.text())
