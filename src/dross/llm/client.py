"""A client that answers prompts from what is kept, else from a server: concurrent, patient, within the budget."""

from __future__ import annotations

import itertools
import math
import random
import threading
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from dross.core.errors import DrossError
from dross.core.signal import Progress, silent
from dross.llm.budget import Spending, Use, expected, used, worst
from dross.llm.cache import Cache, key_of, request_of
from dross.llm.features import Features
from dross.llm.prompt import Answer, Prompt, Token
from dross.llm.transport import Failure, Kind, Server, Transport

BUDGET_REACHED = "not asked: the budget is used up"
WITHHELD = "the server withheld the answer (content_filter)"
BARREN = 3
"""Requests that fail in a row, each after all its retries, until the server is given up."""


@dataclass(frozen=True)
class Forecast:
    """What a job will take: prompts in all, those whose answers are kept, the use of the rest (likely, at most)."""

    prompts: int
    kept: int
    likely: Use
    most: Use


class Client:
    """Answers prompts by one server: ``client(prompts)`` is one answer each, in their order.

    Equal prompts are asked once; what was ever answered is not asked again. Each answer is kept the moment it comes, so
    that a run that was killed, or stopped by an error, goes on where it was.

    Parameters
    ----------
    server
        Whom to ask.
    cache
        Where answers are kept; a fresh one in memory when absent.
    spending
        Keeps the budget; several clients may share one.
    progress
        Called as ``progress(what, done, total)``.
    backoff
        Seconds before the first retry; doubled with each.

    Raises
    ------
    DrossError
        When called: the server refuses the key, knows no such model, or stops answering. Every answer that had come is
        kept. A request that fails alone gives an Answer with ``error``; so do those for which the budget has no room.
    """

    def __init__(
        self,
        server: Server,
        cache: Cache | None = None,
        spending: Spending | None = None,
        *,
        progress: Progress = silent,
        backoff: float = 1.0,
    ) -> None:
        self.server = server
        self.cache = cache if cache is not None else Cache(None)
        self.spending = spending or Spending()
        self.features = Features()
        self.asked = 0
        """Requests answered by the server itself."""
        self._progress, self._backoff = progress, backoff
        self._transport = Transport(server)
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._barren = 0
        self._last = ""
        self._stop = threading.Event()
        self._counted: set[str] = set()

    def __call__(self, prompts: list[Prompt]) -> list[Answer]:
        """Answer the prompts."""
        requests = [request_of(p, self.server.model, self.server.edition) for p in prompts]
        keys = [key_of(r) for r in requests]
        wanted = dict(zip(keys, zip(prompts, requests, strict=True), strict=True))
        found = self.cache.get(wanted)
        for key, answer in found.items():
            if key not in self._counted:
                self._counted.add(key)
                self.spending.count(used(wanted[key][0], answer, self.server.price))
        missing = {key: both for key, both in wanted.items() if key not in found}
        if missing:
            self._ask_all(missing, found)
        return [judged(found[key]) for key in keys]

    def forecast(self, prompts: Iterable[Prompt]) -> Forecast:
        """What asking these prompts will take; likely figures are scaled to what is known of kept answers."""
        price = self.server.price
        seen: set[str] = set()
        likely, most, took, thought = Use(), Use(), Use(), Use()
        waiting = iter(prompts)
        while some := list(itertools.islice(waiting, 1000)):
            wanted = {key_of(request_of(p, self.server.model, self.server.edition)): p for p in some}
            wanted = {key: p for key, p in wanted.items() if key not in seen}
            seen |= set(wanted)
            found = self.cache.get(wanted)
            for key, prompt in wanted.items():
                if key in found:
                    took += used(prompt, found[key], price)
                    thought += expected(prompt, price)
                else:
                    likely += expected(prompt, price)
                    most += worst(prompt, price)
        if took.requests:
            sent = round(likely.tokens_in * took.tokens_in / max(thought.tokens_in, 1))
            answered = round(likely.tokens_out * took.tokens_out / max(thought.tokens_out, 1))
            likely = Use(likely.requests, sent, answered, price.of(sent, answered))
        return Forecast(len(seen), took.requests, likely, most)

    # ---- many -------------------------------------------------------------------------------------------------------

    def _ask_all(self, missing: dict[str, tuple[Prompt, str]], found: dict[str, Answer]) -> None:
        self._stop.clear()
        self._transport.open()
        total, before = len(missing), len(found)
        self._barren = 0
        waiting = iter(missing.items())
        under_way: dict[Future[Answer], str] = {}
        fatal: Failure | None = None
        what = f"asking {self.server.name}"
        self._progress(what, 0, total)
        pool = ThreadPoolExecutor(min(self.server.concurrency, total), thread_name_prefix="dross-llm")
        try:
            while True:
                while fatal is None and len(under_way) < self.server.concurrency:
                    one = next(waiting, None)
                    if one is None:
                        break
                    under_way[pool.submit(self._ask, *one[1])] = one[0]
                if not under_way:
                    break
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    key = under_way.pop(future)
                    try:
                        found[key] = future.result()
                    except Failure as failure:
                        fatal = fatal or failure
                        self._stop.set()
                self._progress(what, len(found) - before, total)
        except BaseException:
            self._stop.set()
            self._transport.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            self._transport.close()
        if fatal is None and self._barren and self._barren == total:
            fatal = Failure(Kind.AGAIN, self._last)
        if fatal is not None:
            raise self._given_up(fatal, found, total)

    def _given_up(self, failure: Failure, found: dict[str, Answer], total: int) -> DrossError:
        have = sum(not answer.error for answer in found.values())
        where = str(self.cache.path) if self.cache.path is not None else "memory only"
        verb = "cannot be used" if failure.kind is Kind.FATAL else "stopped answering"
        kept = f"The answers that came ({have:,}) are kept in {where}" if have else "No answer had come"
        return DrossError(
            f"the server of {self.server.name} {verb}: {failure.why}",
            where=self.server.url,
            fix=f"{kept}; run it again to ask the rest",
        )

    # ---- one --------------------------------------------------------------------------------------------------------

    def _ask(self, prompt: Prompt, request: str) -> Answer:
        most = worst(prompt, self.server.price)
        if self._stop.is_set():
            return Answer(error="not asked: the run was stopped")
        if not self.spending.reserve(most):
            return Answer(error=BUDGET_REACHED)
        taken = Use()
        try:
            answer, taken = self._tried(prompt, request, most)
        except Failure as failure:
            taken = most if failure.slow else Use()
            raise
        finally:
            self.spending.settle(most, taken)
        return answer

    def _tried(self, prompt: Prompt, request: str, most: Use) -> tuple[Answer, Use]:
        """Try until there is an answer; the answer and what it took. Raises Failure where no request will do better."""
        again, waited = 0, 0.0
        lost = False
        while True:
            self._pause()
            sent = self.features.now()
            try:
                reply = self._transport.post(sent.body(prompt, self.server.model))
                answer = read_reply(reply)
            except Failure as failure:
                lost = lost or failure.slow
                if self._stop.is_set():
                    return Answer(error="not asked: the run was stopped"), most if lost else Use()
                if failure.kind is Kind.FATAL:
                    raise
                if failure.kind is Kind.REFUSED:
                    if self.features.refused(failure.why, sent):
                        continue
                    return Answer(error=f"refused: {failure.why}"), Use()
                waited += failure.wait or 0.0
                patient = waited <= self.server.patience
                again += failure.wait is None or not patient  # to wait as one is told is no failure
                if again > self.server.retries or (failure.wait or 0) > self.server.patience:
                    return self._failed(failure), most if lost else Use()
                self._delay(failure, again, request)
                continue
            self.features.worked(prompt, answer)
            self.cache.put(request, answer)
            with self._lock:
                self._barren = 0
                self.asked += 1
                self._counted.add(key_of(request))
            return answer, used(prompt, answer, self.server.price)

    def _failed(self, failure: Failure) -> Answer:
        asks = f"; it asks to wait {failure.wait:,.0f} s" if (failure.wait or 0) > self.server.patience else ""
        with self._lock:
            self._barren += 1
            self._last = failure.why + asks
            if self._barren >= BARREN or asks:
                raise Failure(Kind.AGAIN, failure.why + asks)
        return Answer(error=f"failed after {self.server.retries} retries: {failure.why}")

    def _delay(self, failure: Failure, again: int, request: str) -> None:
        """Wait before the next try; when the server says how long, all requests do."""
        spread = random.Random(f"{request}{again}").uniform(0.5, 1.0)
        if failure.wait is not None:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + failure.wait)
            self._pause()
            self._stop.wait((spread - 0.5) * max(failure.wait, self._backoff))  # not all at the same instant
            return
        self._stop.wait(min(self._backoff * 2.0 ** (again - 1) * spread, self.server.patience))

    def _pause(self) -> None:
        while not self._stop.is_set():
            left = self._not_before - time.monotonic()
            if left <= 0:
                return
            self._stop.wait(left)


