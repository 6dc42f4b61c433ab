"""What asking costs: estimated before, capped during."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from dross.core.errors import DrossError
from dross.llm.prompt import Answer, Prompt

PER_MESSAGE = 8
"""Tokens that a chat template adds to each message."""
PER_IMAGE = 1_100


@dataclass(frozen=True)
class Price:
    """What 1,000 tokens cost, in any currency: those sent and those answered.

    >>> Price(0.5, 2.0).of(2000, 500)
    2.0
    """

    sent: float = 0.0
    answered: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.sent < float("inf") and 0 <= self.answered < float("inf")):
            raise DrossError("a price must be a number of at least 0", fix="give the price of 1,000 tokens")

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """The price of one request."""
        return (tokens_in * self.sent + tokens_out * self.answered) / 1000


@dataclass(frozen=True)
class Limits:
    """The most that a job may use; None for no limit. What earlier runs of the same job used counts in full."""

    cost: float | None = None
    tokens: int | None = None
    requests: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 <= value < float("inf"):
                raise DrossError(f"the limit {name} must be a number of at least 0, not {value}")


@dataclass(frozen=True)
class Use:
    """Requests, tokens and cost used or to be used."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __add__(self, other: Use) -> Use:
        return Use(
            self.requests + other.requests,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.cost + other.cost,
        )

    def __sub__(self, other: Use) -> Use:
        return self + Use(-other.requests, -other.tokens_in, -other.tokens_out, -other.cost)

    def within(self, limits: Limits) -> bool:
        """Whether the limits allow as much."""
        slack = 1e-9
        return (
            (limits.cost is None or self.cost <= limits.cost + slack)
            and (limits.tokens is None or self.tokens_in + self.tokens_out <= limits.tokens)
            and (limits.requests is None or self.requests <= limits.requests)
        )


def estimate_tokens(text: str) -> int:
    """About how many tokens a text makes: four ASCII characters to one, every other character one by itself.

    >>> estimate_tokens("four words of text"), estimate_tokens("数据")
    (5, 2)
    """
    plain = sum(1 for c in text if c < "\x80") if not text.isascii() else len(text)
    return -(-plain // 4) + len(text) - plain


def expected(prompt: Prompt, price: Price) -> Use:
    """What a prompt likely takes: answers by a schema are taken to be short, free ones half as long as allowed."""
    sent = sum(estimate_tokens(m.text) + PER_MESSAGE for m in prompt.messages) + PER_IMAGE * len(prompt.images)
    answered = (
        min(prompt.max_tokens, 80 if '"reason"' in prompt.schema else 12) if prompt.schema else prompt.max_tokens // 2
    )
    return Use(1, sent, answered, price.of(sent, answered))


def worst(prompt: Prompt, price: Price) -> Use:
    """The most a prompt can take: a token for every byte sent, and the longest answer."""
    sent = sum(len(m.text.encode("utf-8", "replace")) + 2 * PER_MESSAGE for m in prompt.messages)
    sent += 2 * PER_IMAGE * len(prompt.images)
    return Use(1, sent, prompt.max_tokens, price.of(sent, prompt.max_tokens))


def used(prompt: Prompt, answer: Answer, price: Price) -> Use:
    """What an answer took by the server's count, or by estimate where it gives none."""
    sent = answer.tokens_in or expected(prompt, price).tokens_in
    answered = answer.tokens_out or estimate_tokens(answer.text)
    return Use(1, sent, answered, price.of(sent, answered))


class Spending:
    """Keeps what is used within the limits, over several threads.

    Every request first reserves the most it can take; when its answer is there, what it took is counted instead. So the
    limits hold whatever the server answers. A request that does not fit beside those under way waits for them.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.total = Use()
        self._reserved = Use()
        self._changed = threading.Condition()
        self._full = False

    @property
    def exhausted(self) -> bool:
        """Whether a request was refused because it did not fit."""
        return self._full

    def reserve(self, most: Use) -> bool:
        """Set ``most`` aside; False where the limits do not allow it even when nothing else is under way."""
        with self._changed:
            while not (self.total + self._reserved + most).within(self.limits):
                if self._reserved.requests == 0 or self._full:
                    self._full = True
                    self._changed.notify_all()
                    return False
                self._changed.wait()
            self._reserved += most
            return True

    def settle(self, most: Use, taken: Use) -> None:
        """Count ``taken`` in the place of what was set aside."""
        with self._changed:
            self._reserved -= most
            self.total += taken
            self._changed.notify_all()

    def count(self, taken: Use) -> None:
        """Count what an earlier run of the job used."""
        with self._changed:
            self.total += taken
