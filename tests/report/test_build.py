from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.calibrate.assessment import Assessment
from dross.core.dataset import Dataset, Source
from dross.core.errors import DrossError
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.report import write_report
from dross.report.build import render
from tests.report.samples import (
    METHODS,
    Measured,
    label_errors,
    labelled,
    nothing,
    png,
    proof_json,
    run_of,
    shapes,
    tables_of,
    twins,
)

SHAPES = shapes()
TAGS = set(
    """html head meta title style body div header strong span main h1 h2 h3 h4 p nav ul ol li a section table thead
    tbody tr th td small svg line circle rect path text figure figcaption article dl dt dd b bdi mark details summary
    code pre img footer""".split()
)
ATTRIBUTES = set(
    """lang charset name content http-equiv id class href role aria-label aria-hidden scope dir alt src tabindex title
    data-name viewbox x x1 x2 y y1 y2 cx cy r d width height transform text-anchor fill-opacity
    preserveaspectratio""".split()
)


class Page(HTMLParser):
    """Every tag with its attributes, and all text outside the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data + " "

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def made(name: str, proof: dict[str, Any] | None = None) -> str:
    data, found, signals = SHAPES[name]
    return render(run_of(data, found), tables_of(data, found), data, signals, proof)


def page_of(data: Dataset, found: list[Assessment], signals: Any = None, **run: Any) -> Page:
    return Page(render(run_of(data, found, **run), tables_of(data, found), data, signals))


def check(page: Page) -> None:
    """What must hold for every report: well formed, inert, accessible."""
    assert not page.open
    for tag, attributes in page.tags:
        assert tag in TAGS, f"<{tag}>"
        assert set(attributes) <= ATTRIBUTES, f"<{tag} {attributes}>"
        for name in ("href", "src"):
            if name in attributes:
                assert re.match(r"#|data:image/(png|jpeg);base64,", attributes[name] or ""), attributes[name]
    assert len(page.all("h1")) == 1
    assert page.all("html")[0]["lang"] == "en"
    assert all(svg.get("aria-label") for svg in page.all("svg"))
    assert all(image.get("alt") for image in page.all("img"))
    assert all(th.get("scope") == "col" for th in page.all("th"))
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {(a["href"] or "")[1:] for a in page.all("a")} <= set(names)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 2 for a, b in itertools.pairwise(levels))
    assert "None" not in page.words.replace("None of", "").replace("Nones", "")
    assert "nan" not in page.words.split()


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_renders(name: str) -> None:
    check(Page(made(name)))
    with_proof = Page(made(name, proof_json()))
    check(with_proof)
    assert "It helped." in with_proof.words


def test_same_input_same_bytes() -> None:
    assert made("text") == made("text")


def test_the_policy_forbids_everything_but_this_style() -> None:
    import base64
    import hashlib

    html = made("images")
    policy = next(m["content"] for m in Page(html).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert " style=" not in html
    assert "http://" not in html
    assert "https://" not in html


def test_what_it_says() -> None:
    page = Page(made("text"))
    for words in (
        "About 9 % of the labels are probably wrong (7–11 %).",
        "8 rows flagged; expect one of them to be a false alarm, and about 20 % of all such rows to be missed.",
        "Also flagged: near-duplicates (2).",
        "Systematic errors look right.",
        "What is mistaken for what",
        "Precision and recall to expect",
        "False alarms promised",
        "Class by class",
        "its twin, row 2",
        "Rows that are alike stand together",
        "Not measured yet.",
        "needs a column with the role annotations",
        "dross audit data.csv --label y",
        "scikit-learn",
    ):
        assert words in page.words, words


def test_a_near_twin_shows_what_differs() -> None:
    page = Page(made("text"))
    marked = [page.tags[i] for i in range(len(page.tags)) if page.tags[i][0] == "mark"]
    assert len(marked) == 4  # the sentences differ in their number, on both sides of both pairs


def test_neighbours_stand_beside_a_suspect() -> None:
    html = made("table")
    assert "nearest rows" in html
    assert Page(made("images")).words.count("picture of") == 0  # alt text is an attribute
    assert html.count('class="near"') >= 8


def test_nothing_flagged() -> None:
    page = Page(made("nothing flagged"))
    assert "No label stands out as wrong, and nothing else was flagged." in page.words
    assert "The most suspicious rows, none of them flagged" in page.words
    assert "Nothing could be checked." in Page(made("nothing looked for")).words


def test_failures_are_shown_first() -> None:
    data, found, _ = SHAPES["text"]
    methods = {**METHODS, "broken": {"status": "failed", "reason": "ValueError: <b>no</b>", "seconds": 0.0}}
    page = page_of(data, found, methods=methods)
    check(page)
    assert page.words.index("broken failed: ValueError: <b>no</b>") < page.words.index("Summary")


# ---- hostile text ---------------------------------------------------------------------------------------------------

EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "'\"><svg onload=alert(1)>",
    "data:text/html,<script>alert(1)</script>",
    "javascript:alert(1)",
    "</style><script>x</script>",
    "</title></pre></svg><iframe src=//evil>",
    "{{ 7 * 7 }}{% raw %}",
    "a\x00b\x1b[31mc\x7f",
    "\u202egnp.exe\u2066\u200b\ufeff\u2028",
    "<!--",
    "]]>&lt;&#x3c;script&#x3e;",
    "\ud800 lone",
]
MARKS = "\x00\x01\x1b\x7f\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u200b\ufeff\u2028"


def evil(i: int) -> str:
    return EVIL[i % len(EVIL)].encode("utf-8", "replace").decode()


def hostile() -> tuple[Dataset, list[Assessment]]:
    n = 3 * len(EVIL)
    names = ["<script>column</script>", "\u202elabel", "split{{7*7}}", "id<b>"]
    table = pa.table(
        {
            names[0]: [evil(i) + ("" if i % 2 else " x") for i in range(n)],
            names[1]: [evil(i) for i in range(n)],
            names[2]: [evil(i % 3) for i in range(n)],
            names[3]: [f"{evil(i)} {i}" for i in range(n)],
        }
    )
    roles = {Role.TEXT: [names[0]], Role.LABEL: [names[1]], Role.SPLIT: [names[2]], Role.ID: [names[3]]}
    data = Dataset(table, roles, source=Source("<script>path</script>.csv", "csv"))
    summary = {evil(i): [{evil(j): evil(j + 1)} for j in range(4)] for i in range(5)} | {evil(6): evil(7)}
    found = [
        label_errors(data, 20, note=evil(1)),
        twins(Issue.NEAR_DUPLICATE, {i + 3: i for i in range(0, 18, 4)}),
        nothing(Issue.SLICE, **summary),
    ]
    return data, found


def test_hostile_text_is_inert() -> None:
    data, found = hostile()
    n = len(data)
    rng = np.random.default_rng(0)
    signals = Measured(data, rng.normal(size=(n, 4)).astype(np.float32), rng.dirichlet(np.ones(len(data.classes)), n))
    methods = {evil(i): {"status": "failed", "reason": evil(i + 1), "seconds": 0.0} for i in range(len(EVIL))}
    proof = proof_json()
    proof["headline"], proof["model"] = f"It helped: {evil(0)}", evil(1)
    proof["classes"][0]["name"], proof["why"], proof["notes"] = evil(2), [evil(3)], [evil(8)]
    run = run_of(
        data, found, methods=methods, command=f"dross audit {evil(0)}", notes=[evil(1)], signals={evil(2): 1.0}
    )
    html = render(run, tables_of(data, found), data, signals, proof)
    page = Page(html)
    check(page)
    assert "<script" not in html
    assert "onerror=alert" not in re.sub(r"&lt;img src=x onerror=alert", "", html)
    assert not set(html) & set(MARKS)
    assert "49" not in page.words.split()
    assert "␛[31mc␡" in page.words
    assert "⟨202E⟩gnp.exe⟨2066⟩" in page.words
    assert html.encode("utf-8")


def test_hostile_pictures_are_made_afresh() -> None:
    """Only pixels get through: SVG, broken files and files that say they are huge are not shown."""
    good = png(7) + b"<script>alert(1)</script>"
    huge = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00" + b"\0" * 8
    cells = [good, b"<svg onload='alert(1)'/>", huge, b"", b"\xff\xd8\xff broken", None]
    data = labelled({"i": pa.array(cells * 10, pa.binary())}, {Role.IMAGE: ["i"]})
    found = [label_errors(data, 12)]
    page = page_of(data, found)
    check(page)
    assert "cannot be shown" in page.words
    import base64

    for image in page.all("img"):
        raw = base64.b64decode((image["src"] or "").split(",")[1])
        assert raw.startswith(b"\x89PNG")
        assert b"script" not in raw


def test_a_megabyte_in_a_cell() -> None:
    cells = ["word " * 200_000 + str(i) for i in range(12)]
    data = labelled({"t": cells}, {Role.TEXT: ["t"]}, n=12)
    found = [label_errors(data, 3), twins(Issue.NEAR_DUPLICATE, {4: 1, 7: 3})]
    html = render(run_of(data, found), tables_of(data, found), data)
    page = Page(html)
    check(page)
    assert len(html) < 150_000
    assert "characters)" in page.words


# ---- size -----------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_rows_stay_small() -> None:
    n, k = 100_000, 120
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(500)])
    some = pa.array([" ".join(w) for w in words[rng.integers(0, 500, (2000, 60))].tolist()])
    texts = some.take(pa.array(rng.integers(0, 2000, n)))
    labels = pa.array([f"a class with a rather long name {i}" for i in rng.integers(0, k, n)])
    features = {f"feature_{i}": rng.normal(size=n) for i in range(40)}
    table = pa.table({"text": texts, "label": labels, **features})
    data = Dataset(table, {Role.TEXT: ["text"], Role.FEATURES: list(features), Role.LABEL: ["label"]})
    pairs = {int(i) + 1: int(i) for i in range(0, n - 2, 20)}
    issues = [Issue.NEAR_DUPLICATE, Issue.LEAKAGE, Issue.SEMANTIC_DUPLICATE, Issue.DUPLICATE]
    rows = np.arange(n)
    others = [
        Assessment(i, Findings(i, rows, rng.random(n).astype(np.float32)), ("m",), np.zeros(n, np.int8), rows < 9000,
                   rng.random(n).astype(np.float32), (0.1, 0.1, 0.1), (0.9, 0.8, 1.0), (0.9, 0.8, 1.0))
        for i in (Issue.OUTLIER, Issue.VALUE, Issue.FORM)
    ]  # fmt: skip
    found = [label_errors(data, 9000), *(twins(i, pairs) for i in issues), *others]
    vectors = rng.normal(size=(n, 16)).astype(np.float32)
    html = render(run_of(data, found), tables_of(data, found), data, Measured(data, vectors), proof_json())
    assert len(html.encode()) < 1_500_000


def test_pictures_keep_to_their_share() -> None:
    rng = np.random.default_rng(0)
    import io

    from PIL import Image

    def noise() -> bytes:
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (300, 300, 3)).astype(np.uint8)).save(out, "PNG")
        return out.getvalue()

    some = [noise() for _ in range(12)]
    data = labelled({"i": pa.array(some * 10, pa.binary())}, {Role.IMAGE: ["i"]}, n=120)
    vectors = rng.normal(size=(120, 4)).astype(np.float32)
    rows = np.arange(120)
    others = [
        Assessment(i, Findings(i, rows, rng.random(120).astype(np.float32)), ("m",), np.zeros(120, np.int8), rows < 60,
                   np.full(120, 0.9, np.float32))
        for i in (Issue.OUTLIER, Issue.VALUE, Issue.SPURIOUS, Issue.FORM)
    ]  # fmt: skip
    found = [label_errors(data, 60), *others]
    html = render(run_of(data, found), tables_of(data, found), data, Measured(data, vectors))
    assert len(html.encode()) < 2_000_000


# ---- the file -------------------------------------------------------------------------------------------------------


def test_only_a_report_is_replaced(tmp_path: Path) -> None:
    data, found, signals = SHAPES["text"]
    given: Any = {"run": run_of(data, found), "tables": tables_of(data, found), "data": data, "signals": signals}
    path = write_report(tmp_path / "new" / "report.html", **given)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    write_report(path, **given)
    other = tmp_path / "thesis.html"
    other.write_text("<p>years of work</p>")
    with pytest.raises(DrossError, match="no dross report"):
        write_report(other, **given)
    assert other.read_text() == "<p>years of work</p>"
    with pytest.raises(DrossError, match="folder"):
        write_report(tmp_path, **given)
    (tmp_path / "file").write_text("")
    with pytest.raises(DrossError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", **given)
    assert not list(tmp_path.rglob("*.tmp"))
