"""Perplexity: texts that a language model of good text finds too surprising, or too predictable, are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.models.ngram_language_model import NgramModel, fit, load
from dross.models.passages import passages

Ready = tuple[NgramModel, NgramModel | None, float]


def perplexities(texts: pa.LargeStringArray, model: NgramModel, words: NgramModel | None) -> npt.NDArray[np.float64]:
    """The perplexity of each text, shape (n,), over that of its words alone where there is a model of those.

    >>> read = pa.array(["the cat sat", "the dog sat", "a cat ran"], pa.large_string())
    >>> asked = pa.array(["the cat ran", "ran cat the"], pa.large_string())
    >>> right, turned = perplexities(asked, fit(read, order=2), fit(read, order=1))
    >>> bool(right < 1 < turned)
    True
    """
    found = model.perplexity(texts)
    return found if words is None else found / words.perplexity(texts)


@dataclass(frozen=True)
class Perplexity(RowStep):
    """A word n-gram model of the user's reference text reads each text; texts it finds too surprising are dropped.

    Wenzek et al., "CCNet: Extracting High Quality Monolingual Datasets from Web Crawl Data", 2020: text like the
    reference has a low perplexity, lists and garbled text a high one. The model is modified Kneser-Ney. Without a
    limit of its own the step keeps the ``share`` of a sample with the lowest perplexity (the "head" there is a third).

    Rare words are surprising too, above all to a small reference: where the order of words is to count rather than
    the words, ask for ``relative``, the perplexity over that of the same words in any order (the syntactic log-odds
    ratio of Pauls and Klein, "Large-Scale Syntactic Language Modeling with Treelets", 2012).

    Attributes
    ----------
    reference
        Files with text to be like, of any kind that a dataset is read from, with the same text column.
    most
        The perplexity above which a text is dropped; chosen by ``share`` when 0.
    least
        The perplexity below which a text is dropped: templates, repeated phrases.
    share
        Share of a sample of the corpus that stays, where ``most`` is chosen.
    order
        Words of the longest n-grams, up to 5.
    relative
        Whether perplexities are divided by those of a model of single words; the limits are then of that, below 1
        where words stand as they do in the reference.
    into
        The column to write the perplexity to; none when empty.
    """

    paper: ClassVar = Paper(
        "CCNet: Extracting High Quality Monolingual Datasets from Web Crawl Data", 2020, "1911.00359"
    )
    reasons: ClassVar[tuple[str, ...]] = ("too_surprising", "too_predictable")
    learns: ClassVar[int] = 4096

    reference: tuple[str, ...] = ()
    most: float = 0.0
    least: float = 0.0
    share: float = 0.66
    order: int = 3
    relative: bool = False
    into: str = "perplexity"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or self.most < 0 or self.least < 0:
            told = f"share is {self.share}, most {self.most}, least {self.least}"
            raise DrossError(told, where=self.name(), fix="give a share up to 1, and limits of 0 or more")

    def writes(self) -> tuple[str, ...]:
        return (self.into,) if self.into else ()

    def prepare(self, place: Path) -> None:
        """Count the n-grams of the reference."""
        texts = passages(self.reference, (), self.column or "text", self.name()).texts
        fit(texts, order=self.order).save(place / "model")
        if self.relative:
            fit(texts, order=1).save(place / "words")

    def learn(self, rows: Rows, place: Path) -> None:
        """Look how surprising a sample of the corpus is."""
        found = perplexities(rows.text(self.column), *self._models(place))
        found = found[np.isfinite(found)]
        most = self.most or (float(np.quantile(found, self.share)) if len(found) else np.inf)
        np.save(place / "most.npy", np.float64(most))

    def ready(self, place: Path) -> Ready:
        """The model, that of single words where it is asked for, and the limit."""
        return *self._models(place), float(np.load(place / "most.npy"))

    def _models(self, place: Path) -> tuple[NgramModel, NgramModel | None]:
        return load(place / "model"), load(place / "words") if self.relative else None

    def judge(self, rows: Rows, ready: Ready) -> Verdict:
        """Read each text."""
        model, words, most = ready
        found = perplexities(rows.text(self.column), model, words)
        tests = ((~(found <= most), found), (found < self.least, found))
        return Verdict.first(*tests, **({self.into: pa.array(found.astype(np.float32))} if self.into else {}))
