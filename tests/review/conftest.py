"""An audited workspace for the tests of the review page, and a browser that needs no server.

The audit is made once; each test gets its own copy of it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import dross
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.review.desk import Desk
from dross.review.security import Gate, Place

CLASSES = ("animals", "<i>plants</i>", "tools")
WORDS = {
    "animals": "fox wolf bear otter sparrow salmon tail paw fur feather nest herd",
    "<i>plants</i>": "oak fern moss tulip root leaf petal bark seed pollen stem bloom",
    "tools": "hammer saw chisel wrench drill blade handle bolt screw clamp file lathe",
}
HOSTILE = (
    "<script>alert('script')</script>",
    "<img src=x onerror=\"alert('img')\">",
    "<svg onload=alert(1)><circle r=9></svg>",
    "\u202egnp.exe tfel ot thgir\u202c \u200f\u05d0\u05d1\u05d2",
    "</textarea></script><base href='//evil.example/'>{{ 7 * 7 }} {% raise %}",
    "javascript:alert(1) \x1b[31m \x00 ' \" &amp; &lt;b&gt;",
    "word " * 200_000,
)
"""Texts of the first rows, each a different way to be obeyed instead of read; the last has a megabyte."""
ROWS, WRONG = 480, 60


def texts(seed: int = 0) -> tuple[Dataset, list[str]]:
    """Short texts about three topics with planted label errors, the first rows among them hostile; the true labels."""
    rng = np.random.default_rng(seed)
    truth = [CLASSES[c] for c in rng.integers(0, len(CLASSES), ROWS)]
    labels = list(truth)
    wrong = sorted({*range(len(HOSTILE)), *rng.choice(ROWS, WRONG, replace=False).tolist()})
    for row in wrong:
        labels[row] = CLASSES[(CLASSES.index(truth[row]) + 1) % len(CLASSES)]
    cells = [" ".join(rng.choice(WORDS[label].split(), 9)) + f" no {i}" for i, label in enumerate(truth)]
    for row, hostile in enumerate(HOSTILE):
        cells[row] = f"{cells[row]} {hostile}"
    splits = np.where(np.arange(ROWS) % 4 == 3, "test", "train").tolist()
    table = pa.table({"name": [f"n{i}" for i in range(ROWS)], "text": cells, "label": labels, "split": splits})
    roles = {Role.ID: ["name"], Role.TEXT: ["text"], Role.LABEL: ["label"], Role.SPLIT: ["split"]}
    return Dataset(table, roles), truth


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of one audit of :func:`texts`; for reading only."""
    folder = tmp_path_factory.mktemp("audited") / ".dross"
    methods = ["confident-learning", "knn-outliers", "text-form"]
    dross.audit(texts()[0], workspace=folder, only=methods, fdr=0.3)
    return folder


@pytest.fixture
def workspace(audited: Path, tmp_path: Path) -> Path:
    """A workspace of one's own with findings on label, outlier and form; nothing is decided yet."""
    return shutil.copytree(audited, tmp_path / ".dross")


@pytest.fixture
def desk(workspace: Path) -> Iterator[Desk]:
    """The desk of :func:`workspace`."""
    opened = Desk.open(workspace)
    yield opened
    opened.close()


# ---- a browser -------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """What a server answered; header names in small letters, of several with one name the last."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Browser:
    """Sends requests to an application as a browser at ``host`` would, and keeps its cookies."""

    app: Any
    host: str = "127.0.0.1:8000"
    scheme: str = "http"
    address: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        """Open a page."""
        return self.send("GET", path, {"accept": "text/html", **_named(headers)})

    def api(self, path: str, **headers: str) -> Answer:
        """Fetch data."""
        return self.send("GET", path, {"accept": "application/json", **_named(headers)})

    def post(self, path: str, content: Any = None, **headers: str) -> Answer:
        """Send JSON as a script of the page does."""
        body = b"" if content is None else json.dumps(content).encode()
        given = {"origin": f"{self.scheme}://{self.host}", "content-type": "application/json"}
        return self.send("POST", path, {**given, **_named(headers)}, [body])

    def form(self, path: str, content: str, **headers: str) -> Answer:
        """Send a form: no-referrer makes its Origin null."""
        given = {"origin": "null", "sec-fetch-site": "same-origin", "accept": "text/html"}
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.send("POST", path, {**given, **kind, **_named(headers)}, [content.encode()])

    def send(self, method: str, path: str, headers: Mapping[str, str], parts: list[bytes] | None = None) -> Answer:
        """Any request; a body goes out in parts, without its length unless the headers tell it."""
        where, _, query = path.partition("?")
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        every = {"host": self.host, **({"cookie": cookie} if cookie else {}), **headers}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": where,
            "raw_path": where.encode(), "query_string": query.encode(), "root_path": "", "scheme": self.scheme,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in every.items() if value],
            "client": (self.address, 50000), "server": ("127.0.0.1", 8000), "state": {},
        }  # fmt: skip
        answer = asyncio.run(_call(self.app, scope, parts or [b""]))
        for name, value in answer[1]:
            if name == "set-cookie":
                pair, *rest = value.split("; ")
                self.cookies[pair.partition("=")[0]] = pair.partition("=")[2]
                if "Max-Age=0" in rest:
                    del self.cookies[pair.partition("=")[0]]
        return Answer(answer[0], dict(answer[1]), answer[2])


def signed_in(desk: Desk, person: str = "ada") -> Browser:
    """A browser whose session is a person's."""
    from dross.review.app import create_app

    gate = Gate(Place("127.0.0.1", 8000), person)
    browser = Browser(create_app(desk, gate))
    assert browser.get(gate.address.removeprefix("http://127.0.0.1:8000")).status == 303
    return browser


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


async def _call(app: Any, scope: dict[str, Any], parts: list[bytes]) -> tuple[int, list[tuple[str, str]], bytes]:
    waiting = [{"type": "http.request", "body": part, "more_body": i + 1 < len(parts)} for i, part in enumerate(parts)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = [(name.decode().lower(), value.decode("latin-1")) for name, value in sent[0].get("headers", ())]
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])
