"""Texts as vectors where the corpus is larger than memory: fitted once on a sample, then text by text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.signals.embedding import CLASSICAL, sentence_model
from dross.signals.text_projection import Projection, fit_projection, project

Vectors = npt.NDArray[np.float32]
_ROWS = 256
_BYTES = 1 << 25


@dataclass(frozen=True, eq=False)
class Embedder:
    """Embeds texts as unit vectors, each by itself.

    Attributes
    ----------
    model
        ``auto`` for latent semantic analysis, else a sentence-transformers model that is on this machine.
    fit
        What the former was fitted to.
    """

    model: str
    fit: Projection | None

    def __call__(self, texts: pa.LargeStringArray) -> Vectors:
        """The vectors of texts, shape (n, d), float32."""
        if self.fit is not None:
            return project(texts, self.fit)
        encoder = sentence_model(self.model)
        found = encoder.encode(texts.to_pylist(), batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, np.float32).round(5)  # batches show in the last digits

    def write(self, place: Path) -> None:
        """Keep what was fitted in a folder."""
        if self.fit is not None:
            np.savez(place / "projection.npz", **vars(self.fit))

    @classmethod
    def read(cls, model: str, place: Path) -> Embedder:
        """Read back what :meth:`write` kept."""
        if model != CLASSICAL:
            return cls(model, None)
        with np.load(place / "projection.npz") as file:
            return cls(model, Projection(file["buckets"], file["idf"], file["directions"]))

    @classmethod
    def fitted(cls, model: str, texts: pa.LargeStringArray, dimensions: int = 127) -> Embedder:
        """Fit on texts, of which about 32 MB are read."""
        if model != CLASSICAL:
            return cls(model, None)
        share = max(1, int(np.ceil(texts.nbytes / _BYTES)))
        return cls(model, fit_projection(texts.take(pa.array(np.arange(0, len(texts), share))), dimensions))


def cosines(vectors: Vectors, others: Vectors) -> Vectors:
    """The cosine of each vector with each other one, shape (n, m); a row does not depend on those beside it.

    Products are made in blocks of one size, as their last digits depend on it.

    >>> cosines(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    out = np.empty((len(vectors), len(others)), np.float32)
    block = np.zeros((_ROWS, vectors.shape[1]), np.float32)
    for start in range(0, len(vectors), _ROWS):
        part = vectors[start : start + _ROWS]
        block[: len(part)] = part
        out[start : start + len(part)] = (block @ others.T)[: len(part)]
    return out


def nearest(vectors: Vectors, others: Vectors, apart: Any = None) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """The largest cosine of each vector with another one, shape (n,), to five digits, and which one that is.

    ``apart`` masks pairs that do not count, as a function of the positions of a block.
    """
    best, which = np.empty(len(vectors), np.float32), np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), 4 * _ROWS):
        found = cosines(vectors[start : start + 4 * _ROWS], others).round(5)
        if apart is not None:
            found[apart(np.arange(start, start + len(found)))] = -1
        which[start : start + len(found)] = found.argmax(axis=1)
        best[start : start + len(found)] = found.max(axis=1)
    return best, which
