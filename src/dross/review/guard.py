"""The guard in front of the review page: every request passes it, every answer gets its headers from it."""

from __future__ import annotations

import asyncio
import logging
import math
from html import escape
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dross.core.errors import DrossError
from dross.review.security import Gate, named

MOST = 4 * 1024 * 1024
"""Bytes of a request's body, at the most."""
MOST_OUTSIDE = 16 * 1024
"""The same before anybody has signed in."""
PATIENCE = 60.0
"""Seconds in which a body has to arrive."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex",
}
STATIC = "/static/"
AGAIN = "Go back to the terminal in which dross review runs and open the address it shows."
_log = logging.getLogger("dross.review")


class Guard:
    """Middleware: checks Host, Origin and the session, bounds the body, sets the headers, answers what goes wrong.

    Requests that get through carry the person's name in ``request.state.person``. Nothing but the files of the package
    under ``/static/`` is answered without a session.

    Parameters
    ----------
    app
        What is guarded.
    gate
        Who may come in.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        sending = _Sending(send, "no-cache" if scope["path"].startswith(STATIC) else "no-store")
        try:
            await self._answer(scope, receive, sending)
        except Exception:
            _log.exception("an error in %s %s", scope["method"], scope["path"])
            if sending.begun:
                raise
            words = ("something went wrong here", "The terminal in which dross review runs says more.")
            await refusal(scope, 500, *words)(scope, receive, sending)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        if scope["path"].startswith(STATIC) and scope["method"] in SAFE:
            await self.app(scope, receive, send)
            return
        sessions = self.gate.cookies(headers.getlist("cookie"))
        person = self.gate.person(sessions)
        body = None
        if scope["method"] not in SAFE:
            found = await _body(scope, headers, receive, MOST if person else MOST_OUTSIDE)
            if found is None:
                return  # the client is gone
            if isinstance(found, Response):
                await found(scope, receive, send)
                return
            body = found
        answer = await self._at_the_door(scope, headers, body, person, sessions)
        if answer is not None:
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["person"] = person
        await self.app(scope, receive if body is None else _replayed(body, receive), send)

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """What is refused whoever asks: another server's name, and changes that another site's page asks for."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.gate.place.admits(hosts[0]):
            return refusal(scope, 400, "this server has another name", f"Open {self.gate.place.address}/")
        if scope["method"] in SAFE:
            return None
        origins = headers.getlist("origin")
        origin = origins[0] if len(origins) == 1 else None
        if len(origins) > 1 or not self.gate.place.sent(hosts[0], origin, headers.get("sec-fetch-site")):
            return refusal(
                scope, 403, "this request was not sent by the review page",
                "A program has to send the header Origin with this server's address.",
            )  # fmt: skip
        return None

    async def _at_the_door(
        self, scope: Scope, headers: Headers, body: bytes | None, person: str | None, sessions: list[str]
    ) -> Response | None:
        """Coming in and going out; None when the request goes on to the page."""
        path, method = scope["path"], scope["method"]
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if path == "/logout" and method == "POST":
            self.gate.sign_out(sessions)
            return _leaving(self.gate, "/login" if self.gate.password else "/")
        if person is not None:
            return _redirect("/") if path == "/login" or (path == "/" and "token" in query) else None
        if self.gate.password is None and path == "/" and "token" in query:
            session = self.gate.exchange(query["token"][0])
            return _used() if session is None else _entering(self.gate, session, "/")
        if method == "GET" and headers.get("sec-fetch-site") in {"cross-site", "same-site"} and wants_page(scope):
            return _once_more(scope)
        if self.gate.password is not None and path == "/login":
            return await self._login(scope, query, body) if method in {"GET", "POST"} else refusal(scope, 405, "not so")
        if self.gate.password is not None and wants_page(scope):
            return _redirect("/login?next=" + quote(_address_of(scope), safe=""))
        return refusal(scope, 401, "nobody is signed in here", AGAIN if self.gate.password is None else "Sign in.")

    async def _login(self, scope: Scope, query: dict[str, list[str]], body: bytes | None) -> Response:
        after = _local(query.get("next", ["/"])[0])
        if body is None:
            return login_page(after)
        if self.gate.password is None:
            raise DrossError("there is no password")
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8) if len(body) <= MOST_OUTSIDE else {}
        name, password = (fields.get(field, [""])[0] for field in ("name", "password"))
        try:
            name = named(name)
        except DrossError as error:
            return login_page(after, str(error), status=422)
        client = scope.get("client") or ("", 0)
        wait = self.gate.tries.wait(client[0])
        if wait:
            seconds = str(math.ceil(wait))
            page = login_page(after, f"Too many wrong passwords: wait {seconds} s, then try again.", name, 429)
            page.headers["Retry-After"] = seconds
            return page
        if not await asyncio.to_thread(self.gate.password.matches, password):
            return login_page(after, "This is not the password.", name, 403)
        self.gate.tries.right(client[0])
        return _entering(self.gate, self.gate.sign_in(name), after)


class _Sending:
    """Sends an answer on with the headers of every answer."""

    def __init__(self, send: Send, cache: str) -> None:
        self._send, self._cache = send, cache
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["Cache-Control"] = self._cache
        await self._send(message)


async def _body(scope: Scope, headers: Headers, receive: Receive, most: int) -> bytes | Response | None:
    """The whole body; an answer where it is too long or does not come; None where the client is gone."""
    too_long = refusal(scope, 413, f"more than {most / 2**20:.3g} MB were sent", "Send less at a time.")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > most:
        return too_long
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most:  # however it is sent: chunked bodies do not tell their length
                    return too_long
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        return refusal(scope, 408, "the request did not arrive in time", "Send it again.")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body which was read before."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


# ---- answers --------------------------------------------------------------------------------------------------------


def wants_page(scope: Scope) -> bool:
    """Whether a person's browser asks for a page, rather than a script for data."""
    data = ("/api/", "/pictures/", "/audio/", "/openapi.json")
    headers = Headers(scope=scope)
    accepts = "text/html" in headers.get("accept", "") and "hx-request" not in headers
    return accepts and not scope["path"].startswith(data)


