"""Semantic deduplication: of texts that say the same in other words one stays."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import KEY, MATCH, REFERENCE, ROW, VALUE, Addresses, Rows, Store, WholeStep, runs_of
from dross.models.embedder import Embedder, Vectors, cosines, nearest
from dross.models.survivors import Rule, one_of_each

_VECTOR, _PRIORITY = "vector", "priority"
_BLOCK = 1024


def close_pairs(vectors: Vectors, rows: Addresses, similarity: float) -> tuple[Addresses, Addresses, Vectors]:
    """Pairs of rows with a cosine of at least ``similarity``: later, earlier, cosine; O(n^2 d), block by block.

    >>> vectors = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    >>> [column.tolist() for column in close_pairs(vectors, np.array([4, 5, 9], np.uint64), 0.9)]
    [[9], [4], [1.0]]
    """
    parts: list[tuple[Addresses, Addresses, Vectors]] = []
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        found = cosines(block, vectors[: start + len(block)]).round(5)
        later, earlier = np.nonzero(found >= similarity)
        cosine, later = found[later, earlier], later + start
        keep = earlier < later
        parts.append((rows[later[keep]], rows[earlier[keep]], cosine[keep]))
    if not parts:
        return np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.float32)
    one, other, cosine = (np.concatenate(column) for column in zip(*parts, strict=True))
    return one, other, cosine


@dataclass(frozen=True)
class SemanticDeduplication(WholeStep):
    """Of texts whose embeddings are nearly the same one stays.

    Abbas et al., "SemDeDup: Data-efficient learning at web-scale through semantic deduplication", 2023. Embeddings are
    clustered by k-means that was fitted on a sample; each text is compared with those of its cluster. Of a group the
    row farthest from the centre stays, as there, or by another rule. Time grows with the square of the cluster size:
    give more clusters to a larger corpus.

    Attributes
    ----------
    similarity
        The cosine from which two texts say the same.
    clusters
        Of the k-means; about the square root of the number of rows.
    keep
        Which row of a group stays: ``outermost``, ``first``, ``longest``, ``shortest``, ``highest COLUMN``, ….
    against
        Paths or globs of other corpora with the same text column: what says what a text there says is dropped here.
    model
        ``auto``, or a sentence-transformers model that is on this machine.
    seed
        Of the k-means.

    Examples
    --------
    >>> from dross.core.dataset import Dataset
    >>> from dross.core.roles import Role
    >>> from dross.core.signal import Signals
    >>> texts = ["the cat sat on the mat", "a dog in the rain", "on the mat the cat sat"]
    >>> data = Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]})
    >>> SemanticDeduplication(keep="first", similarity=0.7).run(data, Signals(data)).rows.tolist()
    [0, 1]
    """

    paper: ClassVar = Paper(
        "SemDeDup: Data-efficient learning at web-scale through semantic deduplication", 2023, "2303.09540"
    )
    reasons: ClassVar[tuple[str, ...]] = ("says_the_same", "says_the_same_as_the_other_corpus")
    learns: ClassVar[int] = 20_000

    similarity: float = 0.9
    clusters: int = 100
    keep: str = "outermost"
    against: tuple[str, ...] = ()
    model: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keep != "outermost":
            Rule.of(self.keep)
        if not 0 < self.similarity <= 1 or self.clusters < 1:
            told = f"similarity is {self.similarity}, clusters {self.clusters}"
            raise DrossError(told, where=self.name(), fix="give a cosine above 0, up to 1, and at least one cluster")

    def reads(self) -> tuple[str, ...]:
        return (*super().reads(), *(() if self.keep == "outermost" else Rule.of(self.keep).reads))

    def references(self) -> tuple[str, ...]:
        return self.against

    def learn(self, rows: Rows, place: Path) -> None:
        """Fit the embedding and the clusters."""
        from sklearn.cluster import MiniBatchKMeans

        texts = rows.text(self.column)
        embedder = Embedder.fitted(self.model, texts)
        embedder.write(place)
        vectors = embedder(texts)
        count = min(self.clusters, max(1, len(texts) // 10))
        if len(texts):
            fitted = MiniBatchKMeans(count, random_state=self.seed, n_init=1, batch_size=4096).fit(vectors)
            centres = fitted.cluster_centers_.astype(np.float32)
        else:
            centres = np.zeros((1, 1), np.float32)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
        np.save(place / "centres.npy", centres)

    def ready(self, place: Path) -> tuple[Embedder, Vectors]:
        """The embedding and the centres of the clusters."""
        return Embedder.read(self.model, place), np.load(place / "centres.npy")

    def _vectors(self, rows: Rows, ready: tuple[Embedder, Vectors]) -> Vectors:
        return rows.measured(ready[0], self.column)

    def sketch(self, rows: Rows, ready: tuple[Embedder, Vectors]) -> pa.Table:
        """The cluster of each text."""
        _, cluster = nearest(self._vectors(rows, ready), ready[1])
        return pa.table({KEY: cluster.astype(np.uint64), ROW: rows.addresses})

    def stored(self, rows: Rows, ready: tuple[Embedder, Vectors]) -> Mapping[str, npt.NDArray[Any]]:
        """The vector of each text, and its claim to stay."""
        vectors = self._vectors(rows, ready)
        if len(rows) and rows.addresses[0] >= REFERENCE:
            priority = np.zeros(len(rows))
        elif self.keep == "outermost":
            priority = -nearest(vectors, ready[1])[0].astype(np.float64)
        else:
            priority = Rule.of(self.keep).priorities(rows, self.column)
        return {_VECTOR: vectors, _PRIORITY: priority}

    def meet(self, sketches: pa.Table, store: Store) -> pa.Table:
        """Pairs within each cluster."""
        keys, rows = sketches.column(KEY).to_numpy(), sketches.column(ROW).to_numpy()
        heads, _ = runs_of(keys)
        parts = [close_pairs(np.empty((0, 1), np.float32), rows[:0], 1.0)]
        for start, stop in itertools.pairwise(np.append(heads, len(keys)).tolist()):
            parts.append(close_pairs(store.take(_VECTOR, rows[start:stop]), rows[start:stop], self.similarity))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return pa.table(dict(zip((ROW, MATCH, VALUE), columns, strict=True)))

    def settle(self, found: pa.Table, store: Store) -> pa.Table:
        """All but one row of each group."""
        return one_of_each(found, lambda rows: store.take(_PRIORITY, rows))
