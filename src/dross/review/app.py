"""The application: the interface, the pages and the files of the package behind the guard."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from dross import __version__
from dross.core.errors import DrossError
from dross.ledger.opinions import Overtaken
from dross.ledger.store import Busy
from dross.review import api
from dross.review.desk import Desk
from dross.review.guard import SAFE, STATIC, Guard, refusal
from dross.review.media import NotHere
from dross.review.pages import router as pages
from dross.review.security import Gate

FILES = Path(__file__).parent / "static"


def create_app(desk: Desk, gate: Gate) -> FastAPI:
    """The review page of one desk, for whoever gets through the gate.

    Examples
    --------
    >>> import tempfile, dross
    >>> from dross.testing.planted import blobs
    >>> from dross.review.security import Place
    >>> folder = tempfile.TemporaryDirectory()
    >>> found = dross.audit(blobs(200, flipped=0.2).data, only=["confident-learning"], workspace=folder.name)
    >>> app = create_app(Desk.open(folder.name), Gate(Place("127.0.0.1", 8000), "ada"))
    >>> "/api/decisions" in app.openapi()["paths"]
    True
    >>> folder.cleanup()
    """
    app = FastAPI(
        title="dross review",
        version=__version__,
        description="Findings, decisions and figures of one audit. A session's cookie is needed; requests that change "
        "something carry the header Origin with the server's address.",
        docs_url=None,  # these two load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.include_router(api.router(desk))
    app.include_router(pages(desk))
    _static(app)
    for kind in (DrossError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _problem)
    app.add_middleware(Guard, gate=gate)
    return app


def _problem(request: Request, error: Exception) -> Response:
    """An error in words, as a page or as JSON; nothing of the request is repeated in it."""
    if isinstance(error, RequestValidationError):
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])[:200]
        return refusal(request.scope, 422, "the request is malformed", str(wrong["msg"])[:300], _plain(where))
    if isinstance(error, HTTPException):
        words = {404: "there is no such page", 405: "this address does not do that"}
        answer = refusal(request.scope, error.status_code, words.get(error.status_code, str(error.detail)))
        answer.headers.update(error.headers or {})
        return answer
    if not isinstance(error, DrossError):
        raise error
    statuses: tuple[tuple[type[DrossError], int], ...] = ((NotHere, 404), (Overtaken, 409), (Busy, 503))
    status = next((number for kind, number in statuses if isinstance(error, kind)), 400)
    return refusal(
        request.scope, status, _plain(error.what), _plain(error.fix or ""), error.where and _plain(error.where)
    )


def _plain(text: str) -> str:
    """Text that UTF-8 can hold, whatever the request held."""
    return text.encode("utf-8", "replace").decode()


def _static(app: FastAPI) -> None:
    """The package's files, read once: no path of a request ever reaches the disk."""
    kept: dict[str, tuple[bytes, str, str]] = {}
    for file in sorted(FILES.iterdir()):
        content = file.read_bytes()
        kind = mimetypes.guess_type(file.name)[0] or "text/plain"
        kept[file.name] = (content, f'"{hashlib.sha256(content).hexdigest()[:32]}"', _typed(file, kind))

    def static(request: Request, name: str) -> Response:
        if name not in kept:
            raise HTTPException(404)
        content, tag, kind = kept[name]
        headers: dict[str, Any] = {"ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(None, 304, headers)
        return Response(content, 200, headers, kind)

    app.add_api_route(STATIC + "{name}", static, methods=sorted(SAFE - {"OPTIONS"}), include_in_schema=False)


def _typed(file: Path, guessed: str) -> str:
    """The media type; what machines guess of scripts differs, and a browser runs none of another type."""
    return {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}.get(file.suffix, guessed)
