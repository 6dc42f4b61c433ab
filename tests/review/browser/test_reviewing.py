"""People who review in a real browser: by keyboard, alone and together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is not installed")
pytest.importorskip("uvicorn", reason="the extra 'review' is not installed")

from dross.review.filters import Filter
from tests.review.browser.conftest import Person, said
from tests.review.browser.served import Served


def test_twenty_rows_by_keyboard_alone(digits: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(digits)
    ada.opens("/")
    for _ in range(40):
        ada.keys("Tab")
        if "Review" in ada.page.evaluate("document.activeElement.textContent") and ada.page.evaluate(
            "document.activeElement.matches('.go a[href*=label]')"
        ):
            break
    ada.keys("Enter")
    ada.page.wait_for_selector("main[data-page=item]")
    verbs = {"k": "keep", "a": "relabel", "d": "drop", "u": "unsure", "2": "relabel"}
    seen = []
    for turn in range(20):
        key = list(verbs)[turn % 5]
        picked = ada.page.locator('[data-key="2"]').get_attribute("data-value")
        suggested = ada.page.locator("main").get_attribute("data-suggested")
        row = ada.decides(key)
        seen.append(row)
        assert f"row {row}" in ada.told("z to undo")
        who, says, value = said(digits, row)[-1]
        assert (who, says) == ("ada", verbs[key])
        if key == "2":
            assert str(value) == picked
        if key == "a":
            assert str(value) == suggested
    assert len(set(seen)) == 20, f"no row comes twice: {seen}"
    counts = digits.desk.heading("label")
    assert (counts.decided, counts.unsure) == (16, 4)
    ada.page.wait_for_function("() => document.querySelector('#progress').textContent.includes('16 decided')")
    for row in reversed(seen[-3:]):  # back through what was seen, though the queue has been scored anew meanwhile
        ada.keys("Shift+K")
        ada.page.wait_for_function("row => document.querySelector('main').dataset.row === row", arg=str(row))
        assert (
            "decided" in ada.page.locator(".row-head").inner_text()
            or "not sure" in ada.page.locator(".row-head").inner_text()
        )
    ada.keys("j")
    ada.page.wait_for_function("row => document.querySelector('main').dataset.row === row", arg=str(seen[-2]))
    assert ada.trouble == []


def test_edit_undo_redo_and_a_reload_in_between(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(texts)
    ada.opens("/start/label?text=parcel")
    row = ada.row
    whole = texts.desk.data.table.column("message")[row].as_py()
    ada.keys("e")
    ada.page.wait_for_selector("#edit[open]")
    assert ada.page.locator("#edit-text").input_value() == whole
    ada.page.keyboard.type("k a d z – Ünï ")  # letters that are keys elsewhere
    ada.keys("Control+Enter")
    assert f"Edited row {row}" in ada.told("Edited")
    ada.page.wait_for_function("row => document.querySelector('main').dataset.row !== row", arg=str(row))
    edited = "k a d z – Ünï " + whole
    assert said(texts, row) == [("ada", "set", edited)]
    assert "text=parcel" in ada.page.url, "the filter stays"

    ada.keys("z")
    ada.page.wait_for_function("row => document.querySelector('main').dataset.row === row", arg=str(row))
    assert said(texts, row) == []
    ada.page.reload()
    ada.page.wait_for_selector("main[data-page=item]")
    assert ada.row == row
    ada.keys("Shift+Z")
    ada.page.wait_for_selector(".state.decided")
    assert said(texts, row) == [("ada", "set", edited)]
    assert ada.page.locator("mark").first.inner_text().startswith("k a d z")
    ada.page.reload()
    ada.page.wait_for_selector(".state.decided")
    ada.keys("e")
    ada.page.wait_for_selector("#edit[open]")
    assert ada.page.locator("#edit-text").input_value() == edited, "the editor opens with what was written last"
    ada.keys("Escape")
    ada.page.wait_for_selector("#edit:not([open])", state="attached")
    assert ada.row == row
    ada.page.go_back()
    assert ada.trouble == []


def test_two_people_on_one_row(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada, bob = sits_down(texts, "ada"), sits_down(texts, "bob")
    ada.opens("/start/label")
    bob.opens("/start/label")
    row = ada.row
    assert bob.row == row
    ada.decides("a")
    before = said(texts, row)
    bob.keys("d")
    bob.page.wait_for_selector("#conflict[open]")
    assert "ada decided on this row" in bob.page.locator("#conflict").inner_text()
    assert said(texts, row) == before, "nothing is overwritten"
    bob.keys("Enter")
    bob.page.wait_for_selector(".state.decided")
    assert "ada" in bob.page.locator("main .said").inner_text()
    assert bob.row == row
    bob.decides("d")  # now that he has seen it he may
    assert ("bob", "drop", None) in said(texts, row)
    assert [one for one in bob.trouble if "409" not in one] == []


def test_nothing_moves_while_the_queue_is_scored_anew(digits: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(digits)
    ada.opens("/start/label")
    ada.page.wait_for_load_state("networkidle")
    ada.page.evaluate(
        "window.moved = 0; new MutationObserver(all => { window.moved += all.filter(one => "
        "!one.target.closest?.('#progress, #toast')).length }).observe(document.querySelector('main'), "
        "{childList: true, subtree: true, characterData: true, attributes: true})"
    )
    coming = ada.page.locator("main").get_attribute("data-next")
    for _ in range(12):
        digits.desk.decide("label", [digits.desk.next("label", after=ada.row)], "keep", author="bob")
    digits.desk.rescore("label")
    ada.page.evaluate("document.body.dispatchEvent(new Event('decided'))")
    ada.page.wait_for_function("() => document.querySelector('#progress').textContent.includes('12 decided')")
    assert ada.page.evaluate("window.moved") == 0
    assert ada.page.locator("main").get_attribute("data-next") == coming


def test_many_at_once_after_a_preview(digits: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(digits)
    ada.opens("/queue/label?flagged=1")
    count = digits.desk.heading("label").open
    ada.keys("j", "x", "j", "x", "j", "j", "x")
    assert ada.page.locator("#selected").inner_text() == "3 selected"
    rows = [
        int(value) for value in ada.page.evaluate("[...document.querySelectorAll('.pick :checked')].map(b => b.value)")
    ]
    ada.keys("a")
    ada.page.wait_for_selector("#bulk[open]")
    assert "relabel to" in ada.page.locator("#bulk-changes").inner_text()
    assert digits.desk.heading("label").open == count, "a preview decides nothing"
    ada.keys("Enter")
    ada.told("Decided on 3 rows")
    assert all(said(digits, row)[0][:2] == ("ada", "relabel") for row in rows)
    ada.page.wait_for_function(f"() => !document.querySelector('[data-row=\"{rows[0]}\"]')")
    ada.keys("z")
    ada.told("Undone: 3 rows")
    assert digits.desk.heading("label").open == count
    ada.page.wait_for_selector(f'.tiles [data-row="{rows[0]}"]')
    ada.page.locator("#all").check()
    assert ada.page.locator("#selected").inner_text() == f"{ada.page.locator('.tiles li').count()} selected"
    ada.keys("g")
    ada.page.wait_for_selector(".tiles.list")
    assert "flagged=1" in ada.page.url
    assert ada.trouble == []


def test_type_ahead_over_a_thousand_labels(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(texts)
    names = [f"class {i} of many" for i in range(996)] + ["billing", "delivery", "login", "praise"]
    ada.page.route("**/part/classes", lambda route: route.fulfill(json={"labels": names, "several": False}))
    ada.opens("/start/label")
    row = ada.row
    ada.keys("l")
    ada.page.wait_for_selector("#pick[open]")
    ada.page.keyboard.type("log")
    assert ada.page.locator("#pick-list li").all_inner_texts() == ["login"]
    ada.keys("Enter")
    ada.told(f"Relabelled row {row} to login")
    assert said(texts, row) == [("ada", "relabel", "login")]
    ranks = ada.page.evaluate(
        "async () => (await import('/static/dialogs.js')).ranked(['cold cat', 'scat', 'cat', 'catfish', 'dog'], 'CAT')"
    )
    assert ranks == ["cat", "catfish", "cold cat", "scat"]


def test_a_comment_decides_nothing(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(texts)
    ada.opens("/start/label")
    row = ada.row
    ada.keys("c")
    ada.page.wait_for_selector("#comment[open]")
    ada.page.keyboard.type("<b>odd</b> & unclear")
    ada.keys("Control+Enter")
    ada.page.wait_for_selector("main .said")
    assert "<b>odd</b> & unclear" in ada.page.locator("main .said").inner_text()
    assert ada.row == row
    assert texts.desk.heading("label").decided == 0


def test_another_opinion_is_asked_for_with_one_key(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada, bob = sits_down(texts, "ada"), sits_down(texts, "bob")
    ada.opens("/start/label")
    row = ada.row
    ada.keys("o")
    ada.told(f"2 opinions are needed on row {row}")
    assert ada.row == row
    assert "0 of 2 opinions" in ada.page.locator("main").inner_text()
    ada.decides("k")
    assert texts.desk.item("label", row).state == "open"
    bob.opens("/start/label")
    assert bob.row == row, "it waits for somebody else"
    bob.decides("d")
    assert texts.desk.item("label", row).state == "disputed"
    ada.page.goto(ada.served.address + "/agreement")
    assert "1 row on which they differ" in ada.page.locator("main").inner_text()
    assert ada.trouble == bob.trouble == []


def test_everything_that_passes_is_chosen_and_decided_at_once(digits: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(digits)
    ada.opens("/queue/label?split=test")
    count = digits.desk.queue("label").count(Filter(split="test"))
    assert count > 48
    ada.page.locator("#all").check()
    ada.page.locator("#every").click()
    ada.page.wait_for_function(f"() => document.querySelector('#selected').textContent === '{count} selected'")
    ada.keys("k")
    ada.page.wait_for_selector("#bulk[open]")
    assert f"{count} × keep" in ada.page.locator("#bulk-changes").inner_text()
    ada.keys("Enter")
    ada.told(f"Decided on {count} rows")
    assert digits.desk.heading("label").decided == count
    ada.keys("z")
    ada.told(f"Undone: {count} rows")
    assert digits.desk.heading("label").decided == 0
    assert ada.trouble == []


def test_a_run_is_taken_back_after_a_second_thought(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(texts)
    ada.opens("/start/label")
    ada.decides("d")
    ada.opens("/history")
    button = ada.page.get_by_role("button", name="Take back all of run")
    assert not button.is_visible()
    ada.page.locator("details.sure summary").click()
    button.click()
    ada.page.wait_for_function("() => document.querySelector('main').textContent.includes('taken back')")
    assert texts.desk.heading("label").decided == 0
    assert ada.trouble == []


def test_the_server_goes_away_and_nothing_is_claimed(texts: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(texts)
    ada.opens("/start/label")
    row = ada.row
    ada.page.route("**/api/decisions", lambda route: route.abort())
    ada.keys("k")
    assert "nothing was saved" in ada.told("does not answer")
    assert ada.row == row
    assert said(texts, row) == []


def test_the_map_is_selected_by_drawing(digits: Served, sits_down: Callable[..., Person]) -> None:
    ada = sits_down(digits)
    ada.opens("/")
    ada.page.wait_for_selector("#legend li")
    canvas = ada.page.locator("#map canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    left, top = box["x"] + 4, box["y"] + 4
    ada.page.mouse.move(left, top)
    ada.page.mouse.down()
    for x, y in ((box["width"] - 8, 0), (box["width"] - 8, box["height"] - 8), (0, box["height"] - 8)):
        ada.page.mouse.move(left + x, top + y, steps=3)
    ada.page.mouse.up()
    total = len(digits.desk.map().rows)
    assert f"{total:,} rows selected" in ada.page.locator("#map-words").inner_text()
    ada.page.locator("#map-go").click()
    ada.page.wait_for_selector(".tiles li")
    assert "selected rows" in ada.page.locator(".chips").inner_text()
    assert ada.trouble == []
