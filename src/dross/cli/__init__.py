"""The command line: every module beside this one is a command, a thin call of the Python API."""

from __future__ import annotations

import io
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

INTERRUPTED = "dross: interrupted; what was finished is kept, run the same command again to go on"


def main() -> None:
    """Run ``dross``; a problem a person can mend is one line on standard error and exit code 2."""
    from dross.core.errors import DrossError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Unicode gets codes for what it cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _remark
            _app()()
    except DrossError as error:
        _say(f"dross: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        _say(INTERRUPTED)
        sys.exit(130)
    except SystemExit as end:
        if end.code == 130:  # Ctrl-C inside a command
            _say(INTERRUPTED)
        raise


def _app() -> typer.Typer:
    """Build the application from the modules of this folder."""
    import importlib
    from pathlib import Path

    import typer

    app = typer.Typer(
        name="dross",
        no_args_is_help=True,
        rich_markup_mode="rich",
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    def options(
        version: bool = typer.Option(False, "--version", help="Print the version."),
    ) -> None:
        """Find what is wrong with training data, repair it reversibly, and prove that it helped."""
        if version:
            from dross import __version__
            from dross.cli._console import plain

            plain(__version__)
            raise typer.Exit

    app.callback(invoke_without_command=True)(options)
    for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = importlib.import_module(f"dross.cli.{file.stem}")
        app.command(file.stem)(module.command)
    return app


def _remark(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Show a warning as one line, without the place in the code that Python names."""
    _say(f"dross: note: {message}")


def _say(text: str) -> None:
    from dross.cli._console import one_line

    print(one_line(text), file=sys.stderr)  # noqa: T201
