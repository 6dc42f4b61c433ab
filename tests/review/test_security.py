from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.errors import DrossError
from dross.review.security import IDLE, Gate, Password, Place, Tries, is_loopback, named
from tests.review.conftest import Browser
from tests.review.guarded import HERE, PHRASE, guarded, path_of

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound to it


@pytest.fixture
def signed_in() -> Browser:
    gate, browser = guarded()
    assert browser.get(path_of(gate)).status == 303
    return browser


# ---- names of the server --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("LOCALHOST", True), ("", False),
     (EVERYWHERE, False), ("::", False), ("10.0.0.1", False), ("localhost.evil.example", False),
     ("127.0.0.1.nip.io", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("place", "header", "admitted"),
    [
        (HERE, "127.0.0.1:8000", True), (HERE, "LocalHost:8000", True), (HERE, "[::1]:8000", True),
        (HERE, "127.0.0.1:8001", False), (HERE, "127.0.0.1", False), (HERE, "evil.example:8000", False),
        (HERE, "127.0.0.1:8000@evil.example", False), (HERE, "evil.example:8000 127.0.0.1:8000", False),
        (HERE, "127.0.0.1:8000.evil.example", False), (HERE, "", False), (HERE, "127.0.0.1:99999999", False),
        (Place("127.0.0.1", 80), "localhost", True), (Place("review.example", 443, tls=True), "review.example", True),
        (Place("review.example", 443, tls=True), "localhost", False),
        (Place(EVERYWHERE, 8443, tls=True), "192.168.1.9:8443", True),
        (Place("::", 8443, tls=True), "[fe80::1]:8443", True),
        (Place(EVERYWHERE, 8443, tls=True), "evil.example:8443", False),
    ],
)  # fmt: skip
def test_only_this_servers_names_are_admitted(place: Place, header: str, admitted: bool) -> None:
    assert place.admits(header) is admitted


@given(st.text(max_size=40))
def test_no_other_text_passes_for_a_host(header: str) -> None:
    assert not HERE.admits(header) or header.lower() in {"127.0.0.1:8000", "localhost:8000", "[::1]:8000", "::1:8000"}


def test_another_host_is_refused_even_with_a_session(signed_in: Browser) -> None:
    signed_in.host = "evil.example:8000"
    assert signed_in.get("/").status == 400
    signed_in.host = "127.0.0.1:8000"
    assert signed_in.get("/").json["person"] == "ada"


# ---- tokens ---------------------------------------------------------------------------------------------------------


def test_the_token_has_256_bits_and_is_another_one_each_time() -> None:
    tokens = {guarded()[0].address.partition("=")[2] for _ in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)


def test_a_token_is_exchanged_once_and_leaves_the_address() -> None:
    gate, browser = guarded()
    first = browser.get(path_of(gate))
    assert (first.status, first.headers["location"]) == (303, "/")
    assert re.fullmatch(r"dross-8000=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Strict", first.headers["set-cookie"])
    assert browser.get("/").json["person"] == "ada"


def test_a_used_token_is_refused_and_a_fresh_address_is_said_only_to_the_terminal() -> None:
    said: list[str] = []
    gate, first = guarded(say=said.append)
    used, second = path_of(gate), Browser(first.app)
    first.get(used)
    refused = second.get(used)
    assert refused.status == 403
    assert not second.cookies
    assert "terminal" in refused.text
    assert said == [gate.address]
    assert gate.address.partition("=")[2] not in refused.text
    assert second.get(used).status == 403
    assert len(said) == 1  # whoever repeats it cannot fill the terminal
    assert second.get(path_of(gate)).status == 303
    assert first.get("/").json["person"] == "ada"  # the first session goes on


def test_a_guessed_token_is_refused_and_nothing_is_said() -> None:
    said: list[str] = []
    gate, browser = guarded(say=said.append)
    for guess in ("", "x", path_of(gate)[8:-1], "\udcff", path_of(gate)[8:].swapcase()):
        assert gate.exchange(guess) is None
    assert browser.get("/?token=guess").status == 403
    assert said == []
    assert browser.get(path_of(gate)).status == 303


