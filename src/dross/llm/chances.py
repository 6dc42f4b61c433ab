"""From a model's answers to chances of the classes: token log-probabilities, several samples, several voters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.llm.prompt import Answer, Token

Floats = npt.NDArray[np.float64]
_LEAST_MASS = 0.05
"""Probability that must fall on the classes for log-probabilities to be believed."""


def class_chances(answer: Answer, label: str, classes: Sequence[str]) -> Floats | None:
    """The chance of each class where the answer's tokens spell ``label``, shape (k,); None without log-probabilities.

    The tokens of the label are followed one by one. What the model might have written instead at a token goes to the
    classes that begin so; what begins like the label's own token is settled further on. Probability on anything else is
    left out, and the rest made to add up to 1.

    >>> token = Token("spam", -0.22, (("spam", -0.22), ("ham", -1.6)))
    >>> class_chances(Answer("spam", (token,)), "spam", ["ham", "spam"]).round(2).tolist()
    [0.2, 0.8]
    """
    tokens = answer.tokens
    if not tokens or "".join(t.text for t in tokens) != answer.text or label not in classes:
        return None
    start = _place(answer.text, label)
    if start < 0:
        return None
    found = np.zeros(len(classes))
    left = dict(enumerate(classes))  # the classes that agree with the answer so far
    reached, at = 1.0, 0
    written = 0  # characters of the label that stand before the token
    for token in tokens:
        begin, at = at, at + len(token.text)
        if at <= start or not left:
            continue
        lead = token.text[: max(start - begin, 0)]
        shares = _shares(token, lead)
        own = token.text[len(lead) :]
        same = {c: name for c, name in left.items() if _begins(name[written:], own)}
        for text, chance in shares.items():
            if text == own:
                continue
            fits = [c for c, name in left.items() if text and _begins(name[written:], text) and c not in same]
            for c in fits:
                found[c] += reached * chance / len(fits)
        reached *= shares[own]
        left, written = same, written + len(own)
        if len(left) <= 1 or written >= len(label):
            break
    mine = [c for c, name in left.items() if name == label]
    if not mine:
        return None
    found[mine[0]] += reached
    total = float(found.sum())
    if total < _LEAST_MASS:
        return None
    if not any(token.others for token in tokens):  # nothing is known of the others but what is left to them
        found[np.arange(len(classes)) != mine[0]] = (1 - total) / max(len(classes) - 1, 1)
        total = float(found.sum())
    chances: Floats = found / total
    return chances


def _place(text: str, label: str) -> int:
    """Where the label stands in the answer: the last time it is written as the label, in any case."""
    quoted = text.casefold().rfind(f'"{label.casefold()}"')
    if len(text.casefold()) != len(text):
        return -1
    return quoted + 1 if quoted >= 0 else text.casefold().rfind(label.casefold())


def _begins(name: str, text: str) -> bool:
    """Whether writing ``text`` leads towards ``name``, or beyond its end."""
    low, said = name.casefold(), text.casefold()
    if not low:
        return not said[:1].isalnum()
    return low.startswith(said) or (said.startswith(low) and not said[len(low) :][:1].isalnum())


def _shares(token: Token, lead: str) -> dict[str, float]:
    """The chance of each way to go on after ``lead``, the token's own among them."""
    own = token.text[len(lead) :]
    shares = {own: math.exp(min(token.logprob, 0.0))}
    for text, logprob in token.others:
        if text != token.text and text.startswith(lead):
            shares[text[len(lead) :]] = shares.get(text[len(lead) :], 0.0) + math.exp(min(logprob, 0.0))
    return shares


def pooled(samples: Sequence[Floats | None]) -> Floats | None:
    """The mean of what several samples of one voter say, each shape (k,); None where none says anything."""
    said = [s for s in samples if s is not None]
    if not said:
        return None
    mean: Floats = np.mean(said, axis=0)
    return mean


def vote(value: Any, answer: Answer, classes: Sequence[str]) -> tuple[Floats | None, bool]:
    """What one parsed answer says of the classes, shape (k,), and whether that is from log-probabilities.

    None where it names no class.
    """
    label = value.get("label") if isinstance(value, dict) else None
    if not isinstance(label, str) or label not in classes:
        return None, False
    chances = class_chances(answer, label, classes)
    if chances is not None:
        return chances, True
    return np.eye(len(classes))[list(classes).index(label)], False


def with_doubt(shares: Floats, samples: npt.NDArray[np.int64], measured: npt.NDArray[np.bool_]) -> Floats:
    """Shares (n, k) among ``samples`` (n,) hard answers, with one more answer's worth of doubt; NaN stays NaN.

    A model that was asked once and gave no log-probabilities has shown no certainty: its class gets less than 1. Rows
    where log-probabilities were ``measured`` (n,) stay as they are.

    >>> with_doubt(np.array([[1.0, 0.0]]), np.array([1]), np.array([False])).tolist()
    [[0.75, 0.25]]
    """
    k = shares.shape[1]
    count = np.maximum(samples, 1)[:, None]
    return np.where(measured[:, None], shares, (shares * count + 1 / k) / (count + 1))
