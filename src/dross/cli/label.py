"""``dross label``: labels from rules, judged before anything is trusted."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dross.core.dataset import Dataset
    from dross.weak.api import Labelled

Column = Annotated[str | None, typer.Option(metavar="COLUMN", rich_help_panel="Roles (guessed when not given)")]


def command(
    data: Annotated[str, typer.Argument(help="A file, a folder, or a quoted glob of shards.")],
    rules: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Rules: .py (labeling functions) or .yaml. May be repeated."),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The label model: auto, majority, dawid-skene, …")
    ] = "auto",
    text: Column = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel="Roles (guessed when not given)",
            help="Labels known already, perhaps on few rows: rules are measured on them and never see them.",
        ),
    ] = None,
    votes: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMNS",
            rich_help_panel="Roles (guessed when not given)",
            help="Votes that are in the data, one column a source, separated by commas.",
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=COLUMNS", help="Any other role, e.g. features=age,income. May be repeated."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAMES", help="The labels that exist, separated by commas; others are errors.")
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(metavar="SHARES", help="The share of each class: ham=0.9,spam=0.1. Default: estimated."),
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long each rule may take.")] = 600.0,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write the rows with dross_label, dross_confidence, dross_probs, dross_votes."
        ),
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="Where to keep the rules' votes. Default: .dross beside the data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the analysis as one JSON object.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write and keep nothing.")] = False,
) -> None:
    """Label rows by rules: first what the rules are worth, then (with --out) the labels."""
    from dross.cli._progress import bars
    from dross.cli.audit import _print_roles, _roles
    from dross.io import load
    from dross.job.holding import held, made_for
    from dross.ledger import workspace_for
    from dross.weak.api import label as run

    named: dict[str, Any] = {"text": text, "label": label, "votes": _names(votes)}
    loaded = load(data, **_roles(role or [], {key: value for key, value in named.items() if value is not None}))
    _print_roles(loaded)
    shares = _shares(balance)
    where = workspace_for(data, workspace)
    keeps = not dry_run and bool(rules or out_file)
    if out_file is not None:
        _check_out(out_file, where, loaded)
    with ExitStack() as stack:
        if keeps:
            stack.enter_context(made_for(where))
            stack.enter_context(held(where))
        progress = stack.enter_context(bars())
        done = run(
            loaded,
            list(rules or []),
            model=model,
            classes=_names(classes),
            balance=shares,
            store=where / "signals" if keeps and rules else None,
            timeout=timeout,
            progress=progress,
        )
    _say(done, as_json)
    if out_file is not None:
        _write(done, out_file, where, dry_run)
    if any(source.left_out for source in done.applied.sources):
        raise typer.Exit(1)


def _names(given: str | None) -> list[str] | None:
    return None if given is None else [name.strip() for name in given.split(",") if name.strip()]


def _shares(given: str | None) -> dict[str, float] | None:
    from dross.core.errors import DrossError

    shares = {}
    for one in _names(given) or []:
        name, _, share = one.rpartition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise DrossError(f"--balance: {one!r} gives no share", fix="write --balance ham=0.9,spam=0.1") from None
    return shares or None


def _check_out(path: Path, workspace: Path, data: Dataset) -> None:
    """Refuse a file that could not be written before the work is done rather than after it."""
    from dross.core.errors import DrossError
    from dross.core.paths import expanded
    from dross.ledger import outputs
    from dross.weak.output import check_place

    path = expanded(path)
    if outputs.inside(workspace, path):
        raise DrossError("the labels would stand inside the workspace", where=str(path), fix="choose another folder")
    check_place(path, data, overwrite=outputs.ours(workspace, path))


def _say(done: Labelled, as_json: bool) -> None:
    import json

    from dross.cli._console import out, plain
    from dross.weak.show import show

    if as_json:
        labelled = {"labelled": int((~done.labels.abstained).sum()), "labels": dict(done.labels.summary)}
        plain(json.dumps({**done.analysis.plain(), **labelled}, allow_nan=False, default=str))
    else:
        show(done.analysis, out())


def _write(done: Labelled, path: Path, workspace: Path, dry_run: bool) -> None:
    from dross.cli._console import err, inert
    from dross.core.paths import expanded
    from dross.ledger import outputs
    from dross.report.text import counted

    path = expanded(path)
    count = int((~done.labels.abstained).sum())
    told = f"{counted(len(done.labels), 'row')}, {count:,} of them labelled"
    if dry_run:
        err().print(inert(f"{told}, would be written to {path}"), soft_wrap=True)
        return
    done.write(path, overwrite=outputs.ours(workspace, path))
    outputs.remember(workspace, path)
    err().print(inert(f"{told}, written to {path}"), soft_wrap=True)
    on = done.labels.summary["calibrated_on"]
    how = f"calibrated on {counted(on, 'given label')}" if on else "the label model's own: 30 given labels calibrate it"
    err().print(f"dross_confidence is {how}", soft_wrap=True)
