"""POINTS: the texts that a language model finds least surprising are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled, splits_of
from dross.models import ngram_language_model
from dross.models.lesson import VALIDATION
from dross.signals.ngrams import texts_of

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


# ---- the mathematics ---------------------------------------------------------------------------------------------


def least_perplexing(perplexities: Floats, share: float) -> Rows:
    """Positions of the lowest perplexities, the lowest first: ``share`` of all, rounded down; equal ones in order.

    >>> least_perplexing(np.array([90.0, 10.0, 40.0, 10.0, 99.0]), 0.6).tolist()
    [1, 3, 2]
    """
    return np.argsort(perplexities, kind="stable")[: math.floor(share * len(perplexities) + 1e-9)]


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Points(Selector):
    """The texts (captions, sentences) of lowest perplexity under a language model, the least surprising first.

    Liu, Zhao, Zhuang, Tian, Zhou, Zhou, "POINTS: Improving Your Vision-language Model with Affordable Strategies",
    2024: of the captions of a pretraining set, the fifth of lowest perplexity is kept. The paper asks a large language
    model; here a modified Kneser-Ney model of words learns from a reference text of the user's, so that the meaning of
    "good" is in their hands, and reads some 20 MB a second. Perplexity sees junk such as garbled words or shuffled
    order; a sentence that is sound in itself and repeated over and over does not surprise it.

    The paper's other strategy, averaging the weights of models tuned on different sets, is
    :func:`dross.models.weight_soup.soup`.

    Attributes
    ----------
    share
        Of the texts, how many to keep; the paper keeps 20 %.
    reference
        A file (or glob) of good text, in any format that :func:`dross.load` reads; empty takes a part of the data.
    target
        The name of the part (role split) that is the reference; empty takes the validation part.
    order
        Words in the longest n-gram, 1 to 5.
    least_words
        Texts with fewer words and marks are not kept: of so few nothing can be said.
    seed
        Of the order in which equally surprising texts stand.
    """

    paper: ClassVar = Paper(
        "POINTS: Improving Your Vision-language Model with Affordable Strategies", 2024, "2409.04828"
    )
    needs: ClassVar = (Role.TEXT,)

    share: float = 0.2
    reference: str = ""
    target: str = ""
    order: int = 3
    least_words: int = 3
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there is text, and text to compare it with."""
        missing = super().applies(data)
        if missing is None and not self.reference and not self._aims(data):
            return NotApplicable("needs a reference text: reference=FILE, or a validation part (role split)")
        return missing

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Learn the reference, read the texts, keep the least surprising."""
        if not 0 < self.share <= 1 or self.least_words < 0:
            told = f"share is {self.share}, least_words {self.least_words}"
            raise DrossError(told, fix="give a share above 0, at most 1, and 0 words or more")
        missing = self.applies(data)
        if missing is not None:
            return missing
        texts, codes = texts_of(data), splits_of(data).codes
        good = self._reference() if self.reference else texts.filter(pa.array(np.isin(codes, self._aims(data))))
        model = ngram_language_model.fit(good, order=self.order)
        order = shuffled(data, self.seed)
        order = order if self.reference else order[codes[order] == 0]
        logs, words = model.log10(texts.take(pa.array(order)))
        perplexities = 10.0 ** (-logs / np.maximum(words, 1))
        judged = np.flatnonzero(words - 1 >= self.least_words)  # the end of a text counts as one
        kept = judged[least_perplexing(perplexities[judged], self.share)]
        summary = {
            "texts": len(order),
            "too_short": len(order) - len(judged),
            "kept": len(kept),
            "reference_texts": len(good),
            "highest_perplexity_kept": round(float(perplexities[kept[-1]]), 3) if len(kept) else None,
            "median_perplexity": round(float(np.median(perplexities[judged])), 3) if len(judged) else None,
        }
        return Selection(order[kept], None, summary)

    def _reference(self) -> pa.LargeStringArray:
        from dross.io.load import load

        found = load(self.reference)
        if not found.has(Role.TEXT):
            raise DrossError("no text was found in the reference", where=self.reference, fix="call the column text")
        return texts_of(found)

    def _aims(self, data: Dataset) -> list[int]:
        names = splits_of(data).names
        if self.target:
            if self.target not in names[1:]:
                told = f"no part of the data besides the training part is called {self.target!r}"
                raise DrossError(told, fix=nearest(self.target, names[1:]) if names[1:] else "name a column split=…")
            return [names.index(self.target)]
        return [i for i, name in enumerate(names) if i and name.strip().lower() in VALIDATION]
