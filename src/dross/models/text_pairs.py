"""Texts beside hypotheses: how alike they are, what a model says of the pair, and what seen pairs teach of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError, MissingExtra
from dross.signals.ngrams import SEPARATOR, choose_terms, count_ngrams, pieces, weigh

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]

NEAREST = 10
"""Texts nearest to a hypothesis that stand for it."""


def overlap(texts: pa.LargeStringArray, hypotheses: list[str]) -> Vectors:
    """The cosine of the n-gram weights of each text and hypothesis, shape (n, k), float32.

    >>> texts = pa.array(["the red fox", "a blue hen"], pa.large_string())
    >>> overlap(texts, ["fox", "hen"]).argmax(axis=1).tolist()
    [0, 1]
    """
    about = count_ngrams(pa.array(hypotheses, pa.large_string()))
    counted = [count_ngrams(texts.slice(start, stop - start)) for start, stop in pieces(texts)]
    df = sum(np.bincount(each.indices, minlength=each.shape[1]) for each in counted)
    terms = choose_terms(about)  # only what some hypothesis says can match
    idf = 1 + np.log((1 + len(texts)) / (1 + np.asarray(df)[terms.buckets]))
    terms = type(terms)(terms.buckets, idf.astype(np.float32))
    said = weigh(about, terms).T.tocsc()
    return np.concatenate([(weigh(each, terms) @ said).toarray() for each in counted])


def entailed(model: str, texts: pa.LargeStringArray, hypotheses: list[str]) -> Vectors:
    """A cross-encoder's log-odds that each text entails each hypothesis, shape (n, k), float32."""
    try:
        from sentence_transformers import CrossEncoder
    except ImportError as error:
        raise MissingExtra.of("sentence_transformers", "text") from error
    try:
        encoder = CrossEncoder(model, local_files_only=True)
    except (OSError, ValueError) as error:
        raise DrossError(
            f"the model {model!r} is not on this machine", fix=f"download it first (hf download {model})"
        ) from error
    names = {str(v).lower(): int(i) for i, v in (encoder.model.config.id2label or {}).items()}
    plain = [text.replace(SEPARATOR, "\n") for text in texts.to_pylist()]
    scores = np.asarray(encoder.predict([(t, h) for t in plain for h in hypotheses], show_progress_bar=False))
    if scores.ndim == 2:
        if "entailment" not in names:
            raise DrossError(
                f"the model {model!r} does not judge entailment", fix="choose one trained on natural language inference"
            )
        yes = scores[:, names["entailment"]]
        scores = yes - np.delete(scores, names["entailment"], axis=1).max(axis=1)
    return np.asarray(scores.reshape(len(plain), len(hypotheses)), np.float32)


def bilinear(X: Vectors, S: Vectors, codes: Codes, k: int, strength: float = 1.0) -> Floats:
    """The matrix V, shape (d, d), for which ``x V s`` tells a text's own hypothesis from those of other seen labels.

    Romera-Paredes, Torr, "An Embarrassingly Simple Approach to Zero-Shot Learning", 2015: ridge regression on both
    sides, in closed form; ``strength`` is in units of the mean eigenvalue. ``codes`` (n,) point into ``S`` (k, d).

    >>> V = bilinear(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), np.array([1, 0]), 2)
    >>> bool(V[0, 1] > V[0, 0]), bool(V[1, 0] > V[1, 1])
    (True, True)
    """
    Y = -np.ones((len(X), k)) / max(k - 1, 1)
    Y[np.arange(len(X)), codes] = 1
    counts = np.bincount(codes, minlength=k)
    weight = 1 / np.maximum(counts, 1)[codes]
    A = np.asarray((X * weight[:, None]).T @ X, np.float64)
    B = np.asarray(S.T @ S, np.float64)
    middle = (X * weight[:, None]).T @ Y @ S
    A += strength * max(np.trace(A) / len(A), 1e-9) * np.eye(len(A))
    B += strength * max(np.trace(B) / len(B), 1e-9) * np.eye(len(B))
    return np.asarray(np.linalg.solve(B, np.linalg.solve(A, middle).T).T)


def standing(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Scores of pairs, shape (n, k), less each hypothesis' mean, over the spread of all.

    >>> standing(np.array([[1.0, 5.0], [3.0, 7.0]])).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    away = values - values.mean(axis=0)
    return np.asarray(away / max(float(away.std()), 1e-9))


def stand_ins(X: Vectors, S: Vectors) -> Vectors:
    """For each hypothesis the mean of the texts nearest to it, shape (k, d), of unit length."""
    likeness = standing(X @ S.T)
    nearest = np.argsort(-likeness, axis=0, kind="stable")[:NEAREST]
    means = X[nearest].mean(axis=0)
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9), np.float32)
