"""Answers on disk, and the budget over many threads."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.errors import DrossError
from dross.llm.asking import ATTEMPTS, Asker, Models
from dross.llm.budget import Limits, Price, Spending, Use, estimate_tokens, expected, worst
from dross.llm.cache import Cache, key_of, request_of
from dross.llm.prompt import Answer, Message, Prompt, Token
from dross.llm.schema import label_schema
from dross.llm.transport import Server

PROMPT = Prompt(
    (Message("system", "s"), Message("user", "é 数 \ud800")), '{"type":"object"}', images=("data:image/png;base64,xx",)
)


def test_the_name_of_a_request_is_its_content_for_ever() -> None:
    plain = Prompt((Message("user", "hello"),))
    # a change of this value throws away everybody's paid answers
    assert key_of(request_of(plain, "m")) == "a48c474c219af809ff047080a7626d28b599d409e17daadf6d2e26887e6ccb68"
    others = [
        request_of(plain, "n"),
        request_of(plain, "m", "q4"),
        request_of(Prompt((Message("user", "hello"),), temperature=0.5), "m"),
        request_of(Prompt((Message("user", "hello"),), sample=1), "m"),
        request_of(Prompt((Message("user", "hello"),), "{}"), "m"),
        request_of(Prompt((Message("user", "hello"),), images=("a",)), "m"),
        request_of(Prompt((Message("system", "hello"),)), "m"),
    ]
    assert len({request_of(plain, "m"), *others}) == 8


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answers.sqlite"
    cache = Cache(path)
    request = request_of(PROMPT, "m")
    answer = Answer("é\x00", (Token("é", -0.5, (("a", -1.0),)),), 3, 4, "length")
    cache.put(request, answer)
    cache.close()
    assert Cache(path).get([key_of(request), "0" * 64]) == {key_of(request): answer}


def test_a_damaged_answer_is_asked_anew_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    cache = Cache(path)
    request = request_of(PROMPT, "m")
    cache.put(request, Answer("x"))
    cache.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE answers SET answer = '{\"text\": 3'")
    db.close()
    cache = Cache(path)
    assert cache.get([key_of(request)]) == {}
    cache.close()
    path.write_bytes(b"this is no database, " * 500)
    with pytest.raises(DrossError, match=r"cannot be used: file is not a database.*moved away"):
        Cache(path)
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(DrossError, match="newer dross"):
        Cache(newer)


def test_two_writers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    caches = [Cache(path), Cache(path)]

    def write(which: int) -> None:
        for i in range(20):
            caches[which].put(request_of(Prompt((Message("user", f"{which} {i}"),)), "m"), Answer(str(i)))

    threads = [threading.Thread(target=write, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caches[0]) == 40


# ---- the budget ------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), min_size=1, max_size=60),
    st.integers(0, 400),
)
def test_no_order_of_threads_exceeds_the_limit(jobs: list[tuple[int, float]], most: int) -> None:
    spending = Spending(Limits(tokens=most))
    waiting = iter(jobs)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                job = next(waiting, None)
            if job is None:
                return
            reserve = Use(1, job[0], 0, 0.0)
            if spending.reserve(reserve):
                spending.settle(reserve, Use(1, int(job[0] * job[1]), 0, 0.0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert spending.total.tokens_in <= most
    assert spending.exhausted or spending.total.requests == len(jobs)


@given(st.text(max_size=300))
def test_the_estimate_is_never_above_the_most(text: str) -> None:
    prompt = Prompt((Message("user", text),), max_tokens=20)
    price = Price(1, 1)
    assert expected(prompt, price).tokens_in <= worst(prompt, price).tokens_in
    assert estimate_tokens(text) <= len(text.encode("utf-8", "replace"))


@pytest.mark.parametrize(
    "make", [lambda: Price(-1), lambda: Price(float("nan")), lambda: Limits(cost=-1), lambda: Limits(cost=float("nan"))]
)
def test_odd_prices_and_limits_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DrossError):
        make()


# ---- asking again ----------------------------------------------------------------------------------------------------


def test_an_answer_that_does_not_fit_is_asked_for_again_and_told_why() -> None:
    seen: list[Prompt] = []

    def model(prompts: list[Prompt]) -> list[Answer]:
        seen.extend(prompts)
        return [Answer('{"label": "eggs"}' if len(p.messages) < 3 else '{"label": "ham"}') for p in prompts]

    asker = Asker("m", model)
    prompt = Prompt((Message("user", "x"),), label_schema(["ham", "spam"]))
    assert asker.ask([prompt])[0].value == {"label": "ham"}
    assert seen[1].messages[:2] == (Message("user", "x"), Message("assistant", '{"label": "eggs"}'))
    assert 'not "eggs"' in seen[1].messages[2].text
    assert (asker.asked, asker.again, asker.errors) == (2, 1, {})


def test_a_model_that_never_fits_is_counted_and_a_cut_answer_gets_room() -> None:
    lengths: list[int] = []

    def model(prompts: list[Prompt]) -> list[Answer]:
        lengths.extend(p.max_tokens for p in prompts)
        return [Answer('{"label": "ha', finish="length") for _ in prompts]

    asker = Asker("m", model)
    reply = asker.ask([Prompt((Message("user", "x"),), label_schema(["ham"]), 16)])[0]
    assert "cut at 32 tokens" in reply.error
    assert lengths == [16, *[32] * (ATTEMPTS - 1)]
    assert sum(asker.errors.values()) == 1


def test_a_function_must_answer_every_prompt() -> None:
    with pytest.raises(DrossError, match="gave 0 answers to 1 prompts"):
        Asker("m", lambda prompts: []).ask([Prompt((Message("user", "x"),))])


def test_two_models_of_one_name_are_refused() -> None:
    one, other = Server("http://a/v1", "m"), Server("http://b/v1", "m")
    with pytest.raises(DrossError, match="could not be told apart"):
        Models(servers=(one, other))
