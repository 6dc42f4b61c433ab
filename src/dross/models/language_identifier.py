"""Languages told apart by the n-grams of reference texts: naive Bayes over words and letter triples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError
from dross.signals.ngrams import count_ngrams, pieces

_SMOOTHING = 0.3
_MOST = 200_000


@dataclass(frozen=True, eq=False)
class Identifier:
    """A fitted identifier.

    Attributes
    ----------
    names
        The k languages.
    buckets
        The n-grams that count, sorted, shape (m,).
    weights
        The logarithm of how likely each is in each language, shape (m, k), float32.
    """

    names: tuple[str, ...]
    buckets: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]

    @classmethod
    def fitted(cls, texts: pa.LargeStringArray, languages: pa.Array) -> Identifier:
        """Count the n-grams of each language; those in one text only are left out where there are many.

        >>> texts = ["the cat and the dog", "a cat is the best", "der Hund und die Katze", "die Katze ist die beste"]
        >>> found = Identifier.fitted(pa.array(texts, pa.large_string()), pa.array(["en", "en", "de", "de"]))
        >>> which, sure = found(pa.array(["the best dog", "der beste Hund"], pa.large_string()))
        >>> [found.names[i] for i in which]
        ['en', 'de']
        """
        encoded = languages.cast(pa.string()).dictionary_encode()
        order = np.argsort(np.array(encoded.dictionary.to_pylist(), object), kind="stable")
        names = tuple(encoded.dictionary.to_pylist()[i] for i in order.tolist())
        if len(names) < 2:
            raise DrossError("the reference holds one language", fix="give texts of every language to tell apart")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        labels = rank[encoded.indices.to_numpy(zero_copy_only=False)]
        counts = count_ngrams(texts).minimum(3)
        df = np.bincount(counts.indices, minlength=counts.shape[1])
        chosen = np.flatnonzero(df >= (2 if len(texts) > 1000 else 1))
        if len(chosen) > _MOST:
            chosen = np.sort(chosen[np.argsort(-df[chosen], kind="stable")[:_MOST]])
        sums = np.zeros((len(chosen), len(names)), np.float32)
        for k in range(len(names)):
            sums[:, k] = np.asarray(counts[labels == k][:, chosen].sum(axis=0)).ravel()
        weights = np.log((sums + _SMOOTHING) / (sums.sum(axis=0) + _SMOOTHING * len(chosen)))
        return cls(names, chosen.astype(np.int32), weights.astype(np.float32))

    def __call__(self, texts: pa.LargeStringArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The likeliest language of each text, shape (n,), and its lead over the next, in nats an n-gram."""
        which, sure = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.float32)
        for start, stop in pieces(texts):
            counts = count_ngrams(texts.slice(start, stop - start))[:, self.buckets].minimum(3)
            scores = counts @ self.weights
            top = np.argpartition(scores, -2, axis=1)[:, -2:]
            pair = np.take_along_axis(scores, top, axis=1)
            best = pair.argmax(axis=1)
            which[start:stop] = top[np.arange(len(top)), best]
            grams = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1)
            sure[start:stop] = np.abs(pair[:, 0] - pair[:, 1]) / grams
        return which, sure

    def write(self, place: Path) -> None:
        """Keep it in a folder."""
        np.savez(place / "languages.npz", names=np.array(self.names), buckets=self.buckets, weights=self.weights)

    @classmethod
    def read(cls, place: Path) -> Identifier:
        """Read back what :meth:`write` kept."""
        with np.load(place / "languages.npz") as file:
            return cls(tuple(file["names"].tolist()), file["buckets"], file["weights"])
