"""HTTP to an OpenAI-compatible server, on the standard library: one request, one reply or one reason why not.

The standard library rather than the ``openai`` client: there is one kind of request; retries, waiting, deadlines and
what is kept must be in one hand; and it needs no install and no second to import.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import socket
import ssl
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from dross.core.errors import DrossError
from dross.llm.budget import Price

LARGEST = 16 << 20
"""Bytes of a reply beyond which it is not read on."""
_AGAIN = frozenset({408, 409, 425, 429})
_FATAL = frozenset({401, 402, 403, 404, 405, 407})


@dataclass(frozen=True)
class Server:
    """A model behind an OpenAI-compatible server.

    Attributes
    ----------
    url
        Up to, not including, ``/chat/completions``; mostly it ends in ``/v1``.
    model
        The model's name, as the server knows it.
    key_variable
        The environment variable that holds the key; the key itself is never kept, shown or logged.
    edition
        Tells this model from another of the same name (on another server, of another quantisation).
    price
        What 1,000 tokens cost.
    concurrency
        Requests under way at a time.
    timeout
        Seconds that one request may take.
    retries
        How often a request is tried again after a failure that may pass.
    patience
        Seconds a request waits in all where the server says how long to wait; one that asks for more is given up.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    edition: str = ""
    price: Price = field(default_factory=Price)
    concurrency: int = 8
    timeout: float = 60.0
    retries: int = 5
    patience: float = 120.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DrossError(
                f"{self.url!r} is not the address of a server", fix="give one like http://localhost:8000/v1"
            )
        if parts.username or parts.password:
            raise DrossError("the address of a server holds a password", fix="put the key in an environment variable")
        if not self.model:
            raise DrossError("no model is named", where=self.url)
        if self.concurrency < 1 or self.retries < 0 or self.timeout <= 0 or self.patience < 0:
            raise DrossError(
                "concurrency must be at least 1, timeout above 0, retries and patience at least 0", where=self.url
            )

    @property
    def name(self) -> str:
        """The model, and its edition."""
        return f"{self.model}@{self.edition}" if self.edition else self.model


class Kind(Enum):
    """What a failure means for the request."""

    AGAIN = "it may pass"
    REFUSED = "the server does not take this request"
    FATAL = "no request will do better"


class Failure(Exception):
    """One try that brought no answer."""

    def __init__(self, kind: Kind, why: str, *, wait: float | None = None, slow: bool = False) -> None:
        super().__init__(why)
        self.kind, self.why, self.wait = kind, why, wait
        self.slow = slow
        """Whether the server may have worked, and asked for money, all the same."""


