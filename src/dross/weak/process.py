"""Talking to the process that a user's Python rules run in."""

from __future__ import annotations

import math
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pyarrow as pa

from dross.core.errors import DrossError
from dross.weak.answers import Answers
from dross.weak.worker import Header, receive, send, unpack

GRACE = 2.0
"""Seconds that one call may go on after a rule's time is used up, before the process is ended."""
STARTING = 600.0
"""Seconds that importing a file of rules may take."""


class Stopped(Exception):
    """The process had to be ended, or ended by itself, while a rule ran."""


class Process:
    """One process with one file of rules in it; started anew after it had to be ended.

    Parameters
    ----------
    path
        The file of rules.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.rules: list[Header] = []
        self._rows: tuple[Header, pa.Buffer] | None = None
        self._sent = False
        self._child: subprocess.Popen[bytes] | None = None
        self._inbox: queue.SimpleQueue[tuple[Header, bytes] | None] = queue.SimpleQueue()

    def start(self) -> list[Header]:
        """Import the file; what its rules are. Raises DrossError, with the line, where it cannot be imported."""
        if self._child is not None:
            return self.rules
        own = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH", "")]))
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "dross.weak.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._sent = False
        self._inbox = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._child.stdout, self._inbox), daemon=True).start()
        try:
            told, _ = self._ask({"do": "load", "file": str(self.path)}, STARTING)
        except Stopped as error:
            raise DrossError(f"the file of rules cannot be imported: {error}", where=str(self.path)) from None
        if "error" in told:
            self.close()
            line = f":{told['line']}" if told["line"] else ""
            raise DrossError(f"the file of rules cannot be imported: {told['error']}", where=f"{self.path}{line}")
        self.rules = told["rules"]
        return self.rules

    def give(self, table: pa.Table, known: list[str] | None, hidden: list[str]) -> None:
        """The rows that rules are asked about next."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as out:
            out.write_table(table)
        self._rows = ({"do": "rows", "known": known, "hidden": hidden}, sink.getvalue())
        self._sent = False

    def answer(self, rule: int, first: int, seconds: float, slice_seconds: float) -> Answers:
        """Ask a rule about the rows given, from ``first`` on; the answers may end early, after ``slice_seconds``.

        Raises :class:`Stopped` where the rule is not done (or back between two rows) when ``seconds`` have passed, or
        ends the process.
        """
        self.start()
        if not self._sent and self._rows is not None:
            header, payload = self._rows
            self._ask(header, STARTING, payload)
            self._sent = True
        wanted = {"do": "answer", "rule": rule, "first": first, "seconds": min(seconds, slice_seconds)}
        return unpack(*self._ask(wanted, seconds + GRACE))

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        if child.stdin is not None:
            _close(child.stdin)
        child.wait()

    def _ask(self, header: Header, seconds: float, payload: bytes | pa.Buffer = b"") -> tuple[Header, bytes]:
        child = self._child
        if child is None or child.stdin is None:
            raise Stopped("the process is gone")
        try:
            send(child.stdin, header, payload)
            reply = self._inbox.get(timeout=None if math.isinf(seconds) else seconds)
        except queue.Empty:
            self.close()
            raise Stopped("it did not come back in time") from None
        except OSError:
            reply = None
        if reply is None:
            code = child.wait()
            self.close()
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise Stopped(f"it ended the process ({how})")
        return reply


def _read(stream: IO[bytes] | None, inbox: queue.SimpleQueue[tuple[Header, bytes] | None]) -> None:
    """Pass on every message, and at last that there are no more."""
    if stream is None:
        return
    message: tuple[Header, bytes] | None = ({}, b"")
    while message is not None:
        message = receive(stream)
        inbox.put(message)
    _close(stream)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:  # the other side is gone already
        return
