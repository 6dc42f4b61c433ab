"""``dross findings``: one line per finding, for people and machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FORMATS = ("csv", "json", "parquet")
_SUFFIXES = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def command(
    issue: Annotated[str | None, typer.Option(help="Only this kind of issue (label, duplicate, …).")] = None,
    flagged: Annotated[
        bool, typer.Option("--flagged", help="Only the set chosen for the error rate asked for.")
    ] = False,
    format: Annotated[  # noqa: A002 - the option is called --format
        str | None, typer.Option(help="csv, json (one object a line) or parquet. Default: by the suffix of --out; csv.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write. Default: standard output.")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="The audit. Default: the latest.")] = None,
    workspace: Annotated[Path | None, typer.Option(help="Where the record is. Default: .dross in this folder.")] = None,
) -> None:
    """Print the findings of an audit: row, id, issue, score, flagged, suggestion, method, expected_precision."""
    from dross.ledger import Ledger, workspace_for
    from dross.ledger.listing import write_findings

    kind = _kind(format, out)
    with Ledger.open(workspace_for(given=workspace)) as ledger:
        write_findings(ledger.findings(run, _plain(issue), flagged=flagged), kind, out, ledger.workspace)


def _plain(issue: str | None) -> str | None:
    return None if issue is None else issue.strip().lower().replace("-", "_")


def _kind(format: str | None, out: Path | None) -> str:  # noqa: A002
    from dross.core.errors import DrossError, nearest

    if format is not None and format not in FORMATS:
        raise DrossError(f"findings are not written as {format!r}", fix=nearest(format, list(FORMATS)))
    if format is None and out is not None:
        if out.suffix.lower() not in _SUFFIXES:
            raise DrossError(
                f"the suffix {out.suffix!r} names no format of findings", fix="add --format csv, json or parquet"
            )
        return _SUFFIXES[out.suffix.lower()]
    return format or "csv"
