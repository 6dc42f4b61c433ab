"""Embeddings taught by pairs: what trainers share that learn from queries beside their passages, and their model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.results import Edits, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.models.devices import import_torch
from dross.models.examples import Examples
from dross.models.lesson import Lesson, Outcome, checkpoints
from dross.models.loop import Nets, Objective, Run
from dross.models.trained import ABOUT, Trained, load
from dross.models.trainer import NetworkTrainer
from dross.signals.embedding import Embedding

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.inputs import Encoder
    from dross.models.networks import Maker

Matrix = npt.NDArray[np.float32]
PAIR = (Role.QUERY, Role.PASSAGE)
EMBEDDED = "embedding"
"""The name of the embedding that the signal :class:`~dross.signals.embedding.Embedding` gives."""
CHUNK = 1024
"""Queries that are compared with all passages at a time."""


def side(data: Dataset, role: Role) -> Dataset:
    """The texts of one side of the pairs as a dataset of their own.

    >>> pairs = Dataset(pa.table({"q": ["a"], "p": ["b"]}), {Role.QUERY: ["q"], Role.PASSAGE: ["p"]})
    >>> side(pairs, Role.PASSAGE).column(Role.TEXT).to_pylist()
    ['b']
    """
    return Dataset(pa.table({"text": data.column(role).cast(pa.large_string())}), {Role.TEXT: ["text"]})


def both(data: Dataset) -> Dataset:
    """All queries, then all passages, as one dataset of texts.

    >>> pairs = Dataset(pa.table({"q": ["a"], "p": ["b"]}), {Role.QUERY: ["q"], Role.PASSAGE: ["p"]})
    >>> both(pairs).column(Role.TEXT).to_pylist()
    ['a', 'b']
    """
    return Dataset(pa.concat_tables([side(data, role).table for role in PAIR]), {Role.TEXT: ["text"]})


def side_vectors(name: str, data: Dataset, signals: Signals) -> Matrix:
    """Queries and passages under a named embedding, shape (n, 2, d), float32, of unit length.

    ``name`` is ``embedding`` (the signal, fitted on both sides together), two columns of vectors ``QUERIES,PASSAGES``,
    the folder of a model that dross trained, or a sentence-transformers model that is on this machine.

    Raises DrossError where there is no such column or model.
    """
    if "," in name:
        columns = [_vectors(data, one.strip()) for one in name.split(",")]
        if len(columns) != 2 or columns[0].shape != columns[1].shape:
            raise DrossError(f"{name!r} does not name two columns of vectors of one width", fix="QUERIES,PASSAGES")
        found = np.stack(columns, axis=1)
    elif (Path(name) / ABOUT).is_file():
        model = load(name)
        found = np.stack([model.embed(side(data, role)) for role in PAIR], axis=1)
    else:
        texts = both(data)
        signal = Embedding() if name == EMBEDDED else Embedding(name)
        flat = np.asarray(Signals(texts, signals.store, signals.progress)[signal])
        found = flat.reshape(2, len(data), -1).swapaxes(0, 1)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=2, keepdims=True), 1e-12), np.float32)


def _vectors(data: Dataset, name: str) -> Matrix:
    if name not in data.table.column_names:
        raise DrossError(f"no column {name!r} holds vectors", fix=nearest(name, data.table.column_names))
    if not pa.types.is_fixed_size_list(data.table.column(name).type):
        raise DrossError("the column holds no vectors of one width", where=f"column {name!r}")
    return Dataset(data.table, {Role.EMBEDDING: [name]}).matrix(Role.EMBEDDING)


# ---- what is learnt from -----------------------------------------------------------------------------------------


def bare_lesson(method: NetworkTrainer, data: Dataset, signals: Signals) -> Lesson:
    """Make data ready for a trainer that looks at no label: training pairs, inputs of shape (n, 2, t), or plain rows.

    A pair that lacks a side is left out. Raises DrossError where fewer than two are left, or patience is asked for.
    """
    torch = import_torch()
    from dross.models.inputs import fit_encoder
    from dross.models.networks import Maker

    if method.patience:
        raise DrossError("nothing tells how good a model without labels is", fix="leave patience at 0")
    told = splits_of(data).training
    if data.has(*PAIR):
        for role in PAIR:
            told = told & np.asarray(data.column(role).is_valid())
    rows = np.flatnonzero(told)
    if len(rows) < 2:
        raise DrossError(f"{len(rows)} rows teach no embedding", fix="give two or more, with both sides of a pair")
    kept = data.take(rows)
    read = both(kept) if data.has(*PAIR) else kept
    own = Signals(read, signals.store, signals.progress) if read is not kept else signals
    encoder = fit_encoder(read, own, method.network, np.arange(len(read)) if read is not kept else rows)
    x = encoder(read)
    if read is not kept:
        x = np.ascontiguousarray(x.reshape(2, len(rows), -1).swapaxes(0, 1))
    nothing = np.full(len(data), np.nan, np.float32)
    return Lesson(
        data,
        rows,
        Examples(torch.from_numpy(x), torch.from_numpy(nothing[rows]), 1, "number"),
        None,
        Outcome(nothing, [], "number"),
        encoder,
        Maker(method.network, encoder.kind, tuple(encoder.shape), 1),
        method,
        checkpoints(method, data, signals),
        signals.progress,
        signals=signals,
    )


def trimmed(tokens: Tensor) -> Tensor:
    """Token sequences without the columns that are padding in all of them; other inputs as they are.

    >>> import torch
    >>> trimmed(torch.tensor([[1, 0, 0], [1, 2, 0]])).shape, trimmed(torch.zeros(2, 3)).shape
    (torch.Size([2, 2]), torch.Size([2, 3]))
    """
    if tokens.is_floating_point() or tokens.ndim != 2:
        return tokens
    return tokens[:, : max(1, int((tokens != 0).sum(dim=1).max()))]


# ---- the trainer and its model -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairTrainer(NetworkTrainer):
    """A method that learns an embedding from pairs of a query and a passage that answers it."""

    needs: ClassVar[tuple[Any, ...]] = PAIR

    def run(self, data: Dataset, signals: Signals) -> Paired | NotApplicable:
        """Train on the pairs of the training split."""
        import_torch()
        self._check()
        missing = self.applies(data)
        if missing is not None:
            return missing
        model = self.taught(self.lesson(data, signals))
        assert isinstance(model, Paired)
        return model

    def lesson(self, data: Dataset, signals: Signals) -> Lesson:
        """The data made ready."""
        return bare_lesson(self, data, signals)

    def learn(self, lesson: Lesson) -> Run:
        """The embedding. Raises DrossError where the network's vectors are the inputs themselves."""
        if not any(True for _ in lesson.make().body.parameters()):
            raise DrossError(
                f"the network {self.network!r} gives its inputs back: no embedding is learnt",
                fix="choose another, such as auto",
            )
        return lesson.fit(self.objective(lesson), stage="embedding")

    def objective(self, lesson: Lesson) -> Objective:
        """What the network is trained to do."""
        return self

    def vectors(self, nets: Nets, x: Tensor) -> Tensor:
        """The vectors of a batch of one side, shape (b, d); the larger their inner product, the better they match."""
        found: Tensor = nets["net"].encode(trimmed(x))
        return found

    def report(self, run: Run) -> dict[str, Any]:
        """How many rows taught it, whatever labels they have."""
        return {"rows": len(run.examples), "unlabelled": 0}

    def model(
        self,
        nets: Nets,
        encoder: Encoder,
        make: Maker,
        outcome: Outcome,
        summary: Mapping[str, Any],
        edits: Edits | None = None,
    ) -> Paired:
        """An embedding that also says how well two sides match."""
        return Paired(self, nets, encoder, make, outcome, summary, edits)