class Transport:
    """Connections to one server, one a thread, kept open between requests."""

    def __init__(self, server: Server) -> None:
        self.server = server
        parts = urlsplit(server.url)
        self._secure = parts.scheme == "https"
        self._host, self._port = str(parts.hostname), parts.port
        self._path = parts.path.rstrip("/") + "/chat/completions" + (f"?{parts.query}" if parts.query else "")
        self._key = os.environ.get(server.key_variable, "").strip() if server.key_variable else ""
        if any(not " " < c <= "~" for c in self._key):
            raise DrossError(
                "the key for the server holds a character that no key has", where=f"${server.key_variable}"
            )
        self._local = threading.local()
        self._live: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send one request; the reply as JSON. Raises Failure."""
        payload = json.dumps(body).encode()
        started = time.monotonic()
        try:
            status, headers, data = self._send(payload, started + self.server.timeout)
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise Failure(Kind.FATAL, f"its certificate is not trusted: {error.verify_message}") from error
        except TimeoutError as error:
            self._drop()
            raise Failure(Kind.AGAIN, f"no answer within {self.server.timeout:g} s", slow=True) from error
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise Failure(Kind.AGAIN, _reason(error), slow=isinstance(error, http.client.IncompleteRead)) from error
        return self._judge(status, headers, data)

    def open(self) -> None:
        """Allow connections again after :meth:`close`."""
        self._closed = False

    def close(self) -> None:
        """Cut every connection, also those that wait for an answer, and make no new one."""
        self._closed = True
        with self._lock:
            live, self._live = self._live, set()
        for connection in live:
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it is closed already
                finally:
                    connection.close()

    # ---- sending ----------------------------------------------------------------------------------------------------

    def _send(self, payload: bytes, deadline: float) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "dross"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        kept = getattr(self._local, "connection", None) is not None
        while True:
            connection = self._connection()
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(max(deadline - time.monotonic(), 0.01))
                connection.request("POST", self._path, payload, headers)
                response = connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._drop()
                if not kept:
                    raise
                kept = False  # the server had closed the idle connection; a fresh one tells
                continue
            data = self._read(response, connection, deadline)
            if response.will_close:
                self._drop()
            return response.status, response.headers, data

    def _read(
        self, response: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float
    ) -> bytes:
        """The body; in pieces, so that a server that drips cannot hold the request beyond its time."""
        pieces, size = [], 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if connection.sock is not None:
                connection.sock.settimeout(left)
            piece = response.read1(1 << 16)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                self._drop()
                raise Failure(Kind.AGAIN, f"its answer is longer than {LARGEST >> 20} MiB")
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and size < int(length):
            raise http.client.IncompleteRead(b"".join(pieces), int(length) - size)
        response.close()  # the connection is free for the next request
        return b"".join(pieces)

    def _connection(self) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if self._closed:
            raise ConnectionAbortedError("the run was stopped")
        if kept is not None:
            return kept
        made = self._to_server()
        self._local.connection = made
        with self._lock:
            self._live.add(made)
        return made

    def _to_server(self) -> http.client.HTTPConnection:
        host, port, timeout = self._host, self._port, self.server.timeout
        proxy = urllib.request.getproxies().get("https" if self._secure else "http", "")
        through = urlsplit(proxy if "//" in proxy else f"//{proxy}") if proxy else None
        near = host in ("localhost", "::1") or host.startswith("127.")
        use = through is not None and through.hostname and not near and not urllib.request.proxy_bypass(host)
        at, door = (str(through.hostname), through.port) if use and through is not None else (host, port)
        made: http.client.HTTPConnection
        if self._secure:
            made = http.client.HTTPSConnection(at, door, timeout=timeout, context=ssl.create_default_context())
        else:
            made = http.client.HTTPConnection(at, door, timeout=timeout)
        if use:
            made.set_tunnel(host, port or (443 if self._secure else 80))
        return made

    def _drop(self) -> None:
        kept = getattr(self._local, "connection", None)
        self._local.connection = None
        if kept is not None:
            with self._lock:
                self._live.discard(kept)
            kept.close()

    # ---- judging ----------------------------------------------------------------------------------------------------

    def _judge(self, status: int, headers: http.client.HTTPMessage, data: bytes) -> dict[str, Any]:
        try:
            reply = json.loads(data)
        except (ValueError, RecursionError):
            reply = None
        if status == 200 and isinstance(reply, dict) and "error" not in reply:
            return reply
        told = self._message(reply, data)
        if status == 200:
            raise Failure(Kind.AGAIN, f"its answer is {'an error: ' if isinstance(reply, dict) else 'no JSON: '}{told}")
        why = f"status {status}: {told}" if told else f"status {status}"
        if status in {401, 403}:
            variable = self.server.key_variable or "no variable"
            state = f"the key in ${variable}" if self._key else f"no key (${variable} is not set)"
            raise Failure(Kind.FATAL, f"it refuses {state}: {why}")
        if status in _FATAL or status < 400 or "insufficient_quota" in str(reply):
            raise Failure(Kind.FATAL, why)
        if status in _AGAIN or status >= 500:
            raise Failure(Kind.AGAIN, why, wait=retry_after(headers))
        raise Failure(Kind.REFUSED, why)

    def _message(self, reply: Any, data: bytes) -> str:
        error = reply.get("error", reply.get("detail", reply.get("message"))) if isinstance(reply, dict) else None
        if isinstance(error, dict):
            error = error.get("message", error)
        text = str(error) if error else data[:2000].decode("utf-8", "replace")
        text = re.sub(r"<[^>]*>", " ", text) if error is None else text
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        text = text.replace(self._key, "***") if self._key else text
        return text if len(text) <= 240 else text[:239] + "…"


def retry_after(headers: http.client.HTTPMessage) -> float | None:
    """Seconds that the server asks to wait, from ``retry-after-ms`` or ``Retry-After`` (seconds or a date)."""
    for name, scale in (("retry-after-ms", 1e-3), ("Retry-After", 1.0)):
        given = headers.get(name)
        if given is None:
            continue
        try:
            seconds = float(given) * scale
        except ValueError:
            try:
                seconds = parsedate_to_datetime(given).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if math.isfinite(seconds):
            return max(seconds, 0.0)
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens at this address"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, http.client.IncompleteRead):
        return "it broke off in the middle of an answer"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return "it closed the connection without an answer"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
