"""``dross apply``: make the changes that a policy asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dross.ledger.edits import Draft

EXAMPLES = 3


def command(
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="ISSUE=ACTION,…",
            help="drop, relabel, reweight or review, by kind of issue: label=relabel,duplicate=drop. What it does not "
            "name waits for review. Without it, of copies all but one are dropped, labels change where the suggestion "
            "is right with a chance of 0.9 or more, and all else waits.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the edits; write nothing.")] = False,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="The audit to follow. Default: the latest.")] = None,
    workspace: Annotated[Path | None, typer.Option(help="Where the record is. Default: .dross in this folder.")] = None,
) -> None:
    """Turn findings into edits and write a new version; your file is never touched, and all can be taken back."""
    from dross.cli._console import out
    from dross.ledger import Ledger, workspace_for

    with Ledger.open(workspace_for(given=workspace)) as ledger:
        version = None if dry_run else ledger.apply(policy, run=run)
        if version is not None:
            _show(version.summary, ())
            out().print(
                f"version {version.number} is written ({version.rows:,} rows).\n"
                f"Take it back: dross undo v{version.number}    Write it out: dross export --out FILE"
            )
            return
        plan = ledger.plan(policy, run=run)
        _show(plan.summary, plan.drafts)
        if dry_run:
            out().print("dry run: nothing is written.")
        else:
            out().print("nothing is written: no change is asked for that is not made already.")


def _show(summary: Mapping[str, Any], drafts: Sequence[Draft]) -> None:
    from rich.table import Table

    from dross.cli._console import out

    if summary["edits"]:
        table = Table(title="edits", title_justify="left")
        table.add_column("issue")
        table.add_column("action")
        table.add_column("rows", justify="right")
        if drafts:
            table.add_column("examples", overflow="fold")
        for issue, actions in summary["edits"].items():
            for action, count in actions.items():
                examples = [_example(d) for d in drafts if (d.issue, d.action) == (issue, action)][:EXAMPLES]
                table.add_row(issue, action, f"{count:,}", *(["\n".join(examples)] if drafts else []))
        out().print(table)
    if summary["waiting"]:
        waiting = ", ".join(f"{count:,} {issue}" for issue, count in summary["waiting"].items())
        out().print(f"waiting for review: {waiting}")
    for note in summary["notes"]:
        out().print(note)


def _example(draft: Draft) -> str:
    from dross.cli._console import inert

    change = f"{draft.before} → {draft.after}" if draft.field else "dropped"
    sure = "" if draft.confidence is None else f", chance {draft.confidence:.2f}"
    reason = draft.reason.rpartition("; policy")[0]
    return inert(f"row {draft.position} (id {draft.key}): {change}; {reason}{sure}").replace("\n", "�")
