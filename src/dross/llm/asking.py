"""Asking models from a method: which ones, where answers are kept, re-asking where an answer does not fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dross.core.errors import DrossError
from dross.core.results import NotApplicable
from dross.core.signal import Signals
from dross.llm.budget import Limits, Spending
from dross.llm.cache import Cache
from dross.llm.client import BUDGET_REACHED, Client, Forecast
from dross.llm.prompt import Answer, Complete, Message, Prompt
from dross.llm.schema import parse
from dross.llm.transport import Server

FILE = "answers.sqlite"
ATTEMPTS = 3
"""How often an answer that does not fit the schema is asked for."""


def kept_answers(store: Path) -> int:
    """How many answers a workspace's folder of signals keeps.

    >>> kept_answers(Path("nowhere"))
    0
    """
    if not (store / FILE).exists():
        return 0
    cache = Cache(store / FILE)
    try:
        return len(cache)
    finally:
        cache.close()


@dataclass(frozen=True)
class Reply:
    """An answer with the value read from it; ``error`` says why there is none."""

    answer: Answer
    value: Any = None
    error: str = ""


@dataclass
class Asker:
    """One model, asked so that its answers fit; counts what went wrong."""

    name: str
    complete: Complete
    errors: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    again: int = 0

    def ask(self, prompts: list[Prompt]) -> list[Reply]:
        """Answers with their values; where one does not fit its schema, the model is told why and asked again."""
        replies = [Reply(Answer(), error="not asked")] * len(prompts)
        waiting = dict(enumerate(prompts))
        for attempt in range(ATTEMPTS):
            if not waiting:
                break
            answers = self.complete(list(waiting.values()))
            if len(answers) != len(waiting):
                raise DrossError(f"the model {self.name} gave {len(answers)} answers to {len(waiting)} prompts")
            self.asked += len(waiting)
            self.again += len(waiting) if attempt else 0
            following = {}
            for (i, prompt), answer in zip(waiting.items(), answers, strict=True):
                replies[i] = read(prompt, answer)
                if replies[i].error and not answer.error:
                    following[i] = _asked_again(prompts[i], answer, replies[i].error)
            waiting = following
        for reply in replies:
            if reply.error:
                short = reply.error[:160]
                self.errors[short] = self.errors.get(short, 0) + 1
        return replies


def read(prompt: Prompt, answer: Answer) -> Reply:
    """The value of one answer, or why there is none."""
    if answer.error:
        return Reply(answer, error=answer.error)
    try:
        return Reply(answer, parse(answer.text, prompt.schema))
    except ValueError as odd:
        cut = f" (it was cut at {prompt.max_tokens} tokens)" if answer.finish == "length" else ""
        return Reply(answer, error=f"{odd}{cut}")


def _asked_again(prompt: Prompt, answer: Answer, complaint: str) -> Prompt:
    """The first prompt, its unfit answer and what is wrong with that; longer where the answer was cut."""
    said = Message("assistant", answer.text[:2000] or "…")
    told = Message("user", f"That does not do: {complaint}. Answer again, with nothing but the JSON object asked for.")
    longest = min(prompt.max_tokens * 2, 4096) if answer.finish == "length" else prompt.max_tokens
    again = (*prompt.messages, said, told)
    return replace(prompt, messages=again, max_tokens=max(longest, prompt.max_tokens))


@dataclass(frozen=True)
class Models:
    """Which models a method asks, where their answers are kept, and what they may cost.

    Attributes
    ----------
    servers
        Models behind OpenAI-compatible servers.
    functions
        Functions of one's own that answer prompts in a server's stead or beside it.
    limits
        The most that a job may use, over all servers.
    cache
        The file that keeps the answers; in the workspace when empty.

    Examples
    --------
    >>> Models(servers=(Server("http://localhost:8000/v1", "llama"),)).names
    ['llama']
    """

    servers: tuple[Server, ...] = ()
    functions: tuple[Complete, ...] = ()
    limits: Limits = field(default_factory=Limits)
    cache: str = ""

    def __post_init__(self) -> None:
        names = [server.name for server in self.servers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DrossError(
                f"two servers offer a model called {twice!r}, and their answers could not be told apart",
                fix="give one an edition",
            )

    @property
    def names(self) -> list[str]:
        """The models' names, servers first."""
        return [s.name for s in self.servers] + [f"function {i + 1}" for i in range(len(self.functions))]

    def missing(self) -> NotApplicable | None:
        """Why nothing can be asked, where there is no model."""
        if self.servers or self.functions:
            return None
        return NotApplicable("needs a language model: name a server, its address and its model")

    @contextmanager
    def opened(self, signals: Signals) -> Iterator[Opened]:
        """The models ready to be asked; answers are kept in the workspace of ``signals`` where no file is named."""
        path = Path(self.cache) if self.cache else None if signals.store is None else signals.store / FILE
        cache = Cache(path)
        try:
            spending = Spending(self.limits)
            clients = [Client(s, cache, spending, progress=signals.progress) for s in self.servers]
            askers = [Asker(c.server.name, c) for c in clients]
            askers += [Asker(f"function {i + 1}", f) for i, f in enumerate(self.functions)]
            yield Opened(askers, clients, spending)
        finally:
            cache.close()

    def forecast(self, prompts: Callable[[], Iterable[Prompt]], signals: Signals) -> dict[str, Forecast]:
        """What asking every server these prompts will take, by model; re-asked answers come on top."""
        with self.opened(signals) as opened:
            return {client.server.name: client.forecast(prompts()) for client in opened.clients}


@dataclass(frozen=True)
class Opened:
    """Models that are ready to be asked, and what they have used."""

    askers: list[Asker]
    clients: list[Client]
    spending: Spending

    def summary(self) -> dict[str, Any]:
        """What was asked, used and went wrong; plain JSON values."""
        total = self.spending.total
        return {
            "models": [
                {"model": a.name, "asked": a.asked, "asked_again": a.again, "errors": dict(a.errors)}
                for a in self.askers
            ],
            "requests_sent": sum(client.asked for client in self.clients),
            "tokens_in": total.tokens_in,
            "tokens_out": total.tokens_out,
            "cost": round(total.cost, 6) if math.isfinite(total.cost) else None,
            "stopped": BUDGET_REACHED if self.spending.exhausted else "",
        }
