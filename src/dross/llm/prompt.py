"""What is asked of a language model and what it answers: the one interface between methods and models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True)
class Prompt:
    """One request; equal prompts are the same request and are answered once.

    Attributes
    ----------
    messages
        The conversation so far.
    schema
        The JSON schema that the answer is to follow, as JSON text; empty for free text.
    max_tokens
        The longest answer, in tokens.
    temperature
        0 for the likeliest answer.
    sample
        Which of several answers to the same messages this is to be; sent as the seed.
    logprobs
        Whether the log-probabilities of the answer's tokens are wanted.
    images
        Pictures shown with the last message, as data URLs.
    """

    messages: tuple[Message, ...]
    schema: str = ""
    max_tokens: int = 256
    temperature: float = 0.0
    sample: int = 0
    logprobs: bool = False
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Token:
    """One token of an answer: its text, its log-probability, and what else could have stood there."""

    text: str
    logprob: float
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came back; ``error`` says why nothing did.

    ``tokens`` is empty where the server gives no log-probabilities; ``finish`` is the server's reason for ending
    (``stop``, ``length``, ``content_filter``).
    """

    text: str = ""
    tokens: tuple[Token, ...] = field(default=(), repr=False)
    tokens_in: int = 0
    tokens_out: int = 0
    finish: str = "stop"
    error: str = ""


Complete = Callable[[list[Prompt]], list[Answer]]
"""Answers prompts, one answer each, in their order: a server's client, or any function of a user's own."""