def refusal(scope: Scope, status: int, what: str, fix: str = "", where: str | None = None) -> Response:
    """A problem as a page for people, as JSON for programs."""
    if wants_page(scope):
        return page(what[:1].upper() + what[1:], f"<p>{escape(fix)}</p><p><a href='/'>To the overview</a></p>", status)
    return JSONResponse({"what": what, "where": where, "fix": fix or None}, status)


def page(title: str, body: str, status: int = 200, head: str = "") -> HTMLResponse:
    """A small page; ``body`` and ``head`` are HTML, the title is text."""
    return HTMLResponse(
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)} · dross</title>{head}<link rel='stylesheet' href='/static/review.css'>"
        "<link rel='icon' href='/static/icon.svg'></head>"
        f"<body class='door'><main><h1>{escape(title)}</h1>{body}</main></body></html>",
        status,
    )


def login_page(after: str, problem: str = "", name: str = "", status: int = 200) -> HTMLResponse:
    """Where a person gives name and password; ``after`` is the path to go on to."""
    says = f"<p role='alert' class='problem'>{escape(problem)}</p>" if problem else ""
    return page(
        "Sign in to review",
        f"{says}<form method='post' action='/login?next={quote(after, safe='')}'>"
        "<p><label for='name'>Your name</label> <input id='name' name='name' autocomplete='name' maxlength='60' "
        f"required value='{escape(name)}'> <small>It is kept with your decisions.</small></p>"
        "<p><label for='password'>Password</label> <input id='password' name='password' type='password' "
        "autocomplete='current-password' required></p><p><button>Sign in</button></p></form>",
        status,
    )


def _used() -> Response:
    return page(
        "This address was used before",
        "<p>An address opens the review page once. If it was you, the page is open in another window or browser.</p>"
        "<p>For another one, look at the terminal in which <code>dross review</code> runs: a fresh address stands "
        "there. If you have not opened the page yet, somebody else on this machine has: end <code>dross review</code> "
        "and start it again.</p>",
        403,
    )


def _once_more(scope: Scope) -> Response:
    """A link from elsewhere comes without the session's cookie; a page of this server asks again, with it."""
    target = escape(_address_of(scope))
    return page(
        "Opening the review page",
        f"<p><a href='{target}'>Go on</a></p>",
        head=f"<meta http-equiv='refresh' content='0;url={target}'>",
    )


def _address_of(scope: Scope) -> str:
    """Path and query of the request, such that it stays on this server."""
    query = scope["query_string"].decode("latin-1")
    return _local(quote(scope["path"]) + (f"?{query}" if query else ""))


def _local(path: str) -> str:
    """A path of this server: anything else becomes the overview.

    >>> _local("/item/label/3?state=open"), _local("//evil.example"), _local("https://evil.example")
    ('/item/label/3?state=open', '/', '/')
    """
    safe = path.isascii() and path.isprintable() and not set(path) & {"\\", '"', "'", "<", ">", " "}
    return path if path.startswith("/") and not path.startswith("//") and safe else "/"


def _redirect(to: str) -> Response:
    return RedirectResponse(to, 303)


def _entering(gate: Gate, session: str, after: str) -> Response:
    answer = _redirect(after)
    answer.headers["Set-Cookie"] = gate.set_cookie(session)
    return answer


def _leaving(gate: Gate, after: str) -> Response:
    answer = _redirect(after)
    answer.headers["Set-Cookie"] = gate.set_cookie("")
    return answer