def judged(answer: Answer) -> Answer:
    """The answer, with an error where the server cut it out."""
    return replace(answer, error=WITHHELD) if answer.finish == "content_filter" and not answer.error else answer


def read_reply(reply: dict[str, Any]) -> Answer:
    """The answer in a chat completion. Raises Failure where there is none."""
    try:
        choice = reply["choices"][0]
        message = choice["message"]
        content = message.get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Failure(Kind.AGAIN, "its answer is no chat completion") from None
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    finish = str(choice.get("finish_reason") or "stop")
    usage = reply.get("usage")
    sent, answered = (_count(usage, name) for name in ("prompt_tokens", "completion_tokens"))
    text = content if isinstance(content, str) else str(message.get("refusal") or "")
    return Answer(text, _tokens(choice.get("logprobs")), sent, answered, finish)


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _tokens(given: Any) -> tuple[Token, ...]:
    """The tokens of an answer with their log-probabilities, in today's form or that of older servers."""
    if not isinstance(given, dict):
        return ()
    try:
        if isinstance(given.get("content"), list):
            return tuple(
                Token(
                    str(t["token"]),
                    _finite(t["logprob"]),
                    tuple((str(o["token"]), _finite(o["logprob"])) for o in t.get("top_logprobs") or ()),
                )
                for t in given["content"]
            )
        if isinstance(given.get("tokens"), list):
            tops = given.get("top_logprobs") or [{}] * len(given["tokens"])
            return tuple(
                Token(str(t), _finite(p), tuple((str(o), _finite(q)) for o, q in (top or {}).items()))
                for t, p, top in zip(given["tokens"], given["token_logprobs"], tops, strict=True)
            )
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()
    return ()


def _finite(value: Any) -> float:
    number = float(value)
    return number if math.isfinite(number) else -1e9
