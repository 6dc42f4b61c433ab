"""Embedding decontamination: texts that say what an item of a benchmark says, in whatever words, are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.models.embedder import Embedder, Vectors, nearest
from dross.models.passages import Passages, passages

_SAMPLE = 4096


def background(sample: Vectors, items: Vectors, share: float) -> float:
    """The similarity to its nearest item that only a share of the sample's rows exceeds.

    >>> sample = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    >>> round(background(sample, np.array([[1, 0]], np.float32), 0.5), 2)
    0.6
    """
    return float(np.quantile(nearest(sample, items)[0], 1 - share, method="lower"))


@dataclass(frozen=True)
class EmbeddingDecontamination(RowStep):
    """Texts whose embedding is nearer to a benchmark item than nearly all texts of the corpus are dropped.

    After Yang et al., "Rethinking Benchmark and Contamination for Language Models with Rephrased Samples", 2023:
    n-grams miss rephrased and translated items, embeddings find them as candidates. Their last step, a language model
    that judges each pair, is left to a person: the record names the item beside each text. Without a threshold of its
    own the step drops the ``share`` of texts that lie nearest, which the corpus's own background tells from the rest.

    Attributes
    ----------
    against
        Files with the benchmarks, of any kind that a dataset is read from.
    columns
        Their columns to read; the text column, or all columns of text, when none is named.
    similarity
        The cosine from which a text holds an item; chosen by ``share`` when 0.
    share
        Share of a sample of the corpus that may lie above a similarity that is chosen.
    model
        ``auto``, or a sentence-transformers model that is on this machine, which knows synonyms.
    """

    paper: ClassVar = Paper(
        "Rethinking Benchmark and Contamination for Language Models with Rephrased Samples", 2023, "2311.04850"
    )
    reasons: ClassVar[tuple[str, ...]] = ("says_what_a_benchmark_item_says",)
    learns: ClassVar[int] = _SAMPLE

    against: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    similarity: float = 0.0
    share: float = 0.001
    model: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.similarity <= 1 or not 0 < self.share < 1:
            told = f"similarity is {self.similarity}, share {self.share}"
            raise DrossError(told, where=self.name(), fix="give a cosine up to 1, and a share between 0 and 1")

    def prepare(self, place: Path) -> None:
        """Read the benchmarks."""
        passages(self.against, self.columns, self.column or "text", self.name()).write(place)

    def learn(self, rows: Rows, place: Path) -> None:
        """Fit the embedding to the benchmark and a sample of the corpus, and look how near that lies."""
        items = Passages.read(place).texts
        texts = rows.text(self.column)
        embedder = Embedder.fitted(self.model, pa.concat_arrays([items, texts]))
        embedder.write(place)
        vectors, cut = embedder(items), self.similarity
        if not cut:
            cut = background(embedder(texts), vectors, self.share) if len(texts) else 1.0
        np.savez(place / "items.npz", vectors=vectors, cut=np.float32(cut))

    def ready(self, place: Path) -> tuple[Embedder, Vectors, float, pa.Array]:
        """The embedding, the items and the similarity from which a text is dropped."""
        with np.load(place / "items.npz") as file:
            return Embedder.read(self.model, place), file["vectors"], float(file["cut"]), Passages.read(place).names

    def judge(self, rows: Rows, ready: Any) -> Verdict:
        """The nearest item of each text."""
        embedder, items, cut, names = ready
        found, which = nearest(embedder(rows.text(self.column)), items)
        reason = np.where((found > cut) | ((found == cut) & (self.similarity > 0)), 0, -1).astype(np.int16)
        match = names.take(pa.array(which, mask=reason != 0))
        return Verdict(reason, np.where(reason == 0, found, np.nan).astype(np.float32), match)
