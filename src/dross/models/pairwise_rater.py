"""A rater of texts learnt from pairs: Bradley-Terry on n-grams and simple traits, linear, so that any text is rated."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.errors import DrossError
from dross.core.signal import read_value, write_value
from dross.core.statistics import wilson
from dross.models.preference_pairs import Pairs, parted
from dross.signals.ngrams import Sparse, Terms, choose_terms, count_ngrams, pieces, weigh
from dross.signals.text_statistics import COLUMNS, measure

Floats = npt.NDArray[np.float64]

SEGMENT = 2_000
"""Characters that are read as one: a longer text is rated by its segments, as Wettig et al. do."""
MOST_SEGMENTS = 16
FEWEST = 10
"""Pairs from which a rater is learnt."""
FOLDS = 4
STRENGTHS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
"""Penalties that are tried, the strongest first."""
MOST_TERMS = 1 << 16
_AT = {name: i for i, name in enumerate(COLUMNS)}
_TRAITS = 13
_FURTHEST = 5.0


# ---- the mathematics ---------------------------------------------------------------------------------------------


def bradley_terry(differences: Any, chance: Floats, strength: float, start: Floats | None = None) -> Floats:
    """The weights w, shape (d,), under which the first of a pair wins with the chance 1 / (1 + exp(-(x - y) w)).

    Bradley and Terry, 1952. Minimises the mean cross-entropy to ``chance`` (m,) and ``strength`` times half the squared
    length of w; ``differences`` (m, d), dense or sparse, are x - y of each pair. Convex; O(entries) a step.

    >>> bradley_terry(np.eye(1), np.array([0.75]), 1e-9).round(3).tolist(), float(np.log(3).round(3))
    ([1.099], 1.099)
    """
    from scipy.optimize import minimize

    m, back = len(chance), differences.T.tocsr() if hasattr(differences, "tocsr") else differences.T

    def loss(w: Floats) -> tuple[float, Floats]:
        z = differences @ w
        value = float(np.mean(np.logaddexp(0, z) - chance * z) + strength / 2 * (w @ w))
        slope = back @ (_sigmoid(z) - chance) / m + strength * w
        return value, np.asarray(slope, np.float64)

    first = np.zeros(differences.shape[1]) if start is None else start
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 300, "ftol": 1e-9, "gtol": 1e-7})
    return np.asarray(found.x, np.float64)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))


def agreement(margins: Floats) -> dict[str, list[float]]:
    """How well ratings tell the better of two texts: accuracy and AUC, each with its 95 % interval.

    ``margins``, shape (m,), are the rating of the better text less that of the worse one; equal ratings count half. The
    AUC is that of the differences of all pairs, each looked at from either side: the chance that the margins of two
    pairs add up to more than 0. Its interval is that of a U-statistic (Hoeffding, 1948).

    >>> agreement(np.array([1.0, 2.0, -0.5, 3.0]))["accuracy"][0], agreement(np.array([1.0, 2.0, -0.5, 3.0]))["auc"][0]
    (0.75, 0.9375)
    """
    m, ordered = len(margins), np.sort(margins)
    right = float(((margins > 0) + 0.5 * (margins == 0)).mean())
    low, high = wilson([right * m], [m])
    above = 1 - (ordered.searchsorted(-margins, "left") + ordered.searchsorted(-margins, "right")) / (2 * m)
    auc, half = float(above.mean()), float(1.96 * 2 * above.std() / np.sqrt(m))
    return {
        "accuracy": [right, float(low[0]), float(high[0])],
        "auc": [auc, max(auc - half, 0.0), min(auc + half, 1.0)],
    }


# ---- what is read of a text --------------------------------------------------------------------------------------


def segments(texts: pa.LargeStringArray) -> tuple[pa.LargeStringArray, npt.NDArray[np.int64], Floats]:
    """The texts in pieces of 2,000 characters, the text of each, and its share of that text, each shape (s,).

    Of a text beyond 32,000 characters the rest is not read.

    >>> parts, owner, share = segments(pa.array(["x" * 3000, ""], pa.large_string()))
    >>> owner.tolist(), share.round(2).tolist()
    ([0, 1, 0], [0.67, 1.0, 0.33])
    """
    lengths = np.asarray(pc.utf8_length(texts), np.int64)
    parts, owners = [], []
    for start in range(0, SEGMENT * MOST_SEGMENTS, SEGMENT):
        rows = np.flatnonzero(lengths > start) if start else np.arange(len(texts))
        if not len(rows):
            break
        parts.append(pc.utf8_slice_codeunits(texts.take(pa.array(rows)), start, start + SEGMENT))
        owners.append(rows)
    joined = pa.concat_arrays(parts) if parts else texts
    owner = np.concatenate(owners) if owners else np.empty(0, np.int64)
    sizes = np.maximum(np.asarray(pc.utf8_length(joined), np.float64), 1)
    return joined, owner, sizes / np.bincount(owner, sizes, len(texts))[owner]


def traits(texts: pa.LargeStringArray, known: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Simple traits of each text, shape (n, 13), float32: length, kinds of characters, runs, repetition, familiarity.

    ``known``, shape (n,), is the share of its n-grams that the rater knows, which falls where a text is garbled.
    """
    S = measure(texts)
    characters, words = np.maximum(S[:, 0], 1), np.maximum(S[:, 1], 1)
    shares = [S[:, _AT[name]] / characters for name in ("letters", "digits", "punctuation", "spaces")]
    broken = S[:, _AT["control"]] + S[:, _AT["replacement"]] + S[:, _AT["mojibake"]]
    return np.stack(
        [
            np.log(characters),
            np.log(characters / words),
            *shares,
            S[:, _AT["capitals"]] / np.maximum(S[:, _AT["letters"]], 1),
            np.log1p(broken),
            S[:, _AT["tags"]] / words,
            np.log1p(S[:, _AT["longest_run"]]),
            (S[:, _AT["ends_open"]] > 0).astype(np.float32),
            S[:, _AT["distinct_words"]] / np.minimum(words, 64),
            known,
        ],
        axis=1,
    ).astype(np.float32)


