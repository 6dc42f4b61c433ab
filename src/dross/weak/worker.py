"""The process that a user's Python rules run in: what hangs, crashes or prints in it harms nobody else.

Messages on its standard input are answered one by one on its standard output: a length, a JSON header, and the bytes of
the arrays or the Arrow table that belongs to it. What the rules print goes to standard error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from dross.weak.answers import Answers, Columns, Failure, answer_rows, answer_table
from dross.weak.functions import LabelingFunction, collected
from dross.weak.identity import Parts, identity, line_of

Header = dict[str, Any]
WATCH = 0.5
"""Seconds between looks at whether the process that asked is still there."""


def send(stream: IO[bytes], header: Header, payload: bytes | memoryview | pa.Buffer = b"") -> None:
    """Write one message."""
    text = json.dumps(header).encode()
    stream.write(len(text).to_bytes(8, "little") + len(payload).to_bytes(8, "little") + text)
    stream.write(payload)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Header, bytes] | None:
    """Read one message; None where the other side has gone."""
    sizes = stream.read(16)
    if len(sizes) < 16:
        return None
    header = stream.read(int.from_bytes(sizes[:8], "little"))
    wanted = int.from_bytes(sizes[8:], "little")
    payload = stream.read(wanted)
    return (json.loads(header), payload) if len(payload) == wanted else None


def pack(answers: Answers) -> tuple[Header, bytes]:
    """Answers as a message."""
    arrays = (answers.codes, answers.soft_rows, answers.soft)
    header = {
        "classes": answers.classes,
        "sizes": [len(answers.codes), len(answers.soft_rows)],
        "failures": {key: vars(failure) for key, failure in answers.failures.items()},
        "seconds": answers.seconds,
    }
    return header, b"".join(array.tobytes() for array in arrays)


def unpack(header: Header, payload: bytes) -> Answers:
    """Answers from a message.

    >>> one = Answers(np.array([0, -1], np.int32), ["a"], np.empty(0, np.int64), np.empty((0, 1), np.float32))
    >>> unpack(*pack(one)).codes.tolist()
    [0, -1]
    """
    n, s = header["sizes"]
    return Answers(
        np.frombuffer(payload, np.int32, n),
        header["classes"],
        np.frombuffer(payload, np.int64, s, 4 * n),
        np.frombuffer(payload, np.float32, s * len(header["classes"]), 4 * n + 8 * s).reshape(
            s, len(header["classes"])
        ),
        {key: Failure(**one) for key, one in header["failures"].items()},
        header["seconds"],
    )


def import_rules(path: Path) -> list[LabelingFunction]:
    """Import a file of rules, with its folder first on the path as Python does for a script."""
    sys.path.insert(0, str(path.parent))
    sys.dont_write_bytecode = True  # nothing is left beside the user's files
    spec = importlib.util.spec_from_file_location(f"dross_rules_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with collected() as found:
        spec.loader.exec_module(module)
    return found


def _load(path: Path) -> tuple[list[LabelingFunction], Header]:
    try:
        rules = import_rules(path)
        parts = Parts(path)
        told = [
            {
                "name": rule.name,
                "line": line_of(rule),
                "vectorised": rule.vectorised,
                "timeout": rule.timeout,
                "digest": identity(rule, parts),
            }
            for rule in rules
        ]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's file may raise anything; it is reported
        return [], {"error": f"{type(error).__name__}: {error}", "line": _line_in(path, error)}
    else:
        return rules, {"rules": told}


def _line_in(path: Path, error: BaseException) -> int:
    """The line of the user's file that an error comes from; 0 where there is none."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return int(error.lineno or 0)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return int(lines[-1] or 0) if lines else 0


def serve(wanted: IO[bytes], told: IO[bytes]) -> None:
    """Answer messages until there are no more."""
    rules: list[LabelingFunction] = []
    table, columns = pa.table({}), Columns(pa.table({}))
    known: Sequence[str] | None = None
    while (message := receive(wanted)) is not None:
        header, payload = message
        if header["do"] == "load":
            rules, answer = _load(Path(header["file"]))
            send(told, answer)
        elif header["do"] == "rows":
            with pa.ipc.open_stream(payload) as stream:
                table = stream.read_all()
            known = header["known"]
            columns = Columns(table, header["hidden"])
            send(told, {})
        else:
            rule, first = rules[header["rule"]], header["first"]
            if rule.vectorised:
                answers = answer_table(rule, table.slice(first), known)
            else:
                answers = answer_rows(rule, columns, first, known, header["seconds"])
            send(told, *pack(answers))


def main() -> None:
    """Keep the two pipes for messages; whatever the rules read or print goes elsewhere."""
    wanted, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    try:
        serve(wanted, told)
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)


def _leave_with(parent: int) -> None:
    """End this process when the one that asked is gone: a rule that hangs must not stay behind."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


if __name__ == "__main__":
    main()
