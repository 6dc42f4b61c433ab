"""Runs that are killed or interrupted, in processes of their own: nothing that was answered is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dross.llm.cache import Cache
from dross.llm.client import Client
from dross.llm.prompt import Message, Prompt
from dross.llm.transport import Server
from tests.llm.served import Behaviour, Does, served


def echo(body: dict[str, Any], number: int) -> Does:
    return Does(f"seen {body['messages'][-1]['content']}")


_JOB = """
import sys
from pathlib import Path
from dross.llm.cache import Cache
from dross.llm.client import Client
from dross.llm.prompt import Message, Prompt
from dross.llm.transport import Server
asked = [Prompt((Message("user", f"row {i}"),), max_tokens=8) for i in range(150)]
Client(Server(sys.argv[1], "tiny", concurrency=4), Cache(Path(sys.argv[2])))(asked)
"""


def _job(behaviour: Behaviour, kept: Path, sign: signal.Signals) -> int:
    """Run a client in a process of its own and send a signal after 40 requests, upon which it ends; the requests."""
    with served(behaviour) as seen:
        command = [sys.executable, "-c", _JOB, seen.url, str(kept)]
        job = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while len(seen) < 40 and time.monotonic() < until:
            time.sleep(0.01)
        job.send_signal(sign)
        job.wait(60)
        return len(seen)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, sign: signal.Signals) -> None:
    kept = tmp_path / "answers.sqlite"
    sent = _job(lambda body, number: Does(echo(body, number).text, sleep=0.01), kept, sign)
    assert 40 <= sent < 150
    cache = Cache(kept)
    assert sent - 4 <= len(cache) <= sent  # only what was under way is lost
    had = len(cache)
    asked = [Prompt((Message("user", f"row {i}"),), max_tokens=8) for i in range(150)]
    with served(echo) as seen:
        answers = Client(Server(seen.url, "tiny"), cache)(asked)
        assert [a.text for a in answers] == [f"seen row {i}" for i in range(150)]
        assert len(seen) == 150 - had


def test_an_interrupt_does_not_wait_for_a_slow_server(tmp_path: Path) -> None:
    def slow(body: dict[str, Any], number: int) -> Does:
        return Does("x", sleep=0.01 if number < 40 else 600)

    assert _job(slow, tmp_path / "answers.sqlite", signal.SIGINT) >= 40  # it ended, with requests under way
