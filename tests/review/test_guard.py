from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from dross.review.guard import HEADERS, MOST, Guard
from dross.review.security import Gate
from tests.review.conftest import Browser
from tests.review.guarded import HERE, PHRASE, guarded, inside, path_of


@pytest.fixture
def signed_in() -> Browser:
    gate, browser = guarded()
    assert browser.get(path_of(gate)).status == 303
    return browser


# ---- changes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "site", "status"),
    [
        ("http://127.0.0.1:8000", "", 200), ("HTTP://127.0.0.1:8000", "cross-site", 200), ("null", "same-origin", 200),
        ("", "same-origin", 200), ("", "", 403), ("null", "", 403), ("null", "cross-site", 403), ("", "none", 403),
        ("", "same-site", 403), ("http://evil.example", "same-origin", 403), ("https://127.0.0.1:8000", "", 403),
        ("http://127.0.0.1:8001", "", 403), ("http://localhost:8000", "", 403),
        ("http://127.0.0.1:8000.evil.example", "", 403),
    ],
)  # fmt: skip
def test_changes_come_from_this_servers_pages_only(signed_in: Browser, origin: str, site: str, status: int) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        sent = signed_in.send(method, "/api/decisions", {"origin": origin, "sec-fetch-site": site}, [b"{}"])
        assert sent.status == status


def test_a_body_is_bounded_whether_it_tells_its_length_or_not(signed_in: Browser) -> None:
    origin = {"origin": "http://127.0.0.1:8000"}
    half = b"x" * (MOST // 2)
    assert signed_in.send("POST", "/", origin, [half, half]).json["bytes"] == MOST
    assert signed_in.send("POST", "/", origin, [half, half, b"x"]).status == 413
    assert signed_in.send("POST", "/", {**origin, "content-length": str(MOST + 1)}, [b""]).status == 413
    assert signed_in.send("POST", "/", {**origin, "content-length": "-1"}, [b""]).status == 413
    assert signed_in.send("POST", "/", {**origin, "content-length": "5"}, [b"12345"]).json["bytes"] == 5


def test_strangers_can_send_little() -> None:
    _, browser = guarded(password=PHRASE)
    origin = {"origin": "http://127.0.0.1:8000"}
    assert browser.send("POST", "/login", origin, [b"x" * 20_000]).status == 413


# ---- answers --------------------------------------------------------------------------------------------------------


def test_every_answer_has_the_headers(signed_in: Browser) -> None:
    stranger = Browser(signed_in.app)
    wrong_host = Browser(signed_in.app, host="evil.example")
    answers = {
        200: signed_in.get("/"), 400: wrong_host.get("/"), 401: stranger.get("/"), 403: stranger.get("/?token=x"),
        413: signed_in.send("POST", "/", {"origin": "http://127.0.0.1:8000"}, [b"x" * (MOST + 1)]),
        500: signed_in.get("/broken"),
    }  # fmt: skip
    for status, answer in answers.items():
        assert answer.status == status
        assert {name: answer.headers.get(name.lower()) for name in HEADERS} == HEADERS
        assert answer.headers["cache-control"] == "no-store"
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none'")


def test_an_error_inside_tells_nothing(signed_in: Browser, caplog: pytest.LogCaptureFixture) -> None:
    for answer in (signed_in.get("/broken"), signed_in.api("/broken")):
        assert answer.status == 500
        assert b"secret" not in answer.body
    assert "a secret of the server" in caplog.text


def test_what_the_guarded_says_about_headers_does_not_count() -> None:
    async def loose(scope: Any, receive: Any, send: Any) -> None:
        headers = {"Content-Security-Policy": "default-src *", "Cache-Control": "public"}
        await PlainTextResponse("x", headers=headers)(scope, receive, send)

    gate = Gate(HERE, "ada")
    browser = Browser(Guard(loose, gate))
    browser.get(path_of(gate))
    answer = browser.get("/")
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_websockets_are_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    asyncio.run(Guard(inside, Gate(HERE, "ada"))({"type": "websocket", "path": "/"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
