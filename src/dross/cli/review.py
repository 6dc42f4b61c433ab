"""``dross review``: the page where people decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dross.review.server import Options

SERVING = "Serving"
TYPED = "-"


def command(
    workspace: Annotated[Path | None, typer.Option(help="Where the record is. Default: .dross in this folder.")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="The audit. Default: the latest.")] = None,
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose decisions these are. Default: your login name.")
    ] = None,
    opinions: Annotated[
        int, typer.Option(min=1, max=99, metavar="K", help="How many people have to give an opinion on a finding.")
    ] = 1,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write all that was decided to a file and end; its suffix tells the format: .csv, .jsonl, .parquet.",
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.", rich_help_panel=SERVING)
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 finds a free one.", rich_help_panel=SERVING)] = 0,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen at. One that other machines reach needs --password and TLS.",
            rich_help_panel=SERVING,
        ),
    ] = "127.0.0.1",
    password: Annotated[
        str | None,
        typer.Option(
            envvar="DROSS_PASSWORD",
            metavar="PASSWORD|-",
            help="People sign in with it and a name of their own; - asks for it. Others on this machine may see the "
            "command line: - or the environment hide it.",
            show_envvar=True,
            rich_help_panel=SERVING,
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate chain, PEM.", rich_help_panel=SERVING)
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.", rich_help_panel=SERVING)
    ] = None,
) -> None:
    """Open the page where people look at the findings and decide; every decision can be taken back."""
    from dross.ledger import workspace_for

    where = workspace_for(given=workspace)
    if export is not None:
        _export(where, run, opinions, export)
        return
    from dross.review.server import Certificate, Options, check_installed

    check_installed()
    if (tls_cert is None) != (tls_key is None):
        from dross.core.errors import DrossError

        raise DrossError("TLS needs a certificate and its key", fix="give both --tls-cert and --tls-key")
    pair = None if tls_cert is None or tls_key is None else Certificate(tls_cert, tls_key)
    options = Options(host, port, author, _asked(password), pair, browser=not no_browser)
    options.check()
    _serve(where, run, opinions, options)


def _serve(where: Path, run: str | None, opinions: int, options: Options) -> None:
    from dross.cli._console import inert
    from dross.review.desk import Desk
    from dross.review.server import line, serve

    desk = Desk.open(where, run, needed=opinions)
    try:
        serve(desk, options, lambda text: line(inert(text)))
    finally:
        desk.close()


def _asked(password: str | None) -> str | None:
    """The password, typed in where it is given as ``-``; an empty one in the environment is none."""
    if password != TYPED:
        return password or None
    import getpass

    from dross.core.errors import DrossError

    try:
        return getpass.getpass("Password for the review page: ")
    except (EOFError, KeyboardInterrupt) as end:
        raise DrossError("no password was given") from end


def _export(where: Path, run: str | None, opinions: int, out: Path) -> None:
    from dross.cli._console import err, inert
    from dross.core.errors import DrossError
    from dross.report.text import counted
    from dross.review.desk import Desk
    from dross.review.media import write_decisions

    kinds = {
        ".csv": "csv",
        ".json": "json",
        ".jsonl": "json",
        ".ndjson": "json",
        ".parquet": "parquet",
        ".pq": "parquet",
    }
    kind = kinds.get(out.suffix.lower())
    if kind is None:
        raise DrossError(f"the suffix {out.suffix!r} names no format", fix="use .csv, .jsonl or .parquet")
    desk = Desk.open(where, run, needed=opinions)
    try:
        count = write_decisions(desk, kind, out)
    finally:
        desk.close()
    err().print(inert(f"{counted(count, 'opinion')} written to {out}"), soft_wrap=True)
