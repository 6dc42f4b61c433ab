"""Quality classifier: texts that read like good examples stay, those that read like bad ones go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.models.passages import passages
from dross.models.survivors import Turn
from dross.signals.ngrams import Terms, choose_terms, count_ngrams, pieces, weigh

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Taste:
    """Logistic regression on weighted n-grams.

    Attributes
    ----------
    terms
        The n-grams that count.
    weights, bias
        Shape (m,), float32, and a number.
    """

    terms: Terms
    weights: Vector
    bias: float

    @classmethod
    def fitted(cls, good: pa.LargeStringArray, bad: pa.LargeStringArray) -> Taste:
        """Learn to tell good texts from bad ones; both count alike, however many there are.

        >>> good, bad = (pa.array([text] * 9, pa.large_string()) for text in ("the cell divides", "click here now"))
        >>> Taste.fitted(good, bad)(pa.array(["a cell", "click now"], pa.large_string())).round(1).tolist() > [0.5, 0.4]
        True
        """
        from sklearn.linear_model import LogisticRegression

        texts = pa.concat_arrays([good, bad])
        counts = count_ngrams(texts)
        terms = choose_terms(counts, least=2 if len(texts) > 1000 else 1)
        y = np.arange(len(texts)) < len(good)
        model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=200).fit(weigh(counts, terms), y)
        return cls(terms, model.coef_[0].astype(np.float32), float(model.intercept_[0]))

    def __call__(self, texts: pa.LargeStringArray) -> Vector:
        """How likely each text is a good one, shape (n,), float32 in [0, 1]."""
        out = np.empty(len(texts), np.float32)
        for start, stop in pieces(texts):
            weights = weigh(count_ngrams(texts.slice(start, stop - start)), self.terms)
            out[start:stop] = 1 / (1 + np.exp(-np.asarray(weights @ self.weights) - self.bias))
        return out

    def write(self, place: Path) -> None:
        """Keep it in a folder."""
        parts = {"buckets": self.terms.buckets, "idf": self.terms.idf, "weights": self.weights}
        np.savez(place / "taste.npz", allow_pickle=False, bias=np.float64(self.bias), **parts)

    @classmethod
    def read(cls, place: Path) -> Taste:
        """Read back what :meth:`write` kept."""
        with np.load(place / "taste.npz") as file:
            return cls(Terms(file["buckets"], file["idf"]), file["weights"], float(file["bias"]))


@dataclass(frozen=True)
class QualityClassifier(RowStep):
    """A classifier learnt from good and bad examples rates each text; texts below a rating are dropped.

    Brown et al., "Language Models are Few-Shot Learners", 2020, appendix A: logistic regression on hashed words of
    curated against crawled documents. With ``pareto`` a text is kept, as there, with a chance that grows with its
    rating, so that some unlike the examples stay: when a Pareto number exceeds ``1 - rating``.

    Attributes
    ----------
    good, bad
        Files with examples, of any kind that a dataset is read from, with the same text column.
    least
        The rating, between 0 and 1, from which a text stays.
    pareto
        Shape of the Pareto distribution, 9 in the paper; 0 keeps by ``least`` alone.
    into
        The column to write the rating to; none when empty.
    seed
        Of the chances; each text's chance follows from its hash.
    """

    paper: ClassVar = Paper("Language Models are Few-Shot Learners", 2020, "2005.14165")
    reasons: ClassVar[tuple[str, ...]] = ("reads_unlike_good_text",)

    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    least: float = 0.5
    pareto: float = 0.0
    into: str = "quality"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.least <= 1 or self.pareto < 0:
            told = f"least is {self.least}, pareto {self.pareto}"
            raise DrossError(told, where=self.name(), fix="give a rating between 0 and 1, and a shape of 0 or more")

    def writes(self) -> tuple[str, ...]:
        return (self.into,) if self.into else ()

    def prepare(self, place: Path) -> None:
        """Learn from the examples."""
        column = self.column or "text"
        good, bad = (passages(files, (), column, self.name()).texts for files in (self.good, self.bad))
        Taste.fitted(good, bad).write(place)

    def ready(self, place: Path) -> Taste:
        """What was learnt."""
        return Taste.read(place)

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """Rate each text."""
        texts = rows.text(self.column)
        rating = ready(texts)
        gone = rating < self.least
        if self.pareto:
            chance = Turn("random", self.seed)(rows, self.column)
            gone = (1 - chance) ** (-1 / self.pareto) - 1 <= 1 - rating
        return Verdict.first((gone, rating), **({self.into: pa.array(rating)} if self.into else {}))