def test_of_many_at_once_one_gets_in() -> None:
    gate = Gate(HERE, "ada")
    token, won = gate.address.partition("=")[2], []
    threads = [threading.Thread(target=lambda: won.append(gate.exchange(token))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(session is not None for session in won) == 1


def test_whoever_is_in_and_opens_an_old_address_stays_in(signed_in: Browser) -> None:
    again = signed_in.get("/?token=anything")
    assert (again.status, again.headers["location"]) == (303, "/")


# ---- sessions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/api/summary", "/openapi.json", "/pictures/1", "/docs", "/item/label/3", "/x"])
def test_nothing_is_answered_without_a_session(path: str) -> None:
    _, browser = guarded()
    for answer in (browser.get(path), browser.api(path)):
        assert answer.status == 401
        assert b"person" not in answer.body
    browser.cookies["dross-8000"] = "A" * 43
    assert browser.api(path).status == 401
    assert browser.post(path, {}).status == 401


def test_static_files_need_no_session_and_nothing_else_passes_for_them() -> None:
    _, browser = guarded()
    assert browser.get("/static/review.css").status == 200
    assert browser.get("/static/review.css").headers["cache-control"] == "no-cache"
    for path in ("/static", "/Static/x", "//static/x", "/x/static/y"):
        assert browser.get(path).status == 401
    assert browser.post("/static/review.css", {}).status == 401


def test_a_session_ends_when_it_is_idle_and_when_the_person_leaves() -> None:
    now = [0.0]
    gate, browser = guarded(clock=lambda: now[0])
    browser.get(path_of(gate))
    for _ in range(3):
        now[0] += IDLE - 1
        assert browser.api("/api/summary").status == 200
    now[0] += IDLE + 1
    assert browser.api("/api/summary").status == 401
    gate.renew()
    browser.get(path_of(gate))
    kept = dict(browser.cookies)
    assert browser.post("/logout").status == 303
    browser.cookies = kept
    assert browser.api("/api/summary").status == 401


def test_the_cookie_is_secure_under_tls_and_named_by_its_port() -> None:
    place = Place("127.0.0.1", 8443, tls=True)
    gate, browser = guarded(place=place)
    browser.host, browser.scheme = "127.0.0.1:8443", "https"
    answer = browser.get(path_of(gate))
    assert answer.headers["set-cookie"].startswith("__Host-dross-8443=")
    assert answer.headers["set-cookie"].endswith("; Secure")
    assert browser.post("/api/x", {}).status == 200
    assert browser.post("/api/x", {}, origin="http://127.0.0.1:8443").status == 403


def test_a_link_from_another_site_is_asked_again_by_a_page_of_this_server() -> None:
    _, browser = guarded()
    first = browser.get("/item/label/3?label=%22%3Cb%3E", sec_fetch_site="cross-site")
    assert first.status == 200
    assert "url=/item/label/3?label=%22%3Cb%3E'" in first.text
    assert browser.get("/item/label/3", sec_fetch_site="same-origin").status == 401
    assert browser.api("/api/summary", sec_fetch_site="cross-site").status == 401
    assert "evil" not in browser.get("//evil.example/", sec_fetch_site="cross-site").text


# ---- passwords ------------------------------------------------------------------------------------------------------


def test_signing_in() -> None:
    _, browser = guarded(password=PHRASE)
    sent = browser.get("/queue/label?state=all&text=a%20b")
    assert (sent.status, sent.headers["location"]) == (
        303,
        "/login?next=%2Fqueue%2Flabel%3Fstate%3Dall%26text%3Da%2520b",
    )
    assert browser.api("/api/summary").status == 401
    page = browser.get(sent.headers["location"])
    assert page.status == 200
    action = re.search("action='([^']*)'", page.text)
    assert action is not None
    assert browser.form(action[1], "name=Ada&password=wrong").status == 403
    assert browser.form(action[1], f"name=&password={PHRASE}").status == 422
    assert not browser.cookies
    entered = browser.form(action[1], f"name=+Ada+Lovelace&password={PHRASE}")
    assert (entered.status, entered.headers["location"]) == (303, "/queue/label?state=all&text=a%20b")
    assert browser.get("/").json["person"] == "Ada Lovelace"
    assert browser.get("/login").headers["location"] == "/"
    assert browser.form("/logout", "").headers["location"] == "/login"
    assert browser.api("/api/summary").status == 401


def test_a_token_opens_nothing_where_there_is_a_password() -> None:
    gate, browser = guarded(password=PHRASE)
    assert "token" not in gate.address
    assert gate.exchange("") is None
    assert browser.get("/?token=").headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "after", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y"]
)
def test_signing_in_leads_nowhere_else(after: str) -> None:
    from urllib.parse import quote

    _, browser = guarded(password=PHRASE)
    entered = browser.form(f"/login?next={quote(after)}", f"name=Ada&password={PHRASE}")
    assert (entered.status, entered.headers["location"]) == (303, "/")


def test_the_sign_in_page_repeats_a_name_as_text() -> None:
    _, browser = guarded(password=PHRASE)
    answer = browser.form("/login?next='><script>", "name='><script>alert(1)</script>&password=x")
    assert answer.status == 403
    assert "<script" not in answer.text


def test_wrong_passwords_make_an_address_wait_longer_and_longer() -> None:
    now = [0.0]
    _, browser = guarded(password=PHRASE, clock=lambda: now[0])
    other = Browser(browser.app, address="127.0.0.2")
    statuses = [browser.form("/login", "name=Eve&password=wrong").status for _ in range(5)]
    assert statuses == [403, 403, 403, 429, 429]
    right = browser.form("/login", f"name=Ada&password={PHRASE}")
    assert (right.status, right.headers["retry-after"]) == (429, "1")
    assert other.form("/login", f"name=Ada&password={PHRASE}").status == 303
    waits = []
    for _ in range(9):
        now[0] += 1000
        browser.form("/login", "name=Eve&password=wrong")
        waits.append(int(browser.form("/login", "name=Eve&password=wrong").headers["retry-after"]))
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60]
    now[0] += 1000
    assert browser.form("/login", f"name=Ada&password={PHRASE}").status == 303
    assert Browser(browser.app).form("/login", "name=Eve&password=wrong").status == 403


