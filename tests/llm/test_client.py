"""The client against a real local server: what it asks, keeps, pays, retries, and says when it fails."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from dross.core.errors import DrossError
from dross.llm.budget import Limits, Price, Spending
from dross.llm.cache import Cache
from dross.llm.client import BUDGET_REACHED, Client
from dross.llm.prompt import Message, Prompt
from dross.llm.transport import Server
from tests.llm.served import Does, Seen, served


def prompts(n: int, **fields: Any) -> list[Prompt]:
    return [Prompt((Message("user", f"row {i}"),), max_tokens=8, **fields) for i in range(n)]


def echo(body: dict[str, Any], number: int) -> Does:
    return Does(f"seen {body['messages'][-1]['content']}")


def client(seen: Seen, cache: Cache | None = None, spending: Spending | None = None, **fields: Any) -> Client:
    given: dict[str, Any] = {"timeout": 2.0, "retries": 2, "concurrency": 4, "key_variable": "DROSS_TEST_KEY", **fields}
    return Client(Server(seen.url, "tiny", **given), cache, spending, backoff=0.01)


def test_answers_come_in_order_and_equal_prompts_are_asked_once() -> None:
    with served(echo) as seen:
        asked = prompts(20)
        answers = client(seen)([*asked, *asked[::-1]])
        assert [a.text for a in answers[:20]] == [f"seen row {i}" for i in range(20)]
        assert answers[20:] == answers[19::-1]
        assert len(seen) == 20
        assert seen.paths[0] == "/v1/chat/completions"
        assert (answers[0].tokens_in, answers[0].tokens_out) == (10, 5)
        assert seen.connections <= 4


def test_requests_run_side_by_side_but_no_more_than_allowed() -> None:
    with served(lambda body, number: Does("x", sleep=0.05)) as seen:
        client(seen, concurrency=5)(prompts(20))
        assert 2 <= seen.at_once <= 5


def test_the_request_carries_what_the_prompt_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROSS_TEST_KEY", "sk-secret")
    with served(echo) as seen:
        client(seen)([Prompt((Message("system", "s"), Message("user", "u")), '{"type":"object"}', 9, 0.5, 3, True)])
        body = seen.bodies[0]
        assert seen.keys == ["Bearer sk-secret"]
        assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
        assert (body["model"], body["max_tokens"], body["temperature"], body["seed"]) == ("tiny", 9, 0.5, 3)
        assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
        assert body["logprobs"] is True


def test_what_was_answered_is_never_asked_again(tmp_path: Path) -> None:
    kept = tmp_path / "answers.sqlite"
    with served(echo) as seen:
        first = client(seen, Cache(kept))(prompts(10))
        again = client(seen, Cache(kept))(prompts(12))
        assert again[:10] == first
        assert len(seen) == 12
        client(seen, Cache(kept))(prompts(10, sample=1))
        assert len(seen) == 22  # another sample is another request
        client(seen, Cache(kept), edition="q4")(prompts(10))
        assert len(seen) == 32


@pytest.mark.parametrize(
    "failure",
    [
        Does(status=500, body=b'{"error": {"message": "oops"}}'),
        Does(status=503, body=b"<html>busy</html>"),
        Does(body=b"<html>not JSON</html>"),
        Does(body=b"\xff\xfe\x00garbage"),
        Does(body=b"{}"),
        Does(body=b'{"choices": []}'),
        Does(body=b'{"choices": [{"message": "no"}]}'),
        Does(body=b"[1, 2]"),
        Does(body=b'{"error": "overloaded"}'),
        Does(body=b"[" * 100_000),
        Does("x" * 500, cut=100),
        Does(reset=True),
        Does(status=429, body=b"{}", headers={"Retry-After": "0.05"}),
        Does(status=408, body=b""),
    ],
    ids=lambda does: f"{does.status}-{(does.body or b'cut')[:12]!r}-{does.reset}",
)
def test_what_may_pass_is_tried_again(failure: Does) -> None:
    with served(lambda body, number: failure if number <= 2 else echo(body, number)) as seen:
        assert client(seen, concurrency=1)(prompts(1))[0].text == "seen row 0"
        assert len(seen) == 3


def test_a_row_that_fails_alone_does_not_stop_the_others() -> None:
    def behaviour(body: dict[str, Any], number: int) -> Does:
        return Does(status=500, body=b"boom") if body["messages"][-1]["content"] == "row 3" else echo(body, number)

    with served(behaviour) as seen:
        answers = client(seen)(prompts(12))
        assert [i for i, a in enumerate(answers) if a.error] == [3]
        assert "after 2 retries: status 500: boom" in answers[3].error
        assert client(seen, concurrency=1)(prompts(2))[1].text == "seen row 1"


@pytest.mark.parametrize("as_date", [False, True])
def test_the_server_says_how_long_to_wait(as_date: bool) -> None:
    at: list[float] = []
    until: list[float] = []

    def behaviour(body: dict[str, Any], number: int) -> Does:
        at.append(time.time())
        if number > 1:
            return echo(body, number)
        until.append(float(int(at[0]) + 2) if as_date else at[0] + 0.4)
        value = formatdate(until[0], usegmt=True) if as_date else "0.4"
        return Does(status=429, body=b"{}", headers={"Retry-After": value})

    with served(behaviour) as seen:
        client(seen, concurrency=1)(prompts(1))
    assert at[1] >= until[0] - 0.05


def test_a_server_that_asks_for_an_hour_is_given_up() -> None:
    busy = Does(status=429, body=b'{"error": {"message": "quota per day"}}', headers={"Retry-After": "3600"})
    with served(lambda body, number: busy) as seen, pytest.raises(DrossError, match="asks to wait 3,600 s") as caught:
        client(seen)(prompts(3))
    assert "run it again" in str(caught.value)


def test_a_slow_answer_is_cut_and_a_dripping_one_too() -> None:
    for slow in (Does("x", sleep=3), Does("x", drip=0.05)):
        with served(lambda body, number, slow=slow: slow if number == 1 else echo(body, number)) as seen:
            assert client(seen, timeout=0.4, concurrency=1)(prompts(1))[0].text == "seen row 0"
            assert len(seen) > 1  # the first was not waited for to its end


def test_a_server_that_never_answers_is_named() -> None:
    with served(lambda body, number: Does("x", sleep=1)) as seen, pytest.raises(DrossError) as caught:
        client(seen, timeout=0.1, retries=1)(prompts(8))
    assert "stopped answering: no answer within 0.1 s" in str(caught.value)
    assert seen.url in str(caught.value)


def test_a_wrong_key_stops_at_once_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROSS_TEST_KEY", "sk-very-secret")
    refusal = Does(status=401, body=b'{"error": {"message": "Incorrect API key: sk-very-secret"}}')
    with served(lambda body, number: refusal) as seen, pytest.raises(DrossError) as caught:
        client(seen)(prompts(50))
    assert len(seen) <= 4
    assert "refuses the key in $DROSS_TEST_KEY" in str(caught.value)
    assert "sk-very-secret" not in str(caught.value)
    monkeypatch.delenv("DROSS_TEST_KEY")
    with served(lambda body, number: refusal) as seen, pytest.raises(DrossError, match="DROSS_TEST_KEY is not set"):
        client(seen)(prompts(1))


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (Does(status=404, body=b'{"error": {"message": "no model tiny"}}'), "status 404: no model tiny"),
        (Does(status=302, body=b"", headers={"Location": "http://127.0.0.1:9/steal"}), "status 302"),
        (Does(status=429, body=b'{"error": {"code": "insufficient_quota", "message": "pay"}}'), "status 429: pay"),
    ],
)
def test_what_no_request_will_mend_stops_at_once(does: Does, said: str) -> None:
    with served(lambda body, number: does) as seen, pytest.raises(DrossError, match=said):
        client(seen, concurrency=1)(prompts(5))
    assert len(seen) == 1


def test_nobody_listens() -> None:
    with served(echo) as seen:
        pass
    with pytest.raises(DrossError, match=r"nothing listens at this address.*No answer had come"):
        client(seen)(prompts(5))


def test_a_server_that_dies_half_way_loses_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "answers.sqlite"
    dead = Does(reset=True)
    with served(lambda body, number: dead if number > 30 else echo(body, number)) as seen:
        with pytest.raises(DrossError, match="closed the connection") as caught:
            client(seen, Cache(kept))(prompts(100))
        assert str(kept) in str(caught.value)
        assert "(30)" in str(caught.value)
    with served(echo) as seen:
        answers = client(seen, Cache(kept))(prompts(100))
        assert [a.text for a in answers] == [f"seen row {i}" for i in range(100)]
        assert len(seen) == 70


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("response_format", "Unknown parameter: response_format"),
        ("logprobs", "logprobs is not supported by this model"),
        ("seed", "extra fields not permitted: seed"),
        ("temperature", "Unsupported value: temperature"),
        ("response_format", "Bad Request"),
        ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
    ],
)
def test_what_the_server_does_not_take_is_left_out(named: str, told: str) -> None:
    def behaviour(body: dict[str, Any], number: int) -> Does:
        if named in body:
            return Does(status=400, body=json.dumps({"error": {"message": told}}).encode())
        return echo(body, number)

    with served(behaviour) as seen:
        one = client(seen, concurrency=1)
        answers = one([Prompt((Message("user", f"{i}"),), '{"type":"object"}', logprobs=True) for i in range(4)])
        assert [a.text for a in answers] == ["seen 0", "seen 1", "seen 2", "seen 3"]
        refused = sum(named in body for body in seen.bodies)
        assert 1 <= refused <= 3  # learnt once, not row by row
        assert len(seen) == 4 + refused


def test_a_row_that_the_server_refuses_is_an_answer_with_a_reason() -> None:
    def behaviour(body: dict[str, Any], number: int) -> Does:
        long = body["messages"][-1]["content"] == "row 1"
        told = b'{"error": {"message": "maximum context length is 8 tokens"}}'
        return Does(status=400, body=told) if long else echo(body, number)

    with served(behaviour) as seen:
        answers = client(seen, concurrency=1)(prompts(3))
        assert [a.error for a in answers] == ["", "refused: status 400: maximum context length is 8 tokens", ""]


def test_log_probabilities_are_read_in_both_forms() -> None:
    new = [
        {
            "token": "a",
            "logprob": -0.1,
            "top_logprobs": [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -3}],
        }
    ]
    old = {"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"a": -0.1, "b": -3}]}
    body = {"choices": [{"message": {"content": "a"}, "logprobs": old}]}
    found = []
    for does in (Does("a", tokens=new), Does(body=json.dumps(body).encode())):
        with served(lambda body, number, does=does: does) as seen:
            one = client(seen)
            found.append(one(prompts(1, logprobs=True))[0].tokens)
            assert one.features.gives_logprobs is True
    assert found[0] == found[1]
    assert found[0][0].others == (("a", -0.1), ("b", -3.0))


def test_a_withheld_answer_is_an_error_also_when_kept() -> None:
    with served(lambda body, number: Does("", finish="content_filter")) as seen:
        one = client(seen)
        assert "withheld" in one(prompts(1))[0].error
        assert "withheld" in one(prompts(1))[0].error
        assert len(seen) == 1


# ---- the budget ------------------------------------------------------------------------------------------------------


def test_the_budget_is_never_exceeded_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    kept, price = tmp_path / "answers.sqlite", Price(1.0, 2.0)
    with served(echo) as seen:
        spending = Spending(Limits(cost=0.2))
        answers = client(seen, Cache(kept), spending, price=price)(prompts(50))
        assert spending.exhausted
        assert spending.total.cost <= 0.2
        done = [a for a in answers if not a.error]
        assert len(done) == len(seen) == round(spending.total.cost / 0.02)
        assert len(done) >= 8  # at most the reserve of one request is left over
        assert {a.error for a in answers if a.error} == {BUDGET_REACHED}
        more = Spending(Limits(cost=10))
        answers = client(seen, Cache(kept), more, price=price)(prompts(50))
        assert not any(a.error for a in answers)
        assert len(seen) == 50
        assert more.total.cost == pytest.approx(1.0)  # what was paid before counts


def test_limits_on_requests_and_tokens() -> None:
    with served(echo) as seen:
        client(seen, spending=Spending(Limits(requests=7)))(prompts(20))
        assert len(seen) == 7
    with served(echo) as seen:
        spending = Spending(Limits(tokens=100))
        client(seen, spending=spending)(prompts(20))
        assert 0 < spending.total.tokens_in + spending.total.tokens_out <= 100


def test_a_forecast_asks_nothing_and_learns_from_what_is_kept() -> None:
    with served(lambda body, number: Does("x", usage=(100, 4))) as seen:
        one = client(seen, price=Price(1, 1))
        before = one.forecast(prompts(50))
        assert len(seen) == 0
        assert (before.prompts, before.kept, before.likely.requests) == (50, 0, 50)
        one(prompts(10))
        after = one.forecast(prompts(50))
        assert (after.kept, after.likely.requests) == (10, 40)
        assert after.likely.cost == pytest.approx(40 * 0.104, rel=0.05)


def test_a_server_that_keeps_limiting_the_rate_is_waited_for() -> None:
    last = [0.0]

    def limited(body: dict[str, Any], number: int) -> Does:
        now = time.monotonic()
        if now - last[0] < 0.03:
            return Does(status=429, body=b"{}", headers={"Retry-After": "0.05"})
        last[0] = now
        return echo(body, number)

    with served(limited) as seen:
        answers = client(seen, retries=0, concurrency=8)(prompts(20))
        assert not any(a.error for a in answers)
        assert len(seen) > 20


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Hand on what comes until there is no more, then say so."""
    with contextlib.suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def test_a_proxy_is_used_where_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that tunnels to the local server whatever host is asked for."""
    with served(echo) as seen, socket.create_server(("127.0.0.1", 0)) as door:
        port = int(seen.url.split(":")[2].split("/")[0])
        asked: list[bytes] = []

        def tunnel() -> None:
            here, _ = door.accept()
            asked.append(here.recv(4096))
            there = socket.create_connection(("127.0.0.1", port))
            here.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(there, here), daemon=True)
            back.start()
            with here, there:
                _pump(here, there)
                back.join(30)

        thread = threading.Thread(target=tunnel, daemon=True)
        thread.start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{door.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        far = Client(Server("http://models.example:8000/v1", "tiny", retries=0, timeout=5, key_variable=""))
        assert far(prompts(1))[0].text == "seen row 0"
        assert asked[0].startswith(b"CONNECT models.example:8000 ")
        thread.join(30)
        assert client(seen)(prompts(1))[0].text == "seen row 0"  # the near server is asked directly


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "", "http://u:p@host/v1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(DrossError, match="address"):
        Server(url, "m")
