"""Embedding: one vector per row in which near means similar."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, MissingExtra
from dross.core.roles import CONTENT, Role
from dross.core.signal import RowSignal, Signals
from dross.io.images import images
from dross.signals.image_descriptor import ImageProjection, describe
from dross.signals.ngrams import SEPARATOR, texts_of
from dross.signals.tabular_encoding import TabularEncoding, encode
from dross.signals.text_projection import TextProjection, project

Vectors = npt.NDArray[np.float32]
CLASSICAL = "auto"


@dataclass(frozen=True)
class Embedding(RowSignal):
    """One vector per row, shape (n, d), float32; Euclidean distance between them is the dissimilarity of the rows.

    Text is embedded by latent semantic analysis of hashed n-grams (:class:`TextProjection`), images by patches, edges
    and colours (:class:`ImageProjection`), feature columns by robust scaling and encoding (:class:`TabularEncoding`).
    Text, image and given embeddings have unit length, so Euclidean order is cosine order. Where a row has several of
    text, image and features, their vectors stand side by side, each with the same weight.

    What is fitted (n-grams that count, directions, medians) is fitted once on a sample of the rows; each row's vector
    depends on that fit and on the row alone, so rows added later get theirs without touching the others.

    ``model`` names a sentence-transformers model for the text, by a local folder or by a name that is on this machine
    already; it needs the extra ``text``.

    >>> import pyarrow as pa
    >>> data = Dataset(pa.table({"t": ["red fox", "a red fox", "blue hen"]}), {Role.TEXT: ["t"]})
    >>> E = Signals(data)[Embedding()]; bool(E[0] @ E[1] > E[0] @ E[2])
    True
    """

    model: str = CLASSICAL
    reads: ClassVar[tuple[Role, ...]] = CONTENT
    version: ClassVar[int] = 2

    def given(self, data: Dataset) -> Vectors | None:
        """The user's own embedding, scaled to unit length."""
        if not data.has(Role.EMBEDDING):
            return None
        vectors = data.matrix(Role.EMBEDDING)
        unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return unit

    def measure(self, batch: Dataset, signals: Signals) -> Vectors:
        """Embed one batch with what was fitted on the whole."""
        parts = []
        if batch.has(Role.TEXT):
            parts.append(self._texts(batch, signals))
        elif self.model != CLASSICAL:
            raise DrossError(f"the model {self.model!r} embeds text, and no column has the role text")
        if batch.has(Role.IMAGE):
            parts.append(describe(images(batch), len(batch), signals[ImageProjection()]))
        if batch.has(Role.FEATURES):
            code = signals[TabularEncoding()]
            table = encode(batch, code)
            parts.append(table / np.float32(code.size) if parts else table)
        if not parts:
            raise DrossError(
                "nothing to embed: no text, image, feature or embedding column",
                fix="name one when loading, or bring your own: embedding=COLUMN",
            )
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(parts)))

    def _texts(self, batch: Dataset, signals: Signals) -> Vectors:
        texts = texts_of(batch)
        if self.model == CLASSICAL:
            return project(texts, signals[TextProjection()])
        joined = pc.replace_substring(texts, SEPARATOR, "\n").to_pylist()
        encoder = sentence_model(self.model)
        vectors = encoder.encode(joined, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)


@functools.lru_cache(1)
def sentence_model(name: str) -> Any:
    """A sentence-transformers model from a folder or from what was downloaded before; nothing is downloaded here."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra.of("sentence_transformers", "text") from error
    try:
        return SentenceTransformer(name, local_files_only=True)
    except (OSError, ValueError) as error:
        raise DrossError(
            f"the model {name!r} is not on this machine",
            fix=f"download it first (hf download {name}), or give the folder it is in",
        ) from error
