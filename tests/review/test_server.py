"""The real server in a process of its own: how it begins and ends, and that a kill loses nothing it has answered."""

from __future__ import annotations

import http.client
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from dross.ledger import Ledger
from tests.ledger.made import audited, dataset, relabelled, summary
from tests.review.running import Person, Served

DECISIONS = 1000
ROUNDS = 6
FINDINGS = 400
PEOPLE = 3
PHRASE = "correct horse"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A workspace with some hundred findings on labels."""
    data = dataset(FINDINGS)
    run = summary(data) | {"issues": {"label": {"findings": FINDINGS, "flagged": FINDINGS}}}
    audited(tmp_path, data, {}).record(run, {"label": relabelled(data, range(FINDINGS))}, data=data)
    return tmp_path / ".dross"


def test_it_begins_and_ends(many: Path) -> None:
    with Served(many, ("--author", "Ada")) as served:
        assert served.address.startswith("http://127.0.0.1:")
        ada = served.person()
        assert ada.get("/api/summary")["person"] == "Ada"
        assert ada.post("/api/decisions", {"issue": "label", "rows": [1], "says": "drop"})[0] == 200
        stranger = served.stranger()
        assert stranger.send("GET", stranger.first)[0] == 403
        assert stranger.send("GET", "/api/summary")[0] == 401
        time.sleep(0.1)
        served.process.send_signal(signal.SIGINT)
        said = served.rest()
        assert served.process.returncode == 0
        assert "Ctrl-C ends it" in said
        assert "Traceback" not in said  # the pages that were opened beforehand could be opened
        assert "A fresh one: http://127.0.0.1:" in said  # the address was shown a second time
        assert said.endswith("The review page has ended; every decision is kept.\n")
    assert [edit.action for edit in Ledger.open(many).log()] == ["drop", "opinion"]


def test_it_listens_on_loopback_only_and_on_no_other_protocol(many: Path) -> None:
    with Served(many) as served:
        port = int(served.address.rpartition(":")[2].partition("/")[0])
        table = Path("/proc/net/tcp")
        if table.exists():
            listening = [line.split()[1] for line in table.read_text().splitlines() if line.split()[3] == "0A"]
            assert [one for one in listening if one.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]
        ada = served.person()
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        assert ada.send("GET", "/api/summary", None, upgrade)[0] == 200
        assert "server" not in ada.send("GET", "/api/summary")[1]


def test_a_body_in_chunks_is_bounded_on_the_wire(many: Path) -> None:
    with Served(many) as served:
        ada = served.person()
        with socket.create_connection((ada.connection.host, ada.connection.port), timeout=30) as raw:
            head = (
                f"POST /api/undo HTTP/1.1\r\nHost: {ada.origin[7:]}\r\nOrigin: {ada.origin}\r\nCookie: {ada.cookie}\r\n"
            )
            raw.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
            chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            sent = 0
            try:
                while sent < 16 * 2**20:
                    raw.sendall(chunk)
                    sent += len(chunk)
            except OSError:  # it does not listen to the end
                pass
            answer = raw.recv(100)
        assert answer.startswith(b"HTTP/1.1 413 ") or sent < 16 * 2**20
        assert ada.get("/api/summary")["rows"] == FINDINGS


def test_two_people_at_one_row(many: Path) -> None:
    with Served(many, environment={"DROSS_PASSWORD": PHRASE}) as served:
        ada, bob, eve = (served.stranger() for _ in range(3))
        assert eve.sign_in("Eve", "wrong") == 403
        assert eve.send("GET", "/api/summary")[0] == 401
        assert ada.sign_in("Ada", PHRASE) == bob.sign_in("Bob", PHRASE) == 303
        seen = {person: person.get("/api/items/label/7")["seen"] for person in (ada, bob)}
        asked: dict[str, Any] = {"issue": "label", "rows": [7]}
        assert ada.post("/api/decisions", {**asked, "says": "drop", "seen": seen[ada]})[0] == 200
        status, problem = bob.post("/api/decisions", {**asked, "says": "keep", "seen": seen[bob]})
        assert status == 409
        assert "Ada decided on this row meanwhile" in problem["what"]
        item = bob.get("/api/items/label/7")
        assert [(one["author"], one["says"]) for one in item["opinions"]] == [("Ada", "drop")]
        assert bob.post("/api/decisions", {**asked, "says": "keep", "seen": item["seen"]})[0] == 200
    opinions = [edit for edit in Ledger.open(many).log() if edit.action == "opinion"]
    assert [(edit.author, edit.after["says"], edit.active) for edit in opinions] == [
        ("Bob", "keep", True), ("Ada", "drop", True),
    ]  # fmt: skip


def test_tls(many: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run([*make, "-keyout", key, "-out", cert, *subject], check=True, capture_output=True)
    options = ("--host", "0.0.0.0", "--tls-cert", str(cert), "--tls-key", str(key))  # noqa: S104 - with a password
    with Served(many, options, {"DROSS_PASSWORD": PHRASE}) as served:
        assert served.address.startswith("https://")
        port = int(served.address.rpartition(":")[2].partition("/")[0])
        context = ssl.create_default_context(cafile=str(cert))
        secure = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
        with closing(secure) as connection:
            connection.request("GET", "/login")
            assert connection.getresponse().read().startswith(b"<!doctype html>")
            form = f"name=Ada&password={PHRASE}".encode()
            connection.request("POST", "/login", form, {"Origin": f"https://127.0.0.1:{port}"})
            answer = connection.getresponse()
            answer.read()
        cookie = answer.getheader("set-cookie") or ""
        assert cookie.startswith(f"__Host-dross-{port}=")
        assert cookie.endswith("; Secure")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            plain.sendall(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answered = b""
            with suppress(ConnectionResetError):
                answered = plain.recv(100)
            assert not answered.startswith(b"HTTP")


# ---- kill -9 --------------------------------------------------------------------------------------------------------


class Script:
    """People who go on deciding, each decision with a comment of its own, whatever happens to the server."""

    def __init__(self, decisions: int) -> None:
        self.left = iter(range(decisions))
        self.lock = threading.Lock()
        self.sent: dict[str, tuple[list[int], str]] = {}
        self.answered: dict[str, int] = {}
        self.ended = False

    def decide(self, person: Person, seed: int) -> None:
        """Decide until the server dies or nothing is left."""
        rng = random.Random(seed)
        while True:
            with self.lock:
                number = next(self.left, None)
            if number is None:
                self.ended = True
                return
            rows = rng.sample(range(FINDINGS), rng.choice([1, 1, 1, 5]))
            says = rng.choice(["accept", "keep", "drop", "unsure"])
            name = f"decision {number}"
            self.sent[name] = (rows, says)
            try:
                asked = {"issue": "label", "rows": rows, "says": says, "comment": name}
                status, done = person.post("/api/decisions", asked)
            except (OSError, http.client.HTTPException):  # killed before it answered
                return
            assert status == 200, done
            self.answered[name] = done["batch"]


@pytest.mark.slow
def test_killed_while_people_decide(many: Path) -> None:
    script, rng, killed = Script(DECISIONS), random.Random(0), 0
    rounds = 0
    while not script.ended:
        rounds += 1
        with Served(many, environment={"DROSS_PASSWORD": PHRASE}) as served:
            people = [served.stranger() for _ in range(PEOPLE)]
            for i, person in enumerate(people):
                assert person.sign_in(f"person{i}", PHRASE) == 303
            threads = [
                threading.Thread(target=script.decide, args=(person, 100 * rounds + i))
                for i, person in enumerate(people)
            ]
            before = len(script.answered)
            for thread in threads:
                thread.start()
            if rounds <= ROUNDS:  # after about as many decisions as are its share, at any moment of one
                share = before + rng.randint(DECISIONS // (2 * ROUNDS), DECISIONS // ROUNDS)
                while len(script.answered) < share and any(thread.is_alive() for thread in threads):
                    time.sleep(0.001)
                time.sleep(rng.uniform(0, 0.03))
                os.kill(served.process.pid, signal.SIGKILL)
                killed += 1
            for thread in threads:
                thread.join(timeout=120)
    assert killed >= ROUNDS - 1
    assert len(script.sent) > len(script.answered)  # some were cut off in the middle
    check(many, script)


def check(workspace: Path, script: Script) -> None:
    """Everything that was answered is in the ledger once; what was not answered is there as a whole or not at all."""
    ledger = Ledger.open(workspace)
    kept: dict[str, list[Any]] = {}
    every = list(ledger.log())
    for edit in every:
        if edit.action == "opinion" and edit.reverses is None:
            kept.setdefault(edit.reason, []).append(edit)
    assert len(script.sent) >= DECISIONS
    assert set(script.answered) <= set(kept) <= set(script.sent)
    verbs = {"accept": "relabel"}
    for name, edits in kept.items():
        rows, says = script.sent[name]
        assert sorted(edit.row for edit in edits) == sorted(rows), name
        assert {edit.after["says"] for edit in edits} == {verbs.get(says, says)}
        assert len({edit.batch for edit in edits}) == 1
        assert script.answered.get(name, edits[0].batch) == edits[0].batch
    # of each person the latest opinion on a row stands, and no other
    standing = Counter((edit.row, edit.author) for edits in kept.values() for edit in edits if edit.active)
    assert set(standing.values()) == {1}
    assert set(standing) == {(edit.row, edit.author) for edits in kept.values() for edit in edits}
    # what follows from the opinions stands once on each row: what the newest of them says
    newest: dict[int, Any] = {}
    for edits in kept.values():
        for edit in edits:
            if edit.active and (edit.row not in newest or edit.id > newest[edit.row].id):
                newest[edit.row] = edit
    effects = Counter((e.row, e.action) for e in every if e.active and e.reverses is None and e.action != "opinion")
    expected = {(row, edit.after["says"]) for row, edit in newest.items() if edit.after["says"] != "unsure"}
    assert effects == dict.fromkeys(expected, 1)
