"""Personal data: addresses, numbers and keys of people are masked, or the texts that hold them dropped."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError, nearest
from dross.core.step import Rows, RowStep, Verdict, replaced_at


@dataclass(frozen=True)
class Kind:
    """One kind of personal data.

    Attributes
    ----------
    screen
        A pattern (RE2) that every text with such data matches, for the quick look at all texts.
    pattern
        What it looks like, exactly; where it has a group, the group is the data.
    holds
        Whether a match is what it looks like: check digits and the like.
    """

    screen: str
    pattern: str
    holds: Callable[[str], bool] = lambda found: True

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern, compiled."""
        return re.compile(self.pattern)


def luhn(number: str) -> bool:
    """Whether the last digit of a card number is right (ISO/IEC 7812-1).

    >>> luhn("4454794511390933"), luhn("4454794511390934")
    (True, False)
    """
    digits = [int(c) for c in number if c.isdigit()]
    doubled = [d * 2 - 9 * (d > 4) for d in digits[-2::-2]]
    return 12 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def mod97(account: str) -> bool:
    """Whether the check digits of an account number are right (ISO 13616).

    >>> mod97("GB82 WEST 1234 5698 7654 32"), mod97("GB83 WEST 1234 5698 7654 32")
    (True, False)
    """
    plain = re.sub(r"\W", "", account).upper()
    moved = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and plain.isascii() and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def is_address(text: str) -> bool:
    """Whether an Internet address is one of a person's or a company's connection, not of a local or reserved net.

    >>> is_address("8.8.8.8"), is_address("192.168.0.1"), is_address("1.2.3.400")
    (True, False, False)
    """
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def is_phone(text: str) -> bool:
    """Whether a run of digits and signs between them can be a telephone number: 8 to 15 digits, and some sign of it.

    >>> is_phone("+49 30 901820"), is_phone("(212) 555-0123"), is_phone("20240131"), is_phone("3.14159265")
    (True, True, False, False)
    """
    digits = sum(c.isdigit() for c in text)
    if not 8 <= digits <= 15 or re.match(r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ]", text):  # a date
        return False
    if text.startswith(("+", "00", "(")) or re.fullmatch(r"[2-9]\d\d[2-9]\d{6}", text):  # ten digits of North America
        return True
    if re.fullmatch(r"97[89][-\d ]*", text) and digits == 13:  # a book
        return False
    if "." in text and min(map(len, re.split(r"\D+", text.lstrip("+(")))) < 2:  # a version
        return False
    return not re.fullmatch(r"\d+([-–]\d+)?", text)


def is_social(text: str) -> bool:
    """Whether a number of the form 123-45-6789 can have been given out (no 000, 666 or 9xx, no 00, no 0000).

    >>> is_social("460-89-9847"), is_social("000-12-3456")
    (True, False)
    """
    area, group, serial = re.split(r"[- ]", text)
    return area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"


KINDS = {
    "email": Kind(r"@", r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w-])"),
    "credit_card": Kind(r"(?:\d[ -]?){11}\d", r"(?<![\w.-])(?:\d[ -]?){11,18}\d(?![\w-])", luhn),
    "iban": Kind(
        r"[A-Z]{2}\d{2}", r"(?<!\w)[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?!\w)", mod97
    ),
    "social_security": Kind(r"\d{3}[- ]\d{2}[- ]\d{4}", r"(?<![\w-])\d{3}[- ]\d{2}[- ]\d{4}(?![\w-])", is_social),
    "ip_address": Kind(
        r"\d\.\d+\.\d+\.\d|[0-9a-fA-F]:[0-9a-fA-F:]*:",
        r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4})(?![\w:]|\.\d)",
        is_address,
    ),
    "phone": Kind(
        r"(?:\d[ ()./x-]{0,3}){7}\d",
        r"(?<![\w.,/:=-])(?<!\d[ -])(?:\+|00)?\(?\d(?:[ ().–/-]{0,2}\d){6,14}(?:\s?(?:x|ext\.?)\s?\d{1,6})?"
        r"(?![\w/=]|[., -]\d)",
        is_phone,
    ),
    "secret_key": Kind(
        r"AKIA|gh[pousr]_|sk-|xox|AIza|BEGIN [A-Z ]*PRIVATE KEY",
        r"(?<!\w)(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|sk-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
        r"|AIza[\w-]{35}|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]{1,8000}?-----END [A-Z ]*PRIVATE KEY-----)",
    ),
}
"""What is told apart; tried in this order, and what one kind has taken no other does."""


