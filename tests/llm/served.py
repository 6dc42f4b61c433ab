"""A real local server that speaks the OpenAI protocol over real sockets; a function says what it answers."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FENCE = re.compile(r"<data-([0-9a-f]{8})>\n(.*?)\n</data-\1>", re.DOTALL)


@dataclass
class Does:
    """What the server does with one request: a reply, or a way to fail."""

    text: str = ""
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    sleep: float = 0.0
    cut: int | None = None
    """Close after so many bytes of the body."""
    reset: bool = False
    drip: float = 0.0
    """Seconds between the bytes of the body."""
    tokens: list[dict[str, Any]] | None = None
    usage: tuple[int, int] | None = (10, 5)
    finish: str = "stop"

    def payload(self) -> bytes:
        if self.body is not None:
            return self.body
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": self.text},
            "finish_reason": self.finish,
        }
        if self.tokens is not None:
            choice["logprobs"] = {"content": self.tokens}
        reply: dict[str, Any] = {"id": "x", "object": "chat.completion", "choices": [choice]}
        if self.usage:
            reply["usage"] = {"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1]}
        return json.dumps(reply).encode()


@dataclass
class Seen:
    """What the server has seen."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    at_once: int = 0
    connections: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self.bodies)

    @contextmanager
    def one(self, body: dict[str, Any], key: str | None, path: str) -> Iterator[int]:
        with self._lock:
            self.bodies.append(body)
            self.keys.append(key)
            self.paths.append(path)
            self._now += 1
            self.at_once = max(self.at_once, self._now)
            number = len(self.bodies)
        try:
            yield number
        finally:
            with self._lock:
                self._now -= 1


Behaviour = Callable[[dict[str, Any], int], Does]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # clients that hang up are part of the tests


@contextmanager
def served(behaviour: Behaviour) -> Iterator[Seen]:
    """Serve on a free port; ``behaviour(request, number)`` says what to do with each request."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            seen.connections += 1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with seen.one(body, self.headers.get("Authorization"), self.path) as number:
                self._answer(behaviour(body, number))

        def _answer(self, does: Does) -> None:
            time.sleep(does.sleep)
            if does.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            payload = does.payload()
            self.send_response(does.status)
            self.send_header("Content-Length", str(len(payload)))
            self.send_header("Content-Type", "application/json")
            for name, value in does.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if does.cut is not None:
                self.wfile.write(payload[: does.cut])
                self.close_connection = True
            elif does.drip:
                for i in range(len(payload)):
                    self.wfile.write(payload[i : i + 1])
                    self.wfile.flush()
                    time.sleep(does.drip)
            else:
                self.wfile.write(payload)

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                return  # the test closed the connection

        def log_message(self, *args: object) -> None:
            return

    server = Server(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def row_of(body: dict[str, Any]) -> str:
    """The last fenced text in the last message: the row that is asked about."""
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    return FENCE.findall(text)[-1][1]
