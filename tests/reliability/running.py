"""Running a command in this process as the shell would see it: exit code, standard output, standard error."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from dross.cli import main


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def run(*arguments: str | Path) -> Ran:
    """Run ``dross`` with these arguments; whatever it raises beyond ``SystemExit`` is a traceback, so it is let out."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["dross", *map(str, arguments)]
    code: object = 0
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Ran(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())
