"""URL filter against plain Python."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.curate.url_filter import UrlFilter
from tests.curate.judged import check_batches, judged

HOSTS = [
    "bad.example",
    "www.bad.example",
    "a.b.bad.example",
    "notbad.example",
    "bad.example.org",
    "ok.example",
    "ok.example",
    "BAD.example",
    "bad.example.",
    "xn--e1afmkfd.example",
    "10.0.0.1",
    "worse.co.uk",
    "co.uk",
]
PATHS = [
    "",
    "/",
    "/a",
    "/a/",
    "/Casino-win",
    "/cas/ino",
    "/live-cams?x=1",
    "/free/bet/win",
    "/a?b=bad.example",
    "/a#casino",
    "/x@bad.example",
]
STEP = UrlFilter(
    domains=("bad.example", "worse.co.uk"),
    urls=("https://ok.example/a", "http://www.ok.example/free/bet/win"),
    words=("casino", "Live-Cams"),
    soft_words=("free", "bet", "win"),
    subwords=("casino", "camsx"),
)


def drawn(seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    heads = ["http://", "https://", "HTTPS://", "//", "", "http://user:pass@"]
    ports = ["", "", ":8080"]
    return ["".join(str(rng.choice(part)) for part in (heads, HOSTS, ports, PATHS)) for _ in range(500)]


def rule(url: str) -> str:
    plain = url.split("#", maxsplit=1)[0]
    parts = urlsplit(plain if "//" in plain else f"//{plain}")
    host = (parts.hostname or "").rstrip(".")
    if any(host == domain or host.endswith(f".{domain}") for domain in STEP.domains):
        return "blocked_domain"
    port = f":{parts.port}" if parts.port else ""
    query = f"?{parts.query}" if parts.query else ""
    whole = host.removeprefix("www.") + port + (parts.path + query).rstrip("/")
    if whole in {"ok.example/a", "ok.example/free/bet/win"}:
        return "blocked_url"
    words = set(re.split(r"[^a-z0-9]+", plain.lower()))
    if words & {"casino", "livecams"}:
        return "listed_word_in_url"
    if len(words & set(STEP.soft_words)) > 1:
        return "too_many_soft_words_in_url"
    joined = re.sub(r"[^a-z0-9]+", "", url.lower())
    return "listed_subword_in_url" if any(word in joined for word in STEP.subwords) else ""


def test_verdicts_are_those_of_plain_python() -> None:
    urls = drawn(0)
    found = judged(STEP, ["x"] * len(urls), url=urls)
    assert found == [rule(url) for url in urls]
    assert set(found) == {"", *STEP.reasons}


def test_subdomains_count_and_look_alikes_do_not() -> None:
    step = UrlFilter(domains=("bad.example",))
    urls = {
        "http://a.bad.example:80/x": 1,
        "bad.example": 1,
        "http://notbad.example": 0,
        "http://bad.example.com": 0,
        "http://ok.example/bad.example": 0,
        "http://bad.example@ok.example/": 0,
        "http://ok.example@bad.example/": 1,
        "": 0,
        "://": 0,
        "http://[::1]:80/bad.example": 0,
        "  http://bad.example\n": 1,
    }
    assert [bool(reason) for reason in judged(step, ["x"] * len(urls), url=list(urls))] == [
        bool(v) for v in urls.values()
    ]


def test_block_lists_are_read_as_they_are_published(tmp_path: Path) -> None:
    lines = "# hosts\n0.0.0.0 one.example # inline\n*.two.example\n||three.example^\nfour.example\n"
    (tmp_path / "hosts").write_text(lines, encoding="utf-8")
    step = UrlFilter(domains=(f"file:{tmp_path / 'hosts'}",), url="link")
    links = [f"https://{name}.example/" for name in ("one", "two", "three", "four", "five")]
    assert [bool(r) for r in judged(step, ["x"] * 5, link=links)] == [True, True, True, True, False]
    assert step.reads() == ("link",)


def test_rows_without_an_address_stay_and_batches_do_not_matter() -> None:
    urls = pa.array([None, "", *drawn(1)], pa.string())
    assert judged(STEP, ["x"] * len(urls), url=urls)[:2] == ["", ""]
    check_batches(STEP, ["x"] * len(urls), url=urls)


def test_bad_fields_are_refused() -> None:
    with pytest.raises(DrossError, match="all lists are empty"):
        judged(UrlFilter(), ["x"], url=["a"])
    with pytest.raises(DrossError, match="max_soft_words"):
        UrlFilter(max_soft_words=99)
    with pytest.raises(DrossError, match="no column 'url'"):
        judged(STEP, ["x"])
