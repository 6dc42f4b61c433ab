"""Synthetic forms: tokens with boxes, fields to extract, and a rule that labels them and is often wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
FIELDS = ("other", "number", "date", "due", "tax", "total")
"""What a token can be; all that is no field is ``other``."""
_SHAPE = {"number": 0, "date": 1, "due": 1, "tax": 2, "total": 2}
"""Fields look like whole numbers, dates or amounts."""
_KINDS = 4
"""Whole number, date, amount, word."""
_AT = {"number": (0.75, 0.08), "date": (0.75, 0.16), "due": (0.75, 0.24), "tax": (0.75, 0.80), "total": (0.75, 0.90)}
"""Where fields usually stand, as shares of the page from its upper left corner."""
_WAYS, _PLAIN = 8, 20
"""Words that announce each field, and words that announce none; word 0 is none at all."""
_WORDS = 1 + _WAYS * (len(FIELDS) - 1) + _PLAIN


@dataclass(frozen=True)
class Forms:
    """Tokens of many forms.

    Attributes
    ----------
    x
        One vector a token, shape (n, d): place on the page, looks, the word left of it and above it, size.
    truth, rule
        Its field, and what the rule says, as codes into :data:`FIELDS`, shape (n,).
    form
        The form it stands on, shape (n,).
    """

    x: Floats
    truth: Codes
    rule: Codes
    form: Codes

    def dataset(self, labels: Codes, votes: Codes | None = None) -> Dataset:
        """Tokens with the given labels (below 0: missing), and votes of the rule where given."""
        flat = pa.FixedSizeListArray.from_arrays(pa.array(self.x.ravel()), self.x.shape[1])
        columns: dict[str, Any] = {"token": flat, "field": _named(labels)}
        roles: dict[Role, list[str]] = {Role.EMBEDDING: ["token"], Role.LABEL: ["field"]}
        if votes is not None:
            columns["rule"] = _named(votes)
            roles[Role.VOTES] = ["rule"]
        return Dataset(pa.table(columns), roles)


def _named(codes: Codes) -> pa.Array:
    return pa.array([FIELDS[c] if c >= 0 else None for c in codes.tolist()], pa.string())


def forms(count: int, seed: int, *, misread: float = 0.4, lines: int = 8) -> Forms:
    """Forms in varied layouts, with a rule whose labels go wrong.

    Each form has its own layout and its own words for the fields, which stand left of them or above them. Line items
    hold numbers, dates, amounts and words that are no field. The rule has a dictionary of the fields' words, but reads
    a word with the chance ``misread`` as none; then it goes by the looks and the part of the page, and so calls line
    items fields and confuses fields that look alike.

    >>> found = forms(20, 0); found.x.shape, sorted(set(found.form.tolist()))[-1]
    ((260, 129), 19)
    """
    rng = np.random.default_rng((seed, 31))
    rows: list[Floats] = []
    truth: list[int] = []
    rule: list[int] = []
    for _ in range(count):
        above, shift = rng.random() < 0.5, rng.normal(0, 0.06, 2)
        for code, name in enumerate(FIELDS[1:], 1):
            place = np.array(_AT[name]) + shift + rng.normal(0, 0.03, 2)
            place[0] -= 0.5 * (rng.random() < 0.3)  # some stand on the left
            word = 1 + _WAYS * (code - 1) + int(rng.integers(_WAYS))
            rows.append(_token(rng, place, _SHAPE[name], word, above))
            truth.append(code)
            rule.append(_ruled(_SHAPE[name], place, code if rng.random() >= misread else 0))
        for line in range(lines):
            place = np.array([rng.uniform(0.05, 0.95), 0.15 + 0.7 * line / lines]) + rng.normal(0, 0.03, 2)
            kind = int(rng.integers(_KINDS))
            rows.append(_token(rng, place, kind, _WORDS - 1 - int(rng.integers(_PLAIN)), rng.random() < 0.5))
            truth.append(0)
            rule.append(_ruled(kind, place, 0))
    form = np.repeat(np.arange(count), len(FIELDS) - 1 + lines)
    return Forms(np.stack(rows), np.array(truth), np.array(rule), form)


def _token(rng: np.random.Generator, place: npt.NDArray[Any], kind: int, word: int, above: bool) -> Floats:
    looks, near = np.zeros(_KINDS), np.zeros((2, _WORDS))
    looks[kind] = near[int(above), word] = near[int(not above), 0] = 1
    return np.concatenate([place, looks, near.ravel(), [rng.normal()]]).astype(np.float32)


def _ruled(kind: int, place: npt.NDArray[Any], read: int) -> int:
    """What the word says, else a guess by looks and place."""
    if read:
        return read
    right, low = bool(place[0] > 0.5), bool(place[1] > 0.5)
    if kind == 2 and right:
        return FIELDS.index("total") if low else FIELDS.index("tax")
    if kind == 1 and right:
        return FIELDS.index("due") if low else FIELDS.index("date")
    return FIELDS.index("number") if kind == 0 and right and not low else 0
