"""The pages: what they show, that nothing of the data is obeyed, and the filters in their addresses."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dross
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.report.stored import keep_proof
from dross.review.desk import Desk
from dross.review.filters import STATES, Filter

pytest.importorskip("fastapi", reason="the extra 'review' is not installed")

from fastapi import FastAPI

from dross.review import overviews, pages, views
from tests.report.samples import proof_json
from tests.review.conftest import Browser

STATIC = pages.TEMPLATES.parent / "static"
STYLE = (STATIC / "review.css").read_text()


@pytest.fixture
def client(desk: Desk) -> Browser:
    """The pages alone, as ada sees them."""
    made = FastAPI()
    made.include_router(pages.router(desk))

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["person"] = "ada"
        await made(scope, receive, send)

    return Browser(app)


class Page(HTMLParser):
    """What a page holds: its elements, and the text in each heading."""

    VOID = frozenset({"meta", "link", "input", "img", "br", "rect", "circle", "line", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def main_of(page: Page) -> dict[str, str | None]:
    return page.all("main")[0]


ADDRESSES = ("/", "/queue/label", "/queue/label?view=grid", "/item/label/1", "/item/outlier/1", "/sample/label",
             "/agreement", "/history", "/part/figures", "/part/groups/label", "/part/progress/label")  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_is_well_formed_and_holds_nothing_that_acts(client: Browser, address: str) -> None:
    answer = client.get(address)
    assert answer.status == 200, answer.text
    page = Page(answer.text)
    assert not page.open, "every element is closed"
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on")], f"<{tag}> has a handler: {attrs}"
        assert "style" not in attrs, f"<{tag}> has a style of its own: the policy forbids it"
        assert tag != "script" or (attrs.get("src") or "").startswith("/static/")
        for name in ("src", "href", "action"):
            value = attrs.get(name)
            assert value is None or re.match(r"/(?!/)|#|data:image/", value), f"<{tag} {name}={value!r}>"
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("address", ADDRESSES)
def test_controls_have_names_and_headings_have_an_order(client: Browser, address: str) -> None:
    text = client.get(address).text
    page = Page(text)
    labelled = {attrs.get("for") for attrs in page.all("label")}
    for tag in ("input", "select", "textarea"):
        for attrs in page.all(tag):
            if attrs.get("type") == "hidden" or re.search(r'<label class="check"><input[^>]*' + (attrs.get("name") or
                                                          attrs.get("id") or "?"), text):  # fmt: skip
                continue
            named = attrs.get("aria-label") or attrs.get("aria-labelledby") or attrs.get("id") in labelled
            assert named, f"<{tag}> without a name: {attrs}"
    for match in re.finditer(r"<button([^>]*)>(.*?)</button>", text, re.DOTALL):
        assert "aria-label" in match[1] or re.sub(r"<[^>]+>", "", match[2]).strip()
    for attrs in page.all("img"):
        assert attrs.get("alt")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    if "<main" in text:
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_hostile_cells_are_shown_as_text(client: Browser, desk: Desk) -> None:
    for row in range(7):
        answer = client.get(f"/item/label/{row}").text
        assert not re.search(r"<script(?! (src|type=\"module\" src)=\"/static/)", answer)
        assert "<img src=x" not in answer
        assert "<svg onload" not in answer
        assert "<base" not in answer
        assert "\u202e" not in answer
        assert "{{ 7" not in answer or "7 * 7" in answer
        assert len(answer) < 120_000, "a cell of a megabyte is not sent whole"
    assert "&lt;script&gt;" in client.get("/item/label/0").text
    whole = client.get("/part/text/6/0?issue=label&shown=1").json["text"]
    assert len(whole) > 1_000_000


def test_the_next_row_is_the_next_of_the_queue(client: Browser, desk: Desk) -> None:
    row = desk.next("label")
    page = Page(client.get(f"/item/label/{row}").text)
    after = desk.next("label", after=row)
    assert main_of(page)["data-next"] == f"/item/label/{after}"
    assert main_of(page)["data-seen"] == str(desk.refresh())
    start = client.get("/start/label")
    assert (start.status, start.headers["location"]) == (303, f"/item/label/{row}")


def test_the_filter_stays_in_every_address(client: Browser, desk: Desk) -> None:
    chosen = Filter(text="no", at_least=0.0001, split="train")
    query = views.query_of(chosen)
    row = desk.next("label", chosen)
    page = Page(client.get(f"/item/label/{row}{query}").text)
    assert main_of(page)["data-next"].endswith(query)
    assert main_of(page)["data-back"] == f"/queue/label{query}"
    listed = client.get(f"/queue/label{query}").text
    assert f'href="/item/label/{row}{query.replace("&", "&amp;")}"' in listed
    assert client.get(f"/start/label{query}").headers["location"].endswith(query)


def test_counts_follow_the_decisions(client: Browser, desk: Desk) -> None:
    count = desk.heading("label").open
    desk.decide("label", [desk.next("label")], "keep", author="bob")
    assert f"<b>{count - 1:,}</b> open" in client.get("/part/progress/label").text
    listed = client.get("/queue/label?state=decided").text
    assert listed.count('class="state decided"') == 1


def test_an_edit_shows_what_it_changes_and_opens_with_it(client: Browser, desk: Desk) -> None:
    row = 20
    before = client.get(f"/part/text/{row}/0?issue=label").json
    desk.decide("label", [row], "set", "completely " + before["text"], field=before["column"], author="ada")
    shown = client.get(f"/item/label/{row}").text
    assert "<mark>completely </mark>" in shown
    assert client.get(f"/part/text/{row}/0?issue=label").json["text"].startswith("completely ")


def test_other_peoples_opinions_and_comments_are_shown(client: Browser, desk: Desk) -> None:
    desk.decide("label", [20], "relabel", "tools", comment="a <b>spanner</b>", author="bob")
    desk.comment("label", [20], "looks\u202e odd", author="<i>eve</i>")
    shown = client.get("/item/label/20").text
    assert "relabel to tools" in shown
    assert "a &lt;b&gt;spanner&lt;/b&gt;" in shown
    assert "⟨202E⟩" in shown
    assert "&lt;i&gt;eve&lt;/i&gt;" in shown


def test_the_end_of_a_queue_leads_back_to_it(client: Browser, desk: Desk) -> None:
    rows = [int(row) for row in desk.queue("form").rows] if "form" in desk.issues else []
    assert rows, "the hostile texts are malformed"
    desk.decide("form", rows[1:] or rows, "keep", author="bob")
    page = Page(client.get(f"/item/form/{rows[0]}").text)
    assert main_of(page)["data-next"] == ""
    desk.decide("form", rows[:1], "keep", author="bob")
    assert "All decided" in client.get("/queue/form").text
    assert client.get("/start/form").headers["location"] == "/queue/form"


def test_a_sample_goes_on_in_the_order_of_drawing(client: Browser, desk: Desk) -> None:
    rows = desk.sample("label", 10, 3).rows
    page = Page(client.get(f"/item/label/{rows[0]}?sample=10&seed=3").text)
    assert main_of(page)["data-next"] == f"/item/label/{rows[1]}?sample=10&seed=3"
    desk.decide("label", [rows[1]], "keep", author="bob")
    page = Page(client.get(f"/item/label/{rows[0]}?sample=10&seed=3").text)
    assert main_of(page)["data-next"] == f"/item/label/{rows[2]}?sample=10&seed=3"


def test_a_sample_that_was_checked_corrects_the_calibration(client: Browser, desk: Desk) -> None:
    assert "corrected" not in client.get("/sample/label").text
    for row in desk.sample("label").rows:
        desk.decide("label", [row], "keep", author="ada")
    words = f"{desk.calibration('label').checked} checked findings of this sample"
    assert words in client.get("/sample/label").text


def test_other_findings_of_a_row_are_linked(client: Browser, desk: Desk) -> None:
    row = int(desk.queue("outlier").rows[np.argmax(desk.queue("outlier").table["score"].to_numpy())])
    found = Page(client.get(f"/item/label/{row}").text)
    assert f"/item/outlier/{row}" in [one.get("href") for one in found.all("a")]


def test_taking_back_a_run_opens_its_findings_again(client: Browser, desk: Desk) -> None:
    desk.decide("label", [desk.next("label")], "accept", author="ada")
    assert "relabelled row" in client.get("/history").text
    answer = client.form("/history/undo", f"run={desk.run}")
    assert (answer.status, answer.headers["location"]) == (303, "/history")
    assert "taken back" in client.get("/history").text


def test_agreement_names_the_pairs(client: Browser, desk: Desk) -> None:
    assert "Nobody has decided on the same rows yet" in client.get("/agreement").text
    for row in (20, 21, 22, 23):
        desk.decide("label", [row], "keep", author="bob")
        desk.decide("label", [row], "drop" if row == 23 else "keep", author="ada")
    found = overviews.agreements(desk)
    assert [(one["first"], one["second"], one["items"]) for one in found[0].pairs] == [("ada", "bob", 4)]
    assert "75 %" in client.get("/agreement").text


def test_the_latest_proof_is_on_the_overview(client: Browser, desk: Desk) -> None:
    assert "Not measured yet" in client.get("/").text
    keep_proof(desk.ledger, {**proof_json(), "raw": desk.summary["fingerprint"], "version": None})
    shown = client.get("/").text
    assert "<b>It helped</b>" in shown
    assert "Accuracy rose from 70.0 %" in shown
    assert "Change in" in shown


# ---- filters in addresses -------------------------------------------------------------------------------------------

words = st.text(min_size=1, max_size=12).filter(str.strip)
filters = st.builds(
    Filter,
    label=st.none() | words, suggestion=st.none() | words, split=st.none() | words, annotator=st.none() | words,
    text=st.none() | words, at_least=st.none() | st.floats(0, 1), at_most=st.none() | st.floats(0, 1),
    cluster=st.none() | st.integers(0, 50), state=st.sampled_from(STATES), flagged=st.booleans(),
    rows=st.none() | st.lists(st.integers(0, 10**7), min_size=1, max_size=6).map(tuple),
)  # fmt: skip


@given(filters)
def test_a_filter_survives_its_address(chosen: Filter) -> None:
    from starlette.datastructures import QueryParams

    query = QueryParams(views.query_of(chosen, start=48).removeprefix("?"))
    assert views.asked(query, query.getlist("rows")) == chosen
    assert query["start"] == "48"


@pytest.mark.parametrize("query", [{"at_least": "much"}, {"cluster": "x"}, {"state": "gone"}, {"at_most": "2"}])
def test_a_filter_that_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(DrossError):
        views.asked(query)
    with pytest.raises(DrossError, match="rows is 'x'"):
        views.asked({}, ["1,x"])


def test_each_condition_can_be_taken_away_alone() -> None:
    chosen = Filter(label="cat", at_least=0.5, flagged=True, state="all")
    without = [chip.without for chip in views.chips(chosen)]
    assert without == ["?at_least=0.5&state=all&flagged=1", "?label=cat&state=all&flagged=1",
                       "?label=cat&at_least=0.5&state=all"]  # fmt: skip


# ---- colours --------------------------------------------------------------------------------------------------------


def palette(scheme: str) -> dict[str, str]:
    light, dark = (
        re.search(rf"{begin}(.*?)\}}", STYLE, re.DOTALL)[1] for begin in (r":root \{", r"dark\) \{\s*:root \{")
    )
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    return found | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark)) if scheme == "dark" else found


def contrast(a: str, b: str) -> float:
    """The contrast ratio of WCAG 2.1, in [1, 21]."""
    light = []
    for colour in (a, b):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_palette_has_enough_contrast(scheme: str) -> None:
    colours = palette(scheme)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    pairs = [(ink, ground) for ink in ("ink", "soft", "accent", "good") for ground in ("paper", "card", "wash")]
    pairs += [("ink", "accent-wash"), ("accent", "accent-wash"), ("soft", "accent-wash"), ("on-accent", "accent"),
              ("paper", "ink")]  # fmt: skip
    low = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
    shapes = [("edge", "card"), ("edge", "paper"), ("accent", "paper"), ("other", "card"), ("good", "wash")]
    assert all(contrast(colours[a], colours[b]) >= 3 for a, b in shapes)


def test_nothing_is_loaded_from_elsewhere() -> None:
    for file in [*STATIC.glob("*.css"), *STATIC.glob("*.js"), *pages.TEMPLATES.glob("*.html")]:
        if file.name == "htmx.min.js":
            continue
        text = file.read_text(encoding="utf-8")
        found = [url for url in re.findall(r"https?://[^\s\"')]+", text) if "www.w3.org" not in url]
        assert not found, f"{Path(file).name}: {found}"
        assert "eval(" not in text
        assert "innerHTML =" not in text


# ---- other kinds of data --------------------------------------------------------------------------------------------


def reviewed(table: pa.Table, roles: dict[Role, list[str]], only: list[str], folder: Path) -> tuple[Browser, Desk]:
    """The pages on an audit of one's own."""
    dross.audit(Dataset(table, roles), only=only, workspace=folder)
    desk = Desk.open(folder)
    made = FastAPI()
    made.include_router(pages.router(desk))

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["person"] = "ada"
        await made(scope, receive, send)

    return Browser(app), desk