def _grams(texts: pa.LargeStringArray, terms: Terms) -> tuple[Sparse, npt.NDArray[np.float32]]:
    """The weights of the known n-grams of each text, (n, m), and its traits."""
    # an empty text at the end, since the length of the last row is summed in an order of its own
    counts = count_ngrams(pa.concat_arrays([texts, pa.array([""], pa.large_string())]))
    weights, counts = weigh(counts, terms)[:-1], counts[:-1]
    known = np.diff(weights.indptr) / np.maximum(np.diff(counts.indptr), 1)
    return weights, traits(texts, known.astype(np.float32))


@dataclass(frozen=True)
class Rater:
    """Rates texts: a number each, of which only differences mean anything.

    Attributes
    ----------
    buckets, idf
        The n-grams that it knows and their weights; see :class:`~dross.signals.ngrams.Terms`.
    centre, spread
        Of the traits among the texts it learnt from, shape (13,).
    weights
        Of the n-grams, then of the traits, shape (m + 13,), float64.
    facts
        What it learnt from and how well it tells new pairs; plain JSON values.
    """

    buckets: npt.NDArray[np.int32]
    idf: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]
    weights: Floats
    facts: dict[str, Any] = field(default_factory=dict)

    def rate(self, texts: pa.LargeStringArray) -> Floats:
        """The rating of each text, shape (n,), float64; higher is better.

        It hangs on the text alone, so that a corpus larger than memory is rated batch by batch, in any batches. A text
        of more than 2,000 characters has the mean rating of its segments, weighted by their length.
        """
        out = np.empty(len(texts))
        for start, stop in pieces(texts):
            out[start:stop] = self.described(texts.slice(start, stop - start)) @ self.weights
        return out

    def described(self, texts: pa.LargeStringArray) -> Sparse:
        """What is read of each text, a sparse matrix (n, m + 13): the mean over its segments."""
        from scipy.sparse import csr_matrix, hstack

        parts, owner, share = segments(texts)
        grams, plain = _grams(parts, Terms(self.buckets, self.idf))
        away = np.clip((plain - self.centre) / self.spread, -_FURTHEST, _FURTHEST) / np.sqrt(_TRAITS)
        both = hstack([grams, csr_matrix(away)], format="csr").astype(np.float64)
        mean = csr_matrix((share, (owner, np.arange(len(parts)))), shape=(len(texts), len(parts)))
        return mean @ both

    def save(self, folder: Path) -> None:
        """Write it as a folder of arrays and JSON that appears at once."""
        write_value(folder, self)

    @classmethod
    def load(cls, folder: Path) -> Rater:
        """Read back what :meth:`save` wrote; DrossError where it is damaged or absent."""
        found = read_value(folder, cls)
        assert isinstance(found, Rater)
        if found.weights is None or len(found.weights) != len(found.buckets) + _TRAITS:
            raise DrossError("this folder holds no rater", where=str(folder), fix="name one that a rater was saved in")
        return found


