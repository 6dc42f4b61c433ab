"""A guard with next to nothing behind it, for the tests of who may come in."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from dross.review.guard import Guard
from dross.review.security import Gate, Place
from tests.review.conftest import Browser

HERE = Place("127.0.0.1", 8000)
PHRASE = "correct horse"


async def inside(scope: Any, receive: Any, send: Any) -> None:
    """What is guarded: tells who came through and how much was sent."""
    request = Request(scope, receive)
    if scope["path"] == "/broken":
        raise RuntimeError("a secret of the server")
    body = await request.body()
    answer = JSONResponse({"person": getattr(request.state, "person", None), "bytes": len(body)})
    await answer(scope, receive, send)


def guarded(**more: Any) -> tuple[Gate, Browser]:
    gate = Gate(more.pop("place", HERE), **({"person": "ada"} | more))
    return gate, Browser(Guard(inside, gate))


def path_of(gate: Gate) -> str:
    return "/" + gate.address.split("/", 3)[3]
