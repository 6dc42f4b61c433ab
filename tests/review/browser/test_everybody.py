"""The page in a real browser: data that means harm, every screen, every person."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is not installed")
pytest.importorskip("uvicorn", reason="the extra 'review' is not installed")

from tests.review.browser.conftest import LAPTOP, PHONE, Person, said
from tests.review.browser.served import HOSTILE, Served

# ---- harm -----------------------------------------------------------------------------------------------------------


def test_hostile_rows_are_inert(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(texts)
    for row, cell in enumerate(HOSTILE):
        ada.opens(f"/item/label/{row}")
        shown = ada.page.locator(".content .text").first
        if row != 3:  # its invisible marks are written out
            assert " ".join(cell[:60].split()) in " ".join(shown.inner_text().split())
        assert ada.page.locator(".content .text *").count() == 0, "text holds nothing but text"
        if row in (4, 5):  # one that tries to end the editor, and the long one
            ada.keys("e")
            ada.page.wait_for_selector("#edit[open]")
            assert ada.page.evaluate("document.querySelector('#edit-text').value.length") >= len(cell) - 2
            ada.keys("Escape")
    assert "\u202e" not in ada.page.content()
    ada.page.get_by_role("button", name="Show all").click()
    ada.page.wait_for_function("() => document.querySelector('.content .text').textContent.length > 1_000_000")
    ada.decides("k")
    for path in ("/", "/queue/label?state=all", "/queue/label?state=all&view=grid", "/queue/label?text=%3Cscript%3E"):
        ada.opens(path)
        ada.page.wait_for_load_state("networkidle")
    assert ada.trouble == []
    outside = [url for url in ada.requests if not url.startswith((ada.served.address + "/", "data:image/"))]
    assert outside == []


# ---- for everybody --------------------------------------------------------------------------------------------------

PATHS = ("/", "/queue/label", "/queue/label?view=list", "/start/label", "/start/duplicate", "/sample/label",
         "/agreement", "/history")  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_it_fits_the_screen(
    digits: Served, sits_down: Callable[..., Person], scheme: str, size: dict[str, int]
) -> None:
    ada = sits_down(digits, viewport=size, color_scheme=scheme)
    for path in PATHS:
        ada.opens(path)
        assert ada.page.evaluate("document.documentElement.scrollWidth") <= size["width"], path
        ground = ada.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(re.findall(r"\d+", ground)[0]) < 128) == (scheme == "dark")
        if size == PHONE:
            small = ada.page.evaluate(
                "[...document.querySelectorAll('main button, .top button, .top summary, main a.button')]"
                ".filter(b => b.checkVisibility()).map(b => [b.textContent.trim(), b.getBoundingClientRect()])"
                ".filter(([, box]) => box.height < 43.5 || box.width < 43.5).map(([words]) => words)"
            )
            assert small == [], path
    ada.opens("/start/label")
    bar = ada.page.locator(".decide").bounding_box()
    assert abs(bar["y"] + bar["height"] - size["height"]) < 1, "the decisions stand at the bottom"


def test_every_control_has_a_name(digits: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(digits)
    session = ada.page.context.new_cdp_session(ada.page)
    for path in PATHS:
        ada.opens(path)
        ada.page.wait_for_load_state("networkidle")
        tree = session.send("Accessibility.getFullAXTree")["nodes"]
        kinds = {"button", "link", "textbox", "searchbox", "spinbutton", "combobox", "checkbox", "image", "dialog"}
        nameless = [
            one for one in tree
            if not one.get("ignored") and one.get("role", {}).get("value") in kinds
            and not one.get("name", {}).get("value", "").strip()
        ]  # fmt: skip
        assert nameless == [], path
        roles = {one.get("role", {}).get("value") for one in tree}
        assert {"main", "banner", "navigation", "heading"} <= roles
    ada.opens("/start/label")
    for key, dialog in (("?", "help"), ("l", "pick"), ("c", "comment")):
        ada.keys(key)
        ada.page.wait_for_selector(f"#{dialog}[open]")
        assert ada.page.evaluate(f"document.querySelector('#{dialog}').contains(document.activeElement)")
        ada.keys("Escape")
        ada.page.wait_for_selector(f"#{dialog}:not([open])", state="attached")


def test_reading_works_without_a_script(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(texts, java_script_enabled=False)
    ada.page.goto(ada.served.address + "/queue/label")
    ada.page.locator("#f-text").fill("parcel")
    ada.page.get_by_role("button", name="Show").click()
    assert "text=parcel" in ada.page.url
    ada.page.locator(".tiles .tile").first.click()
    first = ada.row
    assert "parcel" in ada.page.locator(".content").inner_text()
    ada.page.locator('[data-do="next"]').click()
    assert ada.row != first
    assert "text=parcel" in ada.page.url
    assert "Deciding needs JavaScript" in ada.page.locator("main").inner_text()


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_jumps(digits: Served, sits_down: Callable[..., Person], size: dict[str, int]) -> None:
    ada = sits_down(digits, viewport=size)
    for path in ("/queue/label", "/start/label", "/"):
        ada.opens(path)
        ada.page.wait_for_load_state("networkidle")
        shift = ada.page.evaluate(
            "() => new Promise(done => { let sum = 0; new PerformanceObserver(list => { for (const one of "
            "list.getEntries()) sum += one.value }).observe({type: 'layout-shift', buffered: true}); "
            "setTimeout(() => done(sum), 100) })"
        )
        assert shift < 0.02, path


def test_single_keys_can_be_switched_off(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(texts)
    ada.opens("/start/label")
    row = ada.row
    ada.keys("?")
    ada.page.locator("#keys-on").uncheck()
    ada.keys("Escape")
    ada.page.reload()
    ada.page.wait_for_selector("main[data-page=item]")
    ada.keys("k", "d")
    ada.page.get_by_role("button", name="Not sure").click()
    ada.told(f"Not sure about row {row}")
    assert [one[1] for one in said(texts, row)] == ["unsure"]
