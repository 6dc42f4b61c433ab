"""What a server can do beyond plain text: found out from its refusals and its answers, never taken on trust."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

from dross.llm.prompt import Answer, Prompt

OTHERS = 20
"""Alternatives asked for at each token."""
_OPTIONAL = ("json_schema", "json_object", "logprobs", "seed", "temperature")
_NAMES = {
    "json_schema": ("response_format", "json_schema"),
    "json_object": ("response_format", "json_object"),
    "logprobs": ("logprobs",),
    "seed": ("seed",),
    "temperature": ("temperature",),
}


@dataclass(frozen=True)
class Abilities:
    """What is asked of a server now: the optional fields it has not refused, its name for an answer's length."""

    has: frozenset[str] = frozenset(_OPTIONAL)
    length: str = "max_tokens"
    others: int = OTHERS

    def body(self, prompt: Prompt, model: str) -> dict[str, Any]:
        """The request as the server wants it."""
        messages: list[dict[str, Any]] = [{"role": m.role, "content": m.text} for m in prompt.messages]
        if prompt.images:
            shown = [{"type": "image_url", "image_url": {"url": url}} for url in prompt.images]
            messages[-1]["content"] = [{"type": "text", "text": prompt.messages[-1].text}, *shown]
        body: dict[str, Any] = {"model": model, "messages": messages, self.length: prompt.max_tokens}
        if "temperature" in self.has:
            body["temperature"] = prompt.temperature
        if "seed" in self.has:
            body["seed"] = prompt.sample
        if prompt.schema and "json_schema" in self.has:
            shape = {"name": "answer", "strict": True, "schema": json.loads(prompt.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        elif prompt.schema and "json_object" in self.has:
            body["response_format"] = {"type": "json_object"}
        if prompt.logprobs and "logprobs" in self.has:
            body |= {"logprobs": True, "top_logprobs": self.others}
        return body


class Features:
    """Learns a server's abilities, over several threads."""

    def __init__(self) -> None:
        self._now = Abilities()
        self._lock = threading.Lock()
        self._proven = False
        self.gives_logprobs: bool | None = None
        """Whether answers came with log-probabilities when they were wanted; None as long as none was."""

    def now(self) -> Abilities:
        """What to ask for now."""
        return self._now

    def worked(self, prompt: Prompt, answer: Answer) -> None:
        """A request was answered."""
        self._proven = True
        if prompt.logprobs:
            self.gives_logprobs = bool(answer.tokens)

    def refused(self, why: str, sent: Abilities) -> bool:
        """Learn from a refusal; True where the request may be sent again without what the server does not take."""
        with self._lock:
            if sent != self._now:
                return True  # another thread has learnt meanwhile
            told = why.casefold()
            if "max_completion_tokens" in told and sent.length == "max_tokens":
                self._now = Abilities(sent.has, "max_completion_tokens", sent.others)
                return True
            if "top_logprobs" in told and sent.others > 5:
                self._now = Abilities(sent.has, sent.length, 5)  # several servers allow no more
                return True
            named = next((f for f in _OPTIONAL if f in sent.has and any(n in told for n in _NAMES[f])), None)
            if named is not None:
                self._now = Abilities(sent.has - {named}, sent.length, sent.others)
                return True
            if not self._proven and sent.has:  # it does not say what it dislikes: ask for nothing optional
                self._now = Abilities(frozenset(), sent.length, sent.others)
                return True
            return False
