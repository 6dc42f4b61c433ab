"""People at browsers: a Chromium, audited workspaces, and a server for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.review.browser.served import Served, pictures, serving, words

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ("--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
             "--no-first-run").split()  # fmt: skip
PHONE, LAPTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser; for a module and not for all tests, since its loop would be in the way of others."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's chromium, or put one on PATH")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def audits(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Path], Path]], Path]:
    """Workspaces by what makes them, each made once."""
    made: dict[Any, Path] = {}

    def audit(make: Callable[[Path], Path]) -> Path:
        if make not in made:
            made[make] = make(tmp_path_factory.mktemp("audit") / ".dross")
        return made[make]

    return audit


@pytest.fixture
def texts(audits: Any, tmp_path: Path) -> Iterator[Served]:
    with serving(shutil.copytree(audits(words), tmp_path / ".dross")) as served:
        yield served


@pytest.fixture
def digits(audits: Any, tmp_path: Path) -> Iterator[Served]:
    with serving(shutil.copytree(audits(pictures), tmp_path / ".dross")) as served:
        yield served


@dataclass
class Person:
    """Somebody at a browser: a tab, and all that it asked for and complained of."""

    page: Any
    served: Served
    requests: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def opens(self, path: str) -> None:
        self.page.goto(self.served.address + path)
        self.page.wait_for_selector("main[data-page]")

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def told(self, words: str) -> str:
        """Wait until the page says something with these words."""
        self.page.wait_for_function("words => document.querySelector('#toast').textContent.includes(words)", arg=words)
        return str(self.page.locator("#toast").inner_text())

    @property
    def row(self) -> int:
        return int(self.page.locator("main").get_attribute("data-row"))

    def decides(self, key: str) -> int:
        """Press a key that decides, and wait for the next row."""
        from playwright import sync_api

        before = self.row
        self.keys(key)
        try:
            self.page.wait_for_function("row => document.querySelector('main').dataset.row !== row", arg=str(before))
        except sync_api.TimeoutError as error:
            toast, shown = self.page.locator("#toast").inner_text(), self.page.locator("dialog[open]").all_inner_texts()
            asked = self.requests[-3:]
            raise AssertionError(f"{key} at row {before}: {toast=}, {shown=}, {asked=}, {self.trouble=}") from error
        return before


@pytest.fixture
def sits_down(chromium: Any) -> Iterator[Callable[..., Person]]:
    contexts = []

    def person(served: Served, name: str = "ada", **options: Any) -> Person:
        context = chromium.new_context(**{"viewport": LAPTOP, **options})
        context.set_default_timeout(30_000)  # a machine that does much else
        contexts.append(context)
        context.add_cookies([served.cookie(name)])
        made = Person(context.new_page(), served)
        made.page.on("request", lambda request: made.requests.append(request.url))
        made.page.on("dialog", lambda dialog: (made.trouble.append(f"dialog {dialog.message}"), dialog.dismiss()))
        made.page.on("pageerror", lambda error: made.trouble.append(f"error {error}"))
        made.page.on(
            "console", lambda said: made.trouble.append(f"{said.type} {said.text}") if said.type == "error" else None
        )
        return made

    yield person
    for context in contexts:
        context.close()


def said(served: Served, row: int, issue: str = "label") -> list[tuple[str, str, Any]]:
    """What stands in the ledger about a row: who, what, and the value."""
    served.desk.refresh()
    return [(one.author, one.says, one.value) for one in served.desk.said.of(issue, row)]
