"""The server of the review page: a socket, TLS, a browser, and an end by Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dross.core.errors import DrossError, MissingExtra

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI
    from starlette.types import Message

    from dross.review.desk import Desk
    from dross.review.security import Gate

LIBRARIES = ("fastapi", "uvicorn", "python_multipart")
CONCURRENT = 200
"""Connections at the same time; more are turned away."""
GRACE = 3
"""Seconds that requests under way have when the server ends."""


@dataclass(frozen=True)
class Certificate:
    """The files of a TLS certificate chain and its private key, both PEM."""

    chain: Path
    key: Path

    def check(self) -> None:
        """Raise unless a server can be run with them."""
        for file in (self.chain, self.key):
            if not file.is_file():
                raise DrossError("there is no such file", where=str(file), fix="give the PEM files of the certificate")
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.chain, self.key, password="")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise DrossError(
                f"TLS cannot use this certificate and key ({getattr(error, 'reason', None) or error})",
                where=str(self.chain),
                fix="give a PEM certificate chain and its own key, not encrypted",
            ) from error


@dataclass(frozen=True)
class Options:
    """How the page is served.

    Attributes
    ----------
    host, port
        Where to listen; port 0 lets the system choose one.
    author
        The person's name where there is no password; whoever runs this process by default.
    password
        Asked for, with a name, instead of a one-time token in the address.
    certificate
        For TLS.
    browser
        Whether to open the page in this machine's browser.
    """

    host: str = "127.0.0.1"
    port: int = 0
    author: str | None = None
    password: str | None = None
    certificate: Certificate | None = None
    browser: bool = True

    def check(self) -> None:
        """Raise where they would be unsafe, or make no sense together."""
        from dross.review.security import Password, is_loopback, named

        if not is_loopback(self.host):
            lacking = [
                name
                for name, given in (("--password", self.password), ("--tls-cert and --tls-key", self.certificate))
                if given is None
            ]
            if lacking:
                raise DrossError(
                    f"other machines can reach {self.host}, so the page needs a password, and TLS so that neither the "
                    "password nor your data crosses the network in clear",
                    fix=f"add {' and '.join(lacking)}; or leave out --host and come through an ssh tunnel",
                )
        if self.password is not None:
            Password(self.password)
            if self.author is not None:
                raise DrossError("with a password each person gives a name when signing in", fix="leave out --author")
        elif self.author is not None:
            named(self.author)
        if self.certificate is not None:
            self.certificate.check()


def check_installed() -> None:
    """Raise unless the libraries of the extra ``review`` are there."""
    from importlib.util import find_spec

    for library in LIBRARIES:
        if find_spec(library) is None:
            raise MissingExtra.of(library, "review")


def serve(desk: Desk, options: Options, say: Callable[[str], None]) -> None:
    """Serve the review page of a desk until Ctrl-C.

    Parameters
    ----------
    desk
        What is under review.
    options
        Where and for whom.
    say
        Called with each line for the person at the terminal; the address is one of them.

    Raises
    ------
    DrossError
        When the options are unsafe, or the address is in use.
    """
    check_installed()
    options.check()
    from dross.ledger.edits import person
    from dross.review.app import create_app
    from dross.review.security import Gate, Place

    listening = _listen(options.host, options.port)
    with listening:
        place = Place(options.host, listening.getsockname()[1], tls=options.certificate is not None)
        gate = Gate(
            place,
            options.author or person(),
            options.password,
            say=lambda address: say(f"That address was used before. A fresh one: {address}"),
        )

        def begun() -> None:
            say(f"Review page: {gate.address}")
            say("Ctrl-C ends it; every decision is kept as soon as the page shows it.")
            if options.browser:
                threading.Thread(target=_open, args=(gate.address, say), daemon=True).start()

        app = create_app(desk, gate)
        warm(app, gate, desk)
        try:
            _server(app, options, begun).run([listening])
        except KeyboardInterrupt:
            say("The review page has ended; every decision is kept.")


def warm(app: FastAPI, gate: Gate, desk: Desk) -> None:
    """Open the first pages once, so that nobody waits while queues are ordered and libraries load.

    What goes wrong here is told to whoever opens the page in earnest.
    """
    session = gate.sign_in("dross")
    paths = ["/"]
    for issue in desk.issues:
        row = desk.next(issue)
        paths += [f"/queue/{issue}", *([] if row is None else [f"/item/{issue}/{row}"])]
    asyncio.run(_visit(app, gate, session, paths))
    gate.sign_out([session])


async def _visit(app: FastAPI, gate: Gate, session: str, paths: Sequence[str]) -> None:
    headers = {"host": gate.place.address.partition("://")[2], "cookie": f"{gate.cookie}={session}"}

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        """Nobody reads the answer."""

    for path in paths:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": None,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        await app(scope, receive, send)


def _server(app: FastAPI, options: Options, begun: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            begun()

    certificate = options.certificate
    config = uvicorn.Config(
        app,
        ssl_certfile=None if certificate is None else certificate.chain,
        ssl_keyfile=None if certificate is None else certificate.key,
        access_log=False,  # addresses hold the token, and rows that somebody looked at
        log_level="warning",
        proxy_headers=False,  # nobody in front is to say where a request comes from
        server_header=False,
        ws="none",
        limit_concurrency=CONCURRENT,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE,
    )
    return Server(config)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens there."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise DrossError(
            f"no address is called {host!r}", fix="leave out --host, or name one of this machine"
        ) from error
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise DrossError(
            f"nothing can listen at {host}, port {port} ({error.strerror})",
            fix="choose another --port; 0 finds a free one",
        ) from error
    return listening


def _open(address: str, say: Callable[[str], None]) -> None:
    import webbrowser

    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        say("No browser could be opened here: open the address yourself.")


def line(text: str) -> None:
    """One line on standard output at once, also where it goes to a file or a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