def test_preference_pairs_stand_side_by_side(tmp_path: Path) -> None:
    table = pa.table(
        {
            "question": [f"What is {i} and {i}?" for i in range(40)],
            "good": ["", *(f"It is {2 * i}, of course." for i in range(1, 40))],
            "bad": [f"Nobody knows what {i} may be." for i in range(40)],
            "sound": [b"RIFF\x00\x00\x00\x00WAVE"] * 40,
        }
    )
    roles = {Role.TEXT: ["question"], Role.CHOSEN: ["good"], Role.REJECTED: ["bad"], Role.AUDIO: ["sound"]}
    client, desk = reviewed(table, roles, ["knn-outliers"], tmp_path / "w")
    shown = client.get("/item/outlier/0").text
    desk.close()
    assert re.findall(r'class="panel( alone)?"><div class="text-head"><h2 class="cap"><bdi>(\w+)', shown) == [
        (" alone", "question"),
        ("", "good"),
        ("", "bad"),
    ]
    assert '<div class="sides">' in shown
    assert '<audio controls preload="metadata" src="/audio/0">' in shown
    assert 'data-do="label"' not in shown, "there is no label to change"


def test_several_labels_are_picked_from_all_that_occur(tmp_path: Path) -> None:
    labels = [["a, b", "<c>"] if i % 2 else ["d"] for i in range(40)]
    table = pa.table({"text": ["", *(f"some words about {i} things" for i in range(39))], "tags": labels})
    client, desk = reviewed(table, {Role.TEXT: ["text"], Role.LABELS: ["tags"]}, ["text-form"], tmp_path / "w")
    assert client.get("/part/classes").json == {"labels": ["<c>", "a, b", "d"], "several": True}
    desk.decide("form", [0], "relabel", ["a, b", "d"], author="ada")
    shown = client.get("/item/form/0").text
    desk.close()
    assert "relabel to a, b, d" in shown
    assert main_of(Page(shown))["data-labels"] == '["d"]'
    assert main_of(Page(shown))["data-several"] == "yes"


def test_features_are_shown_with_their_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    columns = {f"x<{i}>": y + rng.normal(size=200) for i in range(4)}
    table = pa.table({**columns, "y": pa.array([f"class {c}" for c in y])})
    client, desk = reviewed(table, {Role.FEATURES: list(columns), Role.LABEL: ["y"]}, ["confident-learning"],
                            tmp_path / "w")  # fmt: skip
    row = int(desk.queue("label").rows[0])
    item, listed = client.get(f"/item/label/{row}").text, client.get("/queue/label?state=all").text
    desk.close()
    assert "x&lt;0&gt;" in item
    assert "% of rows" in item
    assert "x&lt;" in listed
    assert "<x<" not in item + listed
