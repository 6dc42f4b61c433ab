"""A review page served by a process of its own, and a program that talks to it over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Served:
    """``dross review`` in a process; the first line that it prints has the address."""

    workspace: Path
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    people: list[Person] = field(default_factory=list)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "dross", "review", "--workspace", str(self.workspace), "--no-browser"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **self.environment}
        self.process = subprocess.Popen(
            [*command, *self.options], env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline()]
        assert self.said[0].startswith("Review page: http"), self.said[0] + self.process.stdout.read()
        self.address = self.said[0].split()[-1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for person in self.people:
            person.connection.close()
        if self.process.poll() is None:
            self.process.kill()
        self.rest()

    def rest(self) -> str:
        """What else it says until it ends."""
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            return ""
        too_long = threading.Timer(60, self.process.kill)
        too_long.start()
        with self.process.stdout as out:  # not communicate(): it passes over what readline() has read ahead
            said = out.read()
        self.process.wait()
        too_long.cancel()
        return said

    def stranger(self) -> Person:
        """Somebody who has not come in."""
        self.people.append(Person(self.address))
        return self.people[-1]

    def person(self) -> Person:
        """Whoever opens the address."""
        one = self.stranger()
        one.enter()
        return one


class Person:
    """A session with a server; not for two threads."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.first = f"{parts.path}?{parts.query}"
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self.cookie = ""

    def enter(self) -> None:
        """Exchange the token for a session."""
        status, headers, _ = self.send("GET", self.first)
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]

    def sign_in(self, name: str, password: str) -> int:
        """Give name and password."""
        form = f"name={name}&password={password}"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        status, headers, _ = self.send("POST", "/login", form.encode(), kind)
        self.cookie = headers.get("set-cookie", "").partition(";")[0]
        return status

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with small names, and body of the answer."""
        given = {"Cookie": self.cookie, "Origin": self.origin, **(headers or {})}
        self.connection.request(method, path, body, given)
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def get(self, path: str) -> Any:
        """Data."""
        status, _, content = self.send("GET", path)
        assert status == 200, content
        return json.loads(content)

    def post(self, path: str, content: Any) -> tuple[int, Any]:
        """Status and data of the answer."""
        sent = json.dumps(content).encode()
        status, _, answer = self.send("POST", path, sent, {"Content-Type": "application/json"})
        return status, json.loads(answer)
