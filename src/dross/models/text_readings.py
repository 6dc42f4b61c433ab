"""Readings of texts: the same text by its words, its meaning, its opening, its closing, its form, and all together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.errors import DrossError
from dross.models.directions import main_directions
from dross.models.text_pairs import stand_ins
from dross.signals.embedding import sentence_model
from dross.signals.ngrams import SEPARATOR, choose_terms, count_ngrams, weigh
from dross.signals.text_projection import fit_projection, project

Vectors = npt.NDArray[np.float32]

CLASSICAL = "auto"
DIMENSIONS = 127
MOST_FITTED = 20_000
"""Texts that directions are taken from."""
EDGE = (3, 30)
"""Least and most words of an opening or closing, which is else a third of the text."""
_SHAPES = ((re.compile(r"[^\W\d_A-Z]+(?:_[^\W\d_A-Z]+)*"), "a"), (re.compile("[A-Z]+"), "A"), (re.compile(r"\d+"), "0"),
           (re.compile(r"\s+"), " "), (re.compile("a(?: a)+"), "a w"))  # fmt: skip


@dataclass(frozen=True)
class Readings:
    """The texts, and the words of the classes, as each template reads them.

    Attributes
    ----------
    templates
        By name: a matrix of the texts (n, d) and one of the classes' words (k, d), both sparse or both dense.
    all
        Words and form side by side: a sparse matrix (n, m).
    words
        The words of each class.
    """

    templates: dict[str, tuple[Any, Any]]
    all: Any
    words: list[str]


def form(text: str) -> str:
    """A text's form alone: letters become a or A, numbers 0, runs of words a w, the rest stays.

    >>> form("The Fox, aged 12, ran far away.")
    '^Aa Aa, a 0, a w.$'
    """
    for pattern, mark in _SHAPES:
        text = pattern.sub(mark, text)
    return f"^{text}$"


def edge(text: str, *, last: bool) -> str:
    """The first third of a text, or the last: at least 3 words and at most 30.

    >>> edge("one two three four", last=False), edge("one two three four", last=True)
    ('one two three', 'two three four')
    """
    words = text.split()
    count = min(EDGE[1], max(EDGE[0], -(-len(words) // 3)))
    return " ".join(words[-count:] if last else words[:count])


def read_texts(
    texts: pa.LargeStringArray, words: list[str], model: str, templates: tuple[str, ...], seed: int
) -> Readings:
    """Read the texts, and the words of the classes, in every way."""
    from scipy.sparse import csr_matrix, hstack

    plain = [text.replace(SEPARATOR, "\n") for text in texts.to_pylist()]
    sample = np.sort(np.random.default_rng(seed).permutation(len(plain))[:MOST_FITTED])
    asked = pa.array(words, pa.large_string())
    counts = count_ngrams(texts)
    terms = choose_terms(counts, least=2 if len(plain) > 50 else 1)
    grams, said = weigh(counts, terms), weigh(count_ngrams(asked), terms)
    found: dict[str, tuple[Any, Any]] = {"words": (grams, said)}
    openings, closings = ([edge(text, last=last) for text in plain] for last in (False, True))
    for name, cut in {"meaning": plain, "opening": openings, "closing": closings}.items():
        here = pa.array(cut, pa.large_string())
        fit = fit_projection(here.take(pa.array(sample)), DIMENSIONS, seed)
        X = project(here, fit)
        found[name] = X, stand_ins(X, project(asked, fit))
    shapes = forms(plain, sample)
    near = np.argsort(-np.asarray((grams @ said.T).todense()), axis=0, kind="stable")[:10]
    shaped = csr_matrix(np.stack([np.asarray(shapes[column].mean(axis=0)).ravel() for column in near.T]))
    found["form"] = shapes, shaped
    both, both_said = hstack([grams, shapes], format="csr"), hstack([said, shaped], format="csr")
    directions, _ = main_directions(both[sample], DIMENSIONS, seed=seed)
    joint = _unit(both @ directions)
    found["learnt together"] = joint, stand_ins(joint, _unit(both_said @ directions))
    if model != CLASSICAL:
        found |= modelled(plain, words, model, templates)
    return Readings(found, both, words)


def forms(texts: list[str], sample: npt.NDArray[np.int64]) -> Any:
    """TF-IDF weights of one to four characters in a row of the forms, a sparse matrix (n, m), float32."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    shapes = [form(text[:2000]) for text in texts]
    counted = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), lowercase=False, sublinear_tf=True, dtype=np.float32)
    counted.fit([shapes[i] for i in sample])
    return counted.transform(shapes).tocsr()


def modelled(texts: list[str], words: list[str], model: str, templates: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    """What a sentence-transformers model makes of the texts in each template."""
    encoder = sentence_model(model)
    found = {}
    for template in templates:
        if "{}" not in template:
            raise DrossError(f"the template {template!r} has no place for the text", fix="put {} in it")
        told = [template.replace("{}", text) for text in (*texts, *words)]
        vectors = encoder.encode(told, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        vectors = np.asarray(vectors, np.float32)
        found[template] = vectors[: len(texts)], stand_ins(vectors[: len(texts)], vectors[len(texts) :])
    return found


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)
