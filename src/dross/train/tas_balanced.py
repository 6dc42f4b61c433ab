"""TAS-Balanced: batches of queries on one topic, their negatives spread over all levels of difficulty, two teachers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.roles import Role
from dross.models.examples import Batch
from dross.models.lesson import Lesson
from dross.models.loop import Objective, Run
from dross.models.paired import EMBEDDED, PairTrainer, side_vectors, trimmed

if TYPE_CHECKING:
    from torch import Tensor

Matrix = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
CHUNK = 1024
"""Queries that are compared with all passages at a time."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def topic_batches(topics: Ints, size: int, count: int, rng: np.random.Generator) -> Iterator[Ints]:
    """``count`` batches of ``size`` queries of one topic each (section 3.1 of the paper).

    ``topics``, shape (n,), numbers from 0. A topic is drawn at random, all being equally likely, and of it queries
    without replacement; where it has too few, all are taken and the batch is filled up from further topics.

    >>> drawn = list(topic_batches(np.array([0, 0, 0, 1, 1, 1]), 3, 9, np.random.default_rng(0)))
    >>> {tuple(sorted(rows.tolist())) for rows in drawn} == {(0, 1, 2), (3, 4, 5)}
    True
    """
    order = np.argsort(topics, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(topics[order])) + 1)
    for _ in range(count):
        parts: list[Ints] = []
        wanted = min(size, len(topics))
        for topic in rng.permutation(len(members)):
            parts.append(rng.permutation(members[topic])[:wanted])
            wanted -= len(parts[-1])
            if not wanted:
                break
        yield np.concatenate(parts)


