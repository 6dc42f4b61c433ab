"""TextProjection: what a text embedding is fitted on: which n-grams count and the directions they are projected on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signal, Signals
from dross.models.directions import main_directions
from dross.signals.ngrams import LONGEST, Terms, choose_terms, count_ngrams, pieces, texts_of, weigh
from dross.signals.sampling import row_keys, smallest

Vectors = npt.NDArray[np.float32]
SAMPLE = 32_768
"""Rows that the projection is fitted on at most."""
SAMPLE_BYTES = 1 << 25
"""Bytes of text that it is fitted on, about."""
MOST_TERMS = 1 << 16
COMMON_FROM = 1000
"""Rows from which an n-gram must stand in two of them to count."""


@dataclass(frozen=True)
class Projection:
    """How texts become vectors.

    Attributes
    ----------
    buckets, idf
        The n-grams that count and their weights, shape (m,); see :class:`~dross.signals.ngrams.Terms`.
    directions
        Shape (m, d), float32, orthonormal columns.
    """

    buckets: npt.NDArray[np.int32]
    idf: npt.NDArray[np.float32]
    directions: Vectors

    @property
    def terms(self) -> Terms:
        """The n-grams that count."""
        return Terms(self.buckets, self.idf)


@dataclass(frozen=True)
class TextProjection(Signal[Projection]):
    """Latent semantic analysis of the texts: TF-IDF weights of n-grams and their main directions.

    Deerwester et al., "Indexing by Latent Semantic Analysis", 1990. Fitted on a sample of at most 32,768 rows that
    does not depend on the order of the rows. Rows that are added later are projected with the same fit.
    """

    dimensions: int = 127
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (Role.TEXT,)
    value: ClassVar[type] = Projection

    def compute(self, data: Dataset, signals: Signals) -> Projection:
        """Count the n-grams of the sample and factor their weights."""
        names = data.roles[Role.TEXT]
        lengths = [pc.binary_length(data.table.column(name).cast(pa.large_string())) for name in names]
        size = sum(pc.sum(pc.min_element_wise(each, LONGEST)).as_py() or 0 for each in lengths)
        most = min(SAMPLE, SAMPLE_BYTES * len(data) // max(size, 1))
        chosen = smallest(row_keys(data, [Role.TEXT], self.seed), max(most, 1))
        sample = Dataset(data.table.select(names).take(pa.array(chosen)), {Role.TEXT: names})
        return fit_projection(texts_of(sample), self.dimensions, self.seed)

    def extend(self, value: Projection, data: Dataset, signals: Signals) -> Projection:
        """New rows do not change the fit."""
        return value


def fit_projection(texts: pa.LargeStringArray, dimensions: int, seed: int = 0) -> Projection:
    """Fit a projection on texts, O(n-grams · dimensions).

    >>> fit = fit_projection(pa.array(["red fox", "red hen", "blue hen"], pa.large_string()), 2)
    >>> fit.directions.shape == (len(fit.idf), 2)
    True
    """
    from scipy.sparse import vstack

    counts = [count_ngrams(texts.slice(start, stop - start)) for start, stop in pieces(texts)]
    matrix = vstack(counts, format="csr") if counts else count_ngrams(texts)
    terms = choose_terms(matrix, MOST_TERMS, least=2 if len(texts) >= COMMON_FROM else 1)
    directions, _ = main_directions(weigh(matrix, terms), dimensions, seed=seed)
    return Projection(terms.buckets, terms.idf, directions)


def project(texts: pa.LargeStringArray, fit: Projection) -> Vectors:
    """The texts as vectors, shape (n, d + 1), float32, of unit length; each depends on its text and the fit alone.

    The last coordinate is 1 for a text without any n-gram that counts, such as the empty one, and 0 for all others.

    >>> fit = fit_projection(pa.array(["red fox", "red hen", "blue hen"], pa.large_string()), 2)
    >>> E = project(pa.array(["red red", "RED", "?"], pa.large_string()), fit)
    >>> E[0] @ E[1] > 0.9, E[2].tolist()
    (np.True_, [0.0, 0.0, 1.0])
    """
    d = fit.directions.shape[1]
    out = np.zeros((len(texts), d + 1), np.float32)
    for start, stop in pieces(texts):
        weights = weigh(count_ngrams(texts.slice(start, stop - start)), fit.terms)
        out[start:stop, :d] = weights @ fit.directions
    return unit_or_apart(out)


def unit_or_apart(vectors: Vectors) -> Vectors:
    """Scale rows to unit length, in place; a row of zeros becomes 1 in its last coordinate, which no other row uses.

    >>> unit_or_apart(np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    blank = lengths < 1e-6
    vectors /= np.where(blank, 1, lengths)[:, None]
    vectors[blank] = 0
    vectors[blank, -1] = 1
    return vectors
