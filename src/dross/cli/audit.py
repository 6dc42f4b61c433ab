"""``dross audit``: what is wrong with my data, how sure is that, show me."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dross.core.dataset import Dataset
    from dross.job.audit import Audit

Column = Annotated[str | None, typer.Option(metavar="COLUMN", rich_help_panel="Roles (guessed when not given)")]


def command(
    data: Annotated[str, typer.Argument(help="A file, a folder, or a quoted glob of shards.")],
    label: Column = None,
    text: Column = None,
    image: Column = None,
    target: Column = None,
    split: Column = None,
    group: Column = None,
    id: Column = None,  # noqa: A002 - the option is called --id
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=COLUMNS",
            help="Any other role, e.g. features=age,income; id= guesses no id. May be repeated.",
        ),
    ] = None,
    embedding: Annotated[str | None, typer.Option(metavar="COLUMN|FILE.npy", help="Your own embeddings.")] = None,
    pred_probs: Annotated[
        str | None, typer.Option(metavar="COLUMN|FILE.npy", help="Out-of-sample probabilities.")
    ] = None,
    fdr: Annotated[float, typer.Option(help="Share of false alarms to accept among the flagged rows.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the planted defects.")] = 0,
    only: Annotated[str | None, typer.Option(metavar="METHODS", help="Run only these, separated by commas.")] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="Where to keep the record. Default: .dross beside the data.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(metavar="ISSUE:SHARE", help="Exit with 3 when more than this share is flagged. May be repeated."),
    ] = None,
) -> None:
    """Find what is wrong with a dataset and how sure that is; write a report."""
    import json
    import shlex
    import sys

    from dross.cli._console import err, inert, out, plain
    from dross.cli._progress import bars
    from dross.io import load
    from dross.job.audit import audit, check_options
    from dross.ledger import workspace_for
    from dross.report.terminal import summary

    limits = _limits(fail_on or [])
    names = [] if only is None else [name.strip() for name in only.split(",")]
    check_options(fdr=fdr, seed=seed, only=names)
    page = report or workspace_for(data, workspace) / "report.html"
    _check_report(page)
    named = {"label": label, "text": text, "image": image, "target": target, "split": split, "group": group, "id": id}
    named |= {"embedding": embedding, "pred_probs": pred_probs}
    loaded = load(data, **_roles(role or [], {key: value for key, value in named.items() if value is not None}))
    _print_roles(loaded)
    with bars() as progress:
        done = audit(
            loaded,
            fdr=fdr,
            seed=seed,
            only=names,
            workspace=workspace,
            progress=progress,
            command=shlex.join(["dross", *sys.argv[1:]]),
        )
        progress("report", 0, 1)
        where = done.report(page)
    if as_json:
        plain(json.dumps({**done.run, "report": str(where)}, allow_nan=False))
    else:
        summary(dict(done.run), out())
        out().print(f"\nReport: {inert(str(where))}\nNext: dross apply --dry-run", soft_wrap=True)
    _finish(done, limits, err())


def _finish(done: Audit, limits: dict[str, float], console: Any) -> None:
    """Exit non-zero when a method failed (1) or too much was flagged (3)."""
    from dross.cli._console import one_line

    for name, reason in done.failed.items():
        console.print(one_line(f"dross: the method {name} failed: {reason}"), soft_wrap=True)
    broken = False
    for issue, limit in limits.items():
        if issue not in done.run["issues"]:
            console.print(f"dross: no method looked for {issue}, so --fail-on {issue} says nothing here")
        share = done.run["issues"].get(issue, {}).get("flagged", 0) / done.run["rows"]
        if share > limit:
            console.print(f"dross: {share:.2%} of the rows are flagged for {issue}, more than the {limit:.2%} allowed")
            broken = True
    if broken:
        raise typer.Exit(3)
    if done.failed:
        raise typer.Exit(1)


def _limits(asked: list[str]) -> dict[str, float]:
    from dross.core.errors import DrossError, nearest
    from dross.core.results import Issue

    limits = {}
    for text in asked:
        issue, _, share = text.partition(":")
        if issue not in set(Issue):
            raise DrossError(f"--fail-on: no issue is called {issue!r}", fix=nearest(issue, [str(i) for i in Issue]))
        try:
            limits[issue] = float(share)
        except ValueError:
            raise DrossError(
                f"--fail-on {text}: {share!r} is not a share", fix="write for example label:0.05"
            ) from None
        if not 0 <= limits[issue] <= 1:
            raise DrossError(f"--fail-on {text}: a share lies between 0 and 1", fix="write for example label:0.05")
    return limits


def _check_report(path: Path) -> None:
    """Refuse a report that could not be written, before the work is done rather than after it."""
    from dross.core.errors import DrossError
    from dross.report import build

    build.spare_others(path)
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise DrossError("this is a file, so nothing can be written in it", where=str(above), fix="name a folder")


def _roles(asked: list[str], roles: dict[str, Any]) -> dict[str, Any]:
    """The roles of other options and those that ``--role`` names."""
    from dross.core.errors import DrossError, nearest
    from dross.core.roles import Role

    for text in asked:
        role, given, columns = text.partition("=")
        if role not in set(Role):
            raise DrossError(f"--role: no role is called {role!r}", fix=nearest(role, [str(r) for r in Role]))
        if not given:
            raise DrossError(
                f"--role {role}: no column is named", fix=f"write --role {role}=COLUMN, or --role {role}= to guess none"
            )
        if role in roles:
            raise DrossError(f"the role {role} is given twice", fix="name all its columns in one option")
        names = [name.strip() for name in columns.split(",") if name.strip()]
        roles[role] = names if Role(role).many else (names[0] if len(names) == 1 else names)
    return roles


def _print_roles(data: Dataset) -> None:
    from dross.cli._console import err, one_line
    from dross.io import describe_roles, remarks
    from dross.report.text import counted

    console = err()
    console.print(f"{counted(len(data), 'row')}, {data.task}")
    for role, columns, why in describe_roles(data):
        shown = ", ".join(one_line(column, 80) for column in columns[:6]) + (
            f", … ({len(columns)} columns)" if len(columns) > 6 else ""
        )
        console.print(one_line(f"  {role:<10} {shown}  ({why})"), soft_wrap=True)
    for remark in remarks(data):
        console.print(one_line(f"  note: {remark}"), soft_wrap=True)