def bins_of(margins: Matrix, bins: int) -> npt.NDArray[np.int16]:
    """The bin of each candidate, shape (n, m), by ``bins`` equal steps from its query's smallest margin to the largest.

    Margins, shape (n, m), are what the teacher gives the query's own passage beyond the candidate; NaN where there is
    no candidate, whose bin is -1 (section 3.2).

    >>> bins_of(np.array([[0.0, 0.4, 1.0, np.nan]], np.float32), 2).tolist()
    [[0, 0, 1, -1]]
    """
    there = np.isfinite(margins)
    low = np.where(there, margins, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(there, margins, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    step = np.where(there, (margins - low) / np.maximum(high - low, 1e-12), 0)
    return np.where(there, np.minimum(step * bins, bins - 1).astype(np.int16), np.int16(-1))


def balanced_draw(binned: npt.NDArray[np.int16], bins: int, rng: np.random.Generator) -> Ints:
    """One candidate of each row of ``binned``, shape (b, m): first a bin that holds some, then one of those, (b,).

    >>> binned = np.array([[0] * 9 + [1]], np.int16)
    >>> drawn = [int(balanced_draw(binned, 2, np.random.default_rng(i))[0]) == 9 for i in range(400)]
    >>> 0.4 < float(np.mean(drawn)) < 0.6
    True
    """
    b = len(binned)
    held = np.zeros((b, bins + 1), bool)
    held[np.arange(b)[:, None], binned] = True  # -1 is the last column, which is never drawn
    chosen = np.where(held[:, :bins], rng.random((b, bins)), -1.0).argmax(axis=1)
    drawn: Ints = np.where(binned == chosen[:, None], rng.random(binned.shape), -1.0).argmax(axis=1)
    return drawn


def dual_supervision(
    student: tuple[Tensor, Tensor], pairwise: tuple[Tensor, Tensor], batchwise: tuple[Tensor, Tensor], weight: float
) -> tuple[Tensor, Tensor]:
    """Both losses (equations 5 to 7): of each query's own two passages, and ``weight`` times that of all of the batch.

    Each argument holds the scores of b queries with all positives and with all negatives of the batch, (b, b) each; a
    query's own ones stand on the diagonal. The error is that of margins, squared (Margin-MSE): of a query's positive
    over another passage, the student's against the teacher's.

    >>> import torch
    >>> told = (torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 2))
    >>> flat = (torch.zeros(2, 2), torch.zeros(2, 2))
    >>> [float(loss) for loss in dual_supervision(flat, told, told, 0.5)]
    [4.0, 1.5]
    """

    def margins(scores: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        own = scores[0].diagonal()[:, None]
        return own - scores[0], own - scores[1]

    seen, one, all_of = margins(student), margins(pairwise), margins(batchwise)
    pairs = (seen[1].diagonal() - one[1].diagonal()).square().mean()
    batch = ((seen[0] - all_of[0]).square().mean() + (seen[1] - all_of[1]).square().mean()) / 2
    return pairs, weight * batch


# ---- what the teacher says ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taught:
    """What is drawn from: for each pair its negatives, and how hard they are.

    Attributes
    ----------
    negatives
        Rows whose passage is a candidate, shape (n, m), int32; 0 where there is none.
    margins
        How much better the teacher finds the pair's own passage, shape (n, m), float32; NaN where there is none.
    """

    negatives: npt.NDArray[np.int32]
    margins: Matrix


def candidates(vectors: Matrix, queries: Ints, passages: Ints, most: int) -> Taught:
    """The ``most`` passages nearest to each query under the teacher, but those that answer the same query.

    ``vectors``, shape (n, 2, d), are those of queries and passages; ``queries`` and ``passages``, shape (n,), number
    equal texts alike. Exact, in O(n² d) time and O(n · most) memory.

    >>> turned = np.array([[[1, 0], [1, 0]], [[0, 1], [0, 1]], [[0, 1], [0.6, 0.8]]], np.float32)
    >>> found = candidates(turned, np.array([0, 1, 2]), np.array([0, 1, 2]), 2)
    >>> found.negatives.tolist(), found.margins.round(1).tolist()[0]
    ([[2, 1], [2, 0], [1, 0]], [0.4..., 1.0])
    """
    _, firsts = np.unique(passages, return_index=True)
    texts = vectors[firsts, 1]
    m = min(most, len(firsts))
    pairs = np.unique(np.stack([queries, passages], axis=1), axis=0)
    starts = np.searchsorted(pairs[:, 0], np.arange(queries.max() + 2))
    negatives, margins = np.zeros((len(vectors), m), np.int32), np.full((len(vectors), m), np.nan, np.float32)
    for at in range(0, len(vectors), CHUNK):
        rows = np.arange(at, min(at + CHUNK, len(vectors)))
        scores = vectors[rows, 0] @ texts.T
        own = np.einsum("ij,ij->i", vectors[rows, 0], vectors[rows, 1])
        sizes = starts[queries[rows] + 1] - starts[queries[rows]]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        answers = pairs[np.repeat(starts[queries[rows]], sizes) + within, 1]
        scores[np.repeat(np.arange(len(rows)), sizes), answers] = -np.inf
        near = np.argpartition(-scores, m - 1, axis=1)[:, :m] if m < len(firsts) else np.argsort(-scores, axis=1)
        near = np.take_along_axis(near, np.argsort(-np.take_along_axis(scores, near, 1), axis=1, kind="stable"), 1)
        found = np.take_along_axis(scores, near, 1)
        negatives[rows] = np.where(np.isfinite(found), firsts[near], 0)
        margins[rows] = np.where(np.isfinite(found), own[:, None] - found, np.nan)
    return Taught(negatives, margins)


def topics_of(queries: Matrix, count: int, seed: int) -> Ints:
    """The topic of each query: k-means of their vectors, (n, d) to (n,); O(n d count) a round.

    >>> topics_of(np.array([[0.0], [0.1], [5.0]], np.float32), 2, 0).tolist() in ([0, 0, 1], [1, 1, 0])
    True
    """
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different queries than topics: some stay empty
        found = KMeans(min(count, len(queries)), n_init=1, random_state=seed).fit_predict(queries)
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


# ---- the stage ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Distilled(Objective):
    """Distillation in topical batches with balanced negatives.

    Attributes
    ----------
    told
        The vectors of the pairwise and of the in-batch teacher, shape (n, 2, d) each, scaled.
    taught, topics
        What is drawn from, and the topic of each query, shape (n,).
    bins, weight
        Of :func:`bins_of` and :func:`dual_supervision`.
    """

    told: tuple[Matrix, Matrix]
    taught: Taught
    topics: Ints
    bins: int
    weight: float

    def begin(self, run: Run) -> None:
        """The teachers' vectors."""
        import torch

        for name, vectors in zip(("pairwise", "batchwise"), self.told, strict=True):
            run.state[name] = torch.from_numpy(vectors).to(run.device)

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """Queries of one topic, and for each a row whose passage is its negative."""
        import torch

        size = run.settings.batch_size
        binned = bins_of(self.taught.margins, self.bins)
        for rows in topic_batches(self.topics, size, -(-len(binned) // size), run.rng):
            drawn = balanced_draw(binned[rows], self.bins, run.rng)
            yield torch.from_numpy(rows), torch.from_numpy(self.taught.negatives[rows, drawn].astype(np.int64))

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Both teachers at once."""
        import torch

        own, other = batches
        b = len(own.x)
        passages = run.net.encode(trimmed(torch.cat([own.x[:, 1], other.x[:, 1]])))
        scores = run.net.encode(trimmed(own.x[:, 0])) @ passages.T
        told = []
        for name in ("pairwise", "batchwise"):
            queries, positives, negatives = (
                run.state[name][rows, s] for rows, s in ((own.rows, 0), (own.rows, 1), (other.rows, 1))
            )
            told.append((queries @ positives.T, queries @ negatives.T))
        pairs, batch = dual_supervision((scores[:, :b], scores[:, b:]), told[0], told[1], self.weight)
        return pairs + batch


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TASBalanced(PairTrainer):
    """A retriever that stronger embeddings teach, in batches on one topic with negatives of every difficulty.

    Hofstätter, Lin, Yang, Lin, Hanbury, "Efficiently Teaching an Effective Dense Retriever with Balanced Topic Aware
    Sampling", 2021. Queries are clustered once; each batch comes from one cluster, so that the other passages of the
    batch are on its topic and tell something; for each query a negative is drawn evenly over the range of the teacher's
    margins, of which the easy ones would else be most. The student learns margins: of each query's own pair of passages
    from one teacher, of all passages of the batch from another. A query that stands in several rows has several
    passages, and none of them is its negative.

    The paper's teachers are cross-encoders and ColBERT on BERT, its negatives those of BM25; here both teachers are
    embeddings, negatives are the passages nearest to the query under the first, and margins are in units of their
    spread. The teacher's queries are what is clustered, not those of a student trained before.

    Attributes
    ----------
    teacher
        ``embedding`` (the signal, fitted on both sides), two columns of vectors ``QUERIES,PASSAGES``, the folder of a
        model that dross saved, or a sentence-transformers model.
    batch_teacher
        The same of the teacher for all passages of a batch; the first one where it is empty.
    topics
        Clusters of queries; 0 takes one for every 100 (the paper takes one for every 200), 1 makes random batches.
    bins
        Steps of margins; 1 draws all candidates alike.
    candidates
        Passages that are negatives of a query.
    weight
        Of the in-batch loss, beside 1 for the pairs.
    """

    paper: ClassVar = Paper(
        "Efficiently Teaching an Effective Dense Retriever with Balanced Topic Aware Sampling", 2021, "2104.06967"
    )

    teacher: str = EMBEDDED
    batch_teacher: str = ""
    topics: int = 0
    bins: int = 10
    candidates: int = 200
    weight: float = 0.75
    batch_size: int = 32

    def objective(self, lesson: Lesson) -> Distilled:
        """What the teachers say, and the topics."""
        for name, least in (("topics", 0), ("bins", 1), ("candidates", 1), ("weight", 0)):
            if not getattr(self, name) >= least:
                raise DrossError(f"{name} is {getattr(self, name)}", fix=f"give {least} or more")
        kept = lesson.data.take(lesson.rows)
        signals = lesson.signals
        assert signals is not None
        vectors = side_vectors(self.teacher, kept, signals)
        told = vectors if not self.batch_teacher else side_vectors(self.batch_teacher, kept, signals)
        taught = candidates(vectors, _numbered(kept, Role.QUERY), _numbered(kept, Role.PASSAGE), self.candidates)
        if not np.isfinite(taught.margins[:, 0]).all():
            raise DrossError("a query has no negative: its own passages are all there are", fix="give more pairs")
        spread = max(float(np.nanstd(taught.margins)), 1e-6)
        count = self.topics or max(1, len(vectors) // 100)
        topics = topics_of(vectors[:, 0], count, self.seed) if count > 1 else np.zeros(len(vectors), np.int64)
        scaled = [one / np.float32(np.sqrt(spread)) for one in (vectors, told)]
        return Distilled((scaled[0], scaled[1]), taught, topics, self.bins, self.weight)


def _numbered(data: Dataset, role: Role) -> Ints:
    """Equal texts of one side by one number, shape (n,)."""
    return np.unique(data.hashes(data.name_of(role)), return_inverse=True)[1].astype(np.int64)
