"""Long-output quality data: the few long answers that are as long as they were asked to be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.language_rows import written

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "十": 10}
_SCALES = {"百": 100, "千": 1_000, "万": 10_000}
_WORDS = re.compile(r"(\d[\d,]*)[ -]words?\b", re.IGNORECASE)
_SIGNS = re.compile(r"(\d[\d,]*)\s*字")
_SIGNS_WRITTEN = re.compile(r"([零一二三四五六七八九两十\d])([百千万])字")
_ITEMS = re.compile(
    r"(\d[\d,]*) (?:[a-z]+ )?(?:items|points|bullets|entries|steps|examples|reasons|ideas|tips)\b", re.IGNORECASE
)
_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+\S", re.MULTILINE)
_COUNTED = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+(?:['’-][^\W_\u3400-\u9fff]+)*")
_SENTENCES = re.compile(r"[\n.!?。！？]+")


# ---- the mathematics ---------------------------------------------------------------------------------------------


def asked_length(prompt: str) -> tuple[int, str] | None:
    """How long an answer a prompt asks for, in "words" (or Chinese characters) or in list "items".

    None where it names no length, or several different ones.

    >>> asked_length("Write a 2,000-word essay"), asked_length("写一篇三千字的文章"), asked_length("List 12 items")
    ((2000, 'words'), (3000, 'words'), (12, 'items'))
    >>> asked_length("between 500 words and 900 words") is None
    True
    """
    words = {int(number.replace(",", "")) for number in [*_WORDS.findall(prompt), *_SIGNS.findall(prompt)]}
    for digit, scale in _SIGNS_WRITTEN.findall(prompt):
        words.add((int(digit) if digit.isdigit() else _DIGITS[digit]) * _SCALES[scale])
    found = {(number, "words") for number in words}
    if not found:
        found = {(int(number.replace(",", "")), "items") for number in _ITEMS.findall(prompt)}
    return found.pop() if len(found) == 1 and min(found)[0] > 0 else None


def length_of(text: str, unit: str = "words") -> int:
    """How long an answer is: words, each Chinese character counting as one, or the items of its lists.

    >>> length_of("It's a well-known 故事."), length_of("Here:\\n1. ant\\n2. bee\\n- cow", "items")
    (5, 3)
    """
    return len(_COUNTED.findall(text) if unit == "words" else _ITEM.findall(text))


def length_scores(asked: npt.ArrayLike, given: npt.ArrayLike) -> Values:
    """How well the length of each answer fits what was asked for, shape (n,), in [0, 100] (S_L of LongBench-Write).

    100 where they agree; 0 from four times as long, and from a third as long: being too short costs more.

    >>> length_scores([100, 100, 100, 100], [100, 160, 50, 0]).tolist()
    [100.0, 80.0, 50.0, 0.0]
    """
    x, y = np.asarray(asked, np.float64), np.asarray(given, np.float64)
    with np.errstate(divide="ignore"):
        off = np.where(y > x, (y / x - 1) / 3, (x / y - 1) / 2)
    return np.asarray(100 * np.maximum(0.0, 1 - off))


def repeated(text: str) -> float:
    """The share of a text's sentences and lines that stand in it before, in [0, 1].

    >>> repeated("Go on. Stop here. Go on. Go on.")
    0.5
    """
    parts = [" ".join(part.casefold().split()) for part in _SENTENCES.split(text)]
    parts = [part for part in parts if len(part) > 1 and not part.isdigit()]
    return 1 - len(set(parts)) / len(parts) if parts else 0.0


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LongOutputQualityData(Selector):
    """The long answers whose length is the one asked for, the best first: a small set to tune a chat model with.

    Chen, Wang, Huang, Mao, Zhang, Zhao, "Minimum Tuning to Unlock Long Output from LLMs with High Quality Data as the
    Key", 2024. Of 6,000 long answers written by a pipeline, those were kept whose prompt names exactly one length and
    whose own length scores at least 80 of 100 against it, 666; with them, and 20 times as many ordinary answers,
    chat models were tuned to write as long as asked, as well as with the whole set. Kept here, too: answers hardly any
    sentence of which is repeated (the paper does not say so).

    Rows hold a prompt and a response; weights are all alike. Reading them is O(characters).

    Attributes
    ----------
    long
        How long an answer must be to be a long one, in words (or, where the prompt asks for a list, in items divided by
        ``item``); the paper's set begins at 2,000.
    item
        Words that an item of a list counts for.
    threshold
        The least length score of an answer that is kept, in [0, 100].
    most_repeated
        The largest share of repeated sentences.
    most
        Answers to keep at most, those of the best length first; None keeps all that pass.
    ordinary
        Answers that are not long to take along for each long one, at random, so that nothing is unlearnt; 20 in the
        paper.
    seed
        Of the choice among equals and of ordinary answers.
    """

    paper: ClassVar = Paper(
        "Minimum Tuning to Unlock Long Output from LLMs with High Quality Data as the Key", 2024, "2410.10210"
    )
    needs: ClassVar = (Role.PROMPT, Role.RESPONSE)

    long: int = 2000
    item: int = 50
    threshold: float = 80.0
    most_repeated: float = 0.2
    most: int | None = None
    ordinary: float = 0.0
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Score the long answers, keep the good ones."""
        self._check()
        missing = self.applies(data)
        if missing is not None:
            return missing
        text = written(data, seed=self.seed)
        prompts, responses = ([part[i] for i in text.pool.tolist()] for part in (text.prompts, text.responses))
        asked, scores, long = self.scored(prompts, responses)
        fits = long & asked & (scores >= self.threshold)
        clean = np.zeros(len(fits), bool)
        clean[fits] = [repeated(responses[i]) <= self.most_repeated for i in np.flatnonzero(fits).tolist()]
        kept = np.flatnonzero(clean)
        kept = kept[np.argsort(-scores[kept], kind="stable")][: self.most]
        ordinary = np.flatnonzero(~long)[: round(self.ordinary * len(kept))]
        summary = {
            "answers": len(prompts),
            "long": int(long.sum()),
            "long_without_one_length": int((long & ~asked).sum()),
            "long_of_another_length": int((long & asked & ~fits).sum()),
            "long_with_repetitions": int((fits & ~clean).sum()),
            "kept": len(kept),
            "ordinary": len(ordinary),
            "mean_length_score": round(float(scores[long & asked].mean()), 2) if (long & asked).any() else None,
        }
        return Selection(text.pool[np.concatenate([kept, ordinary])], None, summary)

    def scored(self, prompts: Sequence[str], responses: Sequence[str]) -> tuple[Flags, Values, Flags]:
        """Whether each prompt names one length, the answer's length score (0 where not), whether it is a long one."""
        n = len(prompts)
        asked, wanted, given, long = np.zeros(n, bool), np.ones(n), np.zeros(n), np.zeros(n, bool)
        for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
            found = asked_length(prompt)
            words, unit = length_of(response), "words"
            if found is not None:
                asked[i], wanted[i], unit = True, found[0], found[1]
            given[i] = words if unit == "words" else length_of(response, unit)
            long[i] = max(words, self.item * given[i] if unit == "items" else 0) >= self.long
        return asked, np.where(asked, length_scores(wanted, given), 0.0), long

    def _check(self) -> None:
        if not (self.long >= 0 and self.item >= 0 and 0 <= self.threshold <= 100 and 0 <= self.most_repeated <= 1):
            told = (
                f"long is {self.long}, item {self.item}, threshold {self.threshold}, most_repeated {self.most_repeated}"
            )
            raise DrossError(told, fix="give lengths of at least 0, a score up to 100 and a share up to 1")
        if self.ordinary < 0 or (self.most is not None and self.most < 1):
            raise DrossError(f"most is {self.most}, ordinary {self.ordinary}", fix="give at least 1, and at least 0")