@dataclass(frozen=True, eq=False)
class Paired(Trained):
    """An embedding model that pairs taught; where labels were there too, it also predicts the class."""

    method: PairTrainer

    def __repr__(self) -> str:
        return f"Paired({self.method.name()}, {self.make.name}, {self.summary['rows']:,} rows)"

    def embed(self, data: Dataset, side_of: Role | None = None) -> Matrix:
        """The vector of each row, shape (n, d), float32; the larger their inner product, the better two match.

        A model of texts reads the text; of pairs without a text column the side that is there, or the one named.
        """
        return self._over(self._read(data, side_of), lambda x: self.method.vectors(self.nets, x))

    def predict_proba(self, data: Dataset) -> Matrix:
        """The chance of each class, shape (n, k); of a model without classes how well each pair matches, shape (n, 1).

        Raises DrossError where it was taught no classes and the rows are no pairs.
        """
        if self.classes:
            return super().predict_proba(data)
        if not data.has(*PAIR):
            raise DrossError(
                "the model was taught no classes: it embeds, and compares pairs",
                fix="ask for embed(data), or load with query=COLUMN and passage=COLUMN",
            )
        queries, passages = (self.embed(data, role) for role in PAIR)
        return np.asarray(np.einsum("ij,ij->i", queries, passages)[:, None])

    def score(self, data: Dataset) -> float:
        """The share of queries that no passage but their own matches better; of a model with classes see Trained."""
        if self.classes or not data.has(*PAIR):
            return super().score(data)
        if not len(data):
            return float("nan")
        queries, passages = (self.embed(data, role).astype(np.float64) for role in PAIR)
        own = np.einsum("ij,ij->i", queries, passages)
        best = [(queries[i : i + CHUNK] @ passages.T).max(axis=1) for i in range(0, len(data), CHUNK)]
        return float((own >= np.concatenate(best) - 1e-6 * np.abs(own).max()).mean())

    def _read(self, data: Dataset, asked: Role | None) -> Dataset:
        if Role.TEXT.value not in self.encoder.roles or (asked is None and data.has(Role.TEXT)):
            return data
        there = [role for role in PAIR if data.has(role)] if asked is None else [asked]
        if len(there) == 2:
            raise DrossError("the rows are pairs", fix="say which side: embed(data, Role.QUERY)")
        return side(data, there[0]) if there else data