def test_whoever_has_a_network_of_addresses_has_one_wait() -> None:
    tries = Tries(clock=lambda: 0.0)
    waits = [tries.wait(f"2001:db8::{i:x}") for i in range(1, 6)]
    assert waits == [0, 0, 0, 1, 1]
    assert tries.wait("2001:db8:1::1") == 0


def test_the_memory_of_wrong_passwords_is_bounded() -> None:
    tries = Tries()
    for i in range(6000):
        tries.wait(f"10.0.{i // 256}.{i % 256}")
    assert len(tries._known) <= 4096


def test_a_password_is_compared_whole_and_not_kept() -> None:
    password = Password("pässwörd é")
    assert password.matches("pässwörd e\u0301")
    assert not any(password.matches(guess) for guess in ("", "pässwörd", "pässwörd é ", "PÄSSWÖRD É", "\udcff" * 9))
    assert "pässwörd" not in repr(vars(password))
    for bad in ("", "short", "x" * 1025):
        with pytest.raises(DrossError, match="characters"):
            Password(bad)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Gate(Place(EVERYWHERE, 1), "ada"), "whoever reaches"),
        (lambda: Gate(Place("10.0.0.1", 1, tls=True), "ada"), "whoever reaches"),
        (lambda: Gate(Place("10.0.0.1", 1), password=PHRASE), "in clear"),
        (lambda: Gate(HERE, ""), "empty"),
    ],
)
def test_an_open_gate_cannot_be_built(make: Callable[[], Gate], says: str) -> None:
    with pytest.raises(DrossError, match=says):
        make()


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "a\nb", "a\x1b[31m", "\u202eeve", "a\x00"])
def test_names_that_cannot_be_kept(name: str) -> None:
    with pytest.raises(DrossError):
        named(name)