def find(text: str, kinds: tuple[str, ...] = tuple(KINDS)) -> list[tuple[str, int, int]]:
    """The personal data in a text: kind, first character and the one after the last, in order.

    >>> find("Mail a.b@c.org or call +44 20 7946 0958.")
    [('email', 5, 14), ('phone', 23, 39)]
    """
    taken: list[tuple[str, int, int]] = []
    for name in kinds:
        for match in KINDS[name].compiled.finditer(text):
            start, stop = match.span()
            while text[stop - 1] in " -.(":
                stop -= 1
            free = all(stop <= a or start >= b for _, a, b in taken)
            if free and KINDS[name].holds(text[start:stop]):
                taken.append((name, start, stop))
    return sorted(taken, key=lambda one: one[1])


def mask(text: str, found: list[tuple[str, int, int]]) -> str:
    """The text with a mark in place of each finding.

    >>> mask("to a.b@c.org, now", [("email", 3, 12)])
    'to <EMAIL>, now'
    """
    parts, begin = [], 0
    for name, start, stop in found:
        parts += [text[begin:start], f"<{name.upper()}>"]
        begin = stop
    return "".join([*parts, text[begin:]])


@dataclass(frozen=True)
class PersonalData(RowStep):
    """Mail addresses, card, account, social security and telephone numbers, Internet addresses and keys are masked.

    Numbers are checked by their check digits, so that few others are taken for them. Names, postal addresses and what
    only its meaning makes personal are not found.

    Attributes
    ----------
    kinds
        Which kinds to look for: ``email``, ``credit_card``, ``iban``, ``social_security``, ``ip_address``, ``phone``,
        ``secret_key``.
    action
        ``mask`` puts ``<EMAIL>`` and the like in place, ``drop`` drops the text.
    most
        Findings in one text above which it is dropped in any case: lists of addresses.
    """

    reasons: ClassVar[tuple[str, ...]] = ("personal_data", "much_personal_data")

    kinds: tuple[str, ...] = tuple(KINDS)
    action: str = "mask"
    most: int = 50

    def __post_init__(self) -> None:
        for name in self.kinds:
            if name not in KINDS:
                raise DrossError(f"there is no kind {name!r}", where=self.name(), fix=nearest(name, list(KINDS)))
        if self.action not in {"mask", "drop"}:
            raise DrossError(
                f"the action is {self.action!r}", where=self.name(), fix=nearest(self.action, ["mask", "drop"])
            )

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """A quick look at all texts, and a close one at those that may hold something."""
        texts = rows.text(self.column)
        suspects = np.zeros(len(rows), bool)
        for name in self.kinds:
            suspects |= pc.match_substring_regex(texts, KINDS[name].screen).to_numpy(zero_copy_only=False)
        at = np.flatnonzero(suspects)
        reason, value = np.full(len(rows), -1, np.int16), np.full(len(rows), np.nan, np.float32)
        new: dict[int, str] = {}
        for row, text in zip(at.tolist(), texts.take(pa.array(at)).to_pylist(), strict=True):
            found = find(text, self.kinds)
            if not found:
                continue
            if self.action == "drop" or len(found) > self.most:
                reason[row], value[row] = int(len(found) > self.most), len(found)
                continue
            new[row] = mask(text, found)
        if not new:
            return Verdict(reason, value)
        masked = replaced_at(texts, np.array(list(new)), list(new.values()))
        return Verdict(reason, value, changed={self.column or rows.default: masked})
