"""A linear encoder learnt by contrast: rows of the same kind are drawn together, rows of others pushed apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

BATCH = 64
STEPS = 100
RATE = 0.05
SHARPNESS = 10.0
"""One over the temperature of the contrastive loss."""


def unit(vectors: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).round(1).tolist()
    [[0.6..., 0.8...], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 1e-9, lengths, 1), np.float32)


def contrast(A: Any, B: Any, W: Vectors) -> tuple[float, Vectors]:
    """The contrastive loss of pairs of contexts of the same entity and its gradient with regard to ``W``.

    Row ``i`` of ``A`` and of ``B``, (b, m), mention one entity, and no other row mentions it: each must find its twin
    among the rows of the other (van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive
    Coding", 2018, in both directions). ``W`` has the shape (m, d).
    """
    from scipy.special import log_softmax

    b = A.shape[0]
    U, V = np.asarray(A @ W, np.float64), np.asarray(B @ W, np.float64)
    nu, nv = (np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-9) for each in (U, V))
    P, Q = U / nu, V / nv
    S = SHARPNESS * (P @ Q.T)
    rows, columns = log_softmax(S, axis=1), log_softmax(S, axis=0)
    loss = -0.5 * float(np.trace(rows) + np.trace(columns)) / b
    G = SHARPNESS * (0.5 * (np.exp(rows) + np.exp(columns)) - np.eye(b)) / b
    dP, dQ = G @ Q, G.T @ P
    dU = (dP - P * (P * dP).sum(axis=1, keepdims=True)) / nu
    dV = (dQ - Q * (Q * dQ).sum(axis=1, keepdims=True)) / nv
    gradient = A.T @ dU.astype(np.float32) + B.T @ dV.astype(np.float32)
    return loss, np.asarray(gradient, np.float32)


def draw_pairs(members: list[Ints], rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Two different mentions each of up to :data:`BATCH` entities, drawn at random."""
    chosen = rng.permutation(len(members))[:BATCH]
    pairs = np.array([rng.choice(members[e], 2, replace=False) for e in chosen])
    return pairs[:, 0], pairs[:, 1]


def improve(X: Any, members: list[Ints], W: Vectors, energy: Vectors, rng: np.random.Generator) -> Vectors:
    """:data:`STEPS` steps of AdaGrad on pairs drawn anew; ``energy`` (m, 1) is changed in place."""
    W = W.copy()
    for _ in range(STEPS):
        first, second = draw_pairs(members, rng)
        _, gradient = contrast(X[first], X[second], W)
        energy += np.square(gradient).sum(axis=1, keepdims=True)
        W -= np.float32(RATE) * gradient / np.sqrt(energy)
    return W