def fit_rater(pairs: Pairs, seed: int = 0) -> Rater:
    """Learn to rate from pairs.

    The penalty is the one under which pairs that were left out (with all pairs of their texts, where that can be) are
    likeliest; ``facts`` holds the accuracy and AUC on those. O(n-grams of the texts) for each step of the fit.

    >>> good, bad = [f"a clear account of {i}" for i in range(20)], [f"CLICK HERE {i} !!!" for i in range(20)]
    >>> rater = fit_rater(Pairs.of(good, bad, np.ones(20)))
    >>> np.diff(rater.rate(pa.array(["CLICK HERE now !!!", "a clear account of it"], pa.large_string())))[0] > 0
    np.True_
    """
    judged = int((pairs.chance != 0.5).sum())
    if judged < FEWEST:
        raise DrossError(f"a rater is learnt from {FEWEST} pairs or more, and {judged} have a better text")
    parts = segments(pairs.texts)[0]
    terms = choose_terms(count_ngrams(parts), MOST_TERMS, least=2 if len(parts) > 100 else 1)
    plain = _grams(parts, terms)[1]
    spread = np.maximum(plain.std(axis=0), 1e-6)
    blank = Rater(terms.buckets, terms.idf, plain.mean(axis=0), spread, np.zeros(len(terms.idf) + _TRAITS))
    X = blank.described(pairs.texts)
    Z = (X[pairs.sides[:, 0]] - X[pairs.sides[:, 1]]).tocsr()
    fold, apart = parted(pairs.sides, len(pairs.texts), FOLDS, seed)
    left_out = np.zeros((len(STRENGTHS), len(pairs)))
    for f in range(FOLDS):
        rest, out, w = fold != f, fold == f, None
        for i, strength in enumerate(STRENGTHS):
            w = bradley_terry(Z[rest], pairs.chance[rest], strength, w)
            left_out[i, out] = Z[out] @ w
    best = int(np.argmin(np.mean(np.logaddexp(0, left_out) - pairs.chance * left_out, axis=1)))
    w = None
    for strength in STRENGTHS[: best + 1]:
        w = bradley_terry(Z, pairs.chance, strength, w)
    assert w is not None
    clear = pairs.chance != 0.5
    facts: dict[str, Any] = {"pairs": len(pairs), "texts": len(pairs.texts), "strength": STRENGTHS[best]}
    facts |= {"held_out_texts_are_new": apart}
    facts |= agreement((left_out[best] * np.sign(pairs.chance - 0.5))[clear])
    return Rater(blank.buckets, blank.idf, blank.centre, blank.spread, w, facts)
