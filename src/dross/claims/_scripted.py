"""What scripted language models of the claims need: reading a prompt as a model would."""

from __future__ import annotations

import hashlib
import re

import numpy as np

from dross.llm.prompt import Prompt

_FENCE = re.compile(r"<data-([0-9a-f]{8})>\n(.*?)\n</data-\1>", re.DOTALL)


def rules(prompt: Prompt) -> str:
    """What the model is told to do."""
    return next((m.text for m in prompt.messages if m.role == "system"), "")


def last(prompt: Prompt) -> str:
    """The last message."""
    return prompt.messages[-1].text


def data(text: str) -> list[str]:
    """The fenced texts in a message, in order."""
    return [found for _, found in _FENCE.findall(text)]


def whim(*what: str) -> np.random.Generator:
    """A generator of random numbers that hangs on what is asked alone, as the answer of a frozen model does."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256("\x1f".join(what).encode()).digest()[:8], "big"))
