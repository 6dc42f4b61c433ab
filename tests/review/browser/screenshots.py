"""Make the pictures in docs/review: ``python -m tests.review.browser.screenshots``, in a checkout, with Chromium."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

import dross
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.testing.demo import digits_with_defects
from tests.review.browser.served import Served, serving, words

OUT = Path(__file__).resolve().parents[3] / "docs" / "review"
METHODS = ["confident-learning", "class-prototypes", "neighbour-credibility", "exact-duplicates",
           "conflicting-duplicates", "knn-outliers"]  # fmt: skip
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def digits(folder: Path) -> Path:
    """An audit of the demonstration's digits."""
    roles = {Role.IMAGE: ["image"], Role.LABEL: ["label"]}
    dross.audit(Dataset(digits_with_defects().table, roles), only=METHODS, workspace=folder)
    return folder


def some_work(served: Served) -> None:
    """Decide a little, as two people."""
    desk = served.desk
    for turn, says in enumerate(("accept", "keep", "accept", "accept", "drop", "accept", "unsure", "accept")):
        row = desk.next("label")
        if row is not None:
            desk.decide("label", [row], says, author=("ada", "bob")[turn % 3 == 1])


def main() -> None:
    """Take them all."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with serving(digits(Path(place) / "digits")) as served:
            some_work(served)
            _overview(_page(browser, served, LAPTOP), served)
            _grid(_page(browser, served, LAPTOP), served)
            _shot(_page(browser, served, PHONE), served.address + _open_digit(served), "phone")
        with serving(words(Path(place) / "words", [*METHODS, "near-duplicates"])) as served:
            some_work(served)
            _shot(_page(browser, served, {**LAPTOP}, "dark"), served.address + "/start/label", "item")
        browser.close()


def _page(browser: Any, served: Served, size: dict[str, int], scheme: str = "light") -> Any:
    context = browser.new_context(viewport=size, color_scheme=scheme)
    context.add_cookies([served.cookie("ada")])
    return context.new_page()


def _shot(page: Any, address: str | None, name: str) -> None:
    if address is not None:
        page.goto(address)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    page.screenshot(path=OUT / f"{name}.png")


def _overview(page: Any, served: Served) -> None:
    page.set_viewport_size({"width": 1280, "height": 1180})
    page.goto(served.address + "/")
    page.wait_for_selector("#legend li")
    _shot(page, None, "overview")


def _grid(page: Any, served: Served) -> None:
    page.goto(served.address + "/queue/label?flagged=1")
    page.wait_for_load_state("networkidle")
    for key in "jxjxjxjjx":
        page.keyboard.press(key)
    _shot(page, None, "grid")


def _open_digit(served: Served) -> str:
    """A digit that is clearly another one than its label says."""
    from dross.review.filters import Filter

    row = served.desk.next("label", Filter(label="7", suggestion="1"))
    return "/start/label" if row is None else f"/item/label/{row}?label=7&suggestion=1"


if __name__ == "__main__":
    main()
