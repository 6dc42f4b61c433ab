"""Headings: sentences under a known heading teach a classifier that finds such sentences where no heading stands."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.sections import plain, sections, sentences
from dross.signals.ngrams import Terms, choose_terms, count_ngrams, texts_of, weigh

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OUTSIDE, INSIDE, UNKNOWN = 0, 1, -1
"""What the headings say of a sentence: elsewhere in a document that has the section, in it, or nothing."""
LEAST_DOCUMENTS = 10
"""Documents with the section that a classifier needs."""
SHOWN = 20
MOST_TAUGHT = 60_000
"""Sentences that the classifier learns from, about."""
PART = 20_000
CONTEXT = {-2: 0.5, -1: 0.7, 1: 0.7, 2: 0.5}
"""How much the words of the sentences around count."""
LAYOUT_CONTEXT = (-3, -2, -1, 1, 2, 3)
LAYOUT_WEIGHT = 0.3
LITTLE_INDENT = 4


# ---- sentences ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sentences:
    """All sentences of a dataset: the document and the row each stands in, its place there, and what headings say.

    Attributes
    ----------
    texts
        The sentences.
    documents, rows, starts, stops
        Shape (s,), int64. A place is counted in characters from the beginning of the row's text.
    said
        Shape (s,), int64: :data:`INSIDE`, :data:`OUTSIDE` or :data:`UNKNOWN`.
    indents
        How far the line that the sentence begins in is indented, shape (s,).
    """

    texts: list[str]
    documents: Ints
    rows: Ints
    starts: Ints
    stops: Ints
    said: Ints
    indents: Ints


def read(data: Dataset, variants: frozenset[str]) -> Sentences:
    """Find headings and sentences in every document: a row, or the rows of one group in their order."""
    rows_of = _documents(data)
    values = texts_of(data).to_pylist()
    texts: list[str] = []
    table: list[tuple[int, ...]] = []
    for d, rows in enumerate(rows_of):
        joined = "\n".join(values[r] for r in rows)
        edges = np.concatenate([[0], np.cumsum([len(values[r]) + 1 for r in rows])])
        stretches = sections(joined, variants)
        located = any(wanted for _, _, wanted in stretches)
        for a, b, wanted in stretches:
            said = (INSIDE if wanted else OUTSIDE) if located else UNKNOWN
            first, last = np.searchsorted(edges, [a, b - 1], side="right") - 1
            for i in range(int(first), int(last) + 1):
                begin = int(edges[i])
                for x, y in sentences(joined, max(a, begin), min(b, int(edges[i + 1]) - 1)):
                    texts.append(joined[x:y])
                    table.append((d, rows[i], x - begin, y - begin, said, _indent(joined, x)))
    columns = np.array(table, np.int64).reshape(-1, 6).T
    return Sentences(texts, *columns)


def _indent(text: str, at: int) -> int:
    line = text[text.rfind("\n", 0, at) + 1 : at + 1]
    return len(line) - len(line.lstrip())


def _documents(data: Dataset) -> list[list[int]]:
    if not data.has(Role.GROUP):
        return [[i] for i in range(len(data))]
    groups: dict[Any, list[int]] = {}
    for i, value in enumerate(data.column(Role.GROUP).to_pylist()):
        groups.setdefault(("row", i) if value is None else value, []).append(i)
    return list(groups.values())


# ---- the classifier -----------------------------------------------------------------------------------------------


def pick(all_of: Sentences, taught: npt.NDArray[np.bool_], seed: int) -> tuple[Sentences, Ints]:
    """The sentences of the documents with the section, or of as many of these as make :data:`MOST_TAUGHT`; where."""
    documents = np.random.default_rng(seed).permutation(np.unique(all_of.documents[taught]))
    sizes = np.bincount(all_of.documents[taught], minlength=int(all_of.documents.max()) + 1)[documents]
    enough = np.cumsum(sizes) - sizes < MOST_TAUGHT
    at = np.flatnonzero(taught & np.isin(all_of.documents, documents[enough]))
    columns = (all_of.documents, all_of.rows, all_of.starts, all_of.stops, all_of.said, all_of.indents)
    return Sentences([all_of.texts[i] for i in at], *(column[at] for column in columns)), at


def layout(text: str, indent: int) -> list[bool]:
    """What a sentence looks like, whatever its words: its indentation, length, first and last characters.

    >>> sum(layout("Take two.", 0)), len(layout("", 0))
    (4, 17)
    """
    words, first, last = text.count(" ") + 1, text[:1], text[-1:]
    return [
        indent == 0,
        0 < indent <= LITTLE_INDENT,
        indent > LITTLE_INDENT,
        words == 1,
        1 < words <= 4,
        4 < words <= 12,
        words > 12,
        first.isupper(),
        first.islower(),
        not first.isalnum(),
        first.isdigit(),
        last in ".!?",
        last == ":",
        ": " in text,
        " : " in text,
        "(" in text,
        any(c.isdigit() for c in text),
    ]


def neighbour(documents: Ints, offset: int) -> Any:
    """The sparse matrix that puts in each sentence's place the one ``offset`` further on in its document, or nothing.

    >>> neighbour(np.array([0, 0, 1]), 1).toarray().tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    from scipy.sparse import csr_array

    n = len(documents)
    at = np.arange(n) + offset
    there = (at >= 0) & (at < n)
    there[there] = documents[at[there]] == documents[there]
    rows = np.flatnonzero(there)
    return csr_array((np.ones(len(rows), np.float32), (rows, at[rows])), shape=(n, n))


def features(all_of: Sentences, part: slice, terms: Terms) -> Any:
    """What the classifier sees of some whole documents' sentences: a sparse matrix (s, f), float32.

    TF-IDF weights of the sentence and of two before and two after it, the layout of three on either side, and in which
    tenth of the document it stands.
    """
    from scipy.sparse import csr_array, hstack

    documents = all_of.documents[part]
    n = len(documents)
    X = weigh(count_ngrams(pa.array(all_of.texts[part], pa.large_string())), terms)
    looks = np.array([layout(*each) for each in zip(all_of.texts[part], all_of.indents[part].tolist(), strict=True)])
    shown = csr_array(np.column_stack([looks, np.ones(n)]).astype(np.float32) * np.float32(LAYOUT_WEIGHT))
    first, last = (np.searchsorted(documents, documents, side=side) for side in ("left", "right"))
    tenth = (10 * (np.arange(n) - first)) // np.maximum(last - first, 1)
    place = csr_array((np.full(n, 0.5, np.float32), (np.arange(n), tenth)), shape=(n, 10))
    blocks = [weight * (neighbour(documents, offset) @ X) for offset, weight in CONTEXT.items()]
    blocks += [neighbour(documents, offset) @ shown for offset in LAYOUT_CONTEXT]
    return hstack([X, shown, place, *blocks], format="csr", dtype=np.float32)


def parts(documents: Ints, size: int) -> list[slice]:
    """Consecutive stretches of whole documents of about ``size`` sentences each.

    >>> parts(np.array([0, 0, 1, 2]), 2)
    [slice(0, 2, None), slice(2, 4, None)]
    """
    edges, n = [0], len(documents)
    while edges[-1] < n:
        last = documents[min(edges[-1] + size, n) - 1]
        edges.append(int(np.searchsorted(documents, last, side="right")))
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def learn(X: Any, inside: npt.NDArray[np.bool_], documents: Ints, folds: int) -> tuple[Any, Floats, Floats]:
    """A linear support vector machine and the logistic curve that turns its scores into chances.

    Returns the machine, the curve's slope and offset, shape (2,), fitted to scores of documents left out, and the
    chances of the training sentences so left out, shape (s,).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.svm import LinearSVC

    def machine() -> Any:
        return LinearSVC(C=0.5, random_state=0)

    scores = np.zeros(len(inside))
    for kept, left in GroupKFold(folds).split(X, inside, documents):
        scores[left] = machine().fit(X[kept], inside[kept]).decision_function(X[left])
    curve = LogisticRegression(C=1e6).fit(scores[:, None], inside)
    line = np.array([curve.coef_[0, 0], curve.intercept_[0]])
    return machine().fit(X, inside), line, chances(scores, line)


def chances(scores: Floats, line: Floats) -> Floats:
    """The logistic curve at some scores.

    >>> chances(np.array([0.0, 1.0]), np.array([2.0, -2.0])).round(3).tolist()
    [0.119, 0.5]
    """
    from scipy.special import expit

    return np.asarray(expit(line[0] * scores + line[1]))


def f1(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """The harmonic mean of precision and recall.

    >>> f1(np.array([True, True]), np.array([True, False]))
    0.666...
    """
    return float(2 * (found & truth).sum() / max(1, found.sum() + truth.sum()))


# ---- the labeler --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Headings(Labeler):
    """Which rows hold sentences of a kind (a treatment plan, a return value), learnt from documents with headings.

    Poddar, Dandala, Devarakonda, "Training Models to Extract Treatment Plans from Clinical Notes Using Contents of
    Sections with Headings", 2019: in some documents a heading marks the section. Variants of the heading and rules for
    where a section ends locate it; its sentences become noisy positive examples, the other sentences of the same
    documents negative ones. A linear support vector machine learns from the sentences alone, without the heading, and
    so works on documents that have none. Documents where no such heading stands teach nothing: they may hold such
    sentences.

    A row is a document, or, where a column has the role group, the rows of one group in their order are one. A row
    under such a heading is labelled so; another by its likeliest sentence. :meth:`passages` gives the sentences.

    Attributes
    ----------
    section
        The name of the class.
    variants
        The headings that mark the section, in any case, numbering and markup.
    folds
        Parts of the documents that are left out in turn, to turn scores into chances and to measure.
    seed
        Which documents teach, where there are more than are needed.
    """

    paper: ClassVar = Paper(
        "Training Models to Extract Treatment Plans from Clinical Notes Using Contents of Sections with Headings",
        2019,
        "1906.11930",
    )
    alias: ClassVar = "plan-headings"
    needs: ClassVar = (Role.TEXT,)

    section: str = "plan"
    variants: tuple[str, ...] = (
        "plan", "plans", "treatment plan", "plan of treatment", "plan of care", "care plan", "plan and recommendations",
        "recommendations and plan", "follow up plan", "impression and plan", "recommendation", "recommendations",
    )  # fmt: skip
    folds: int = 3
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Label every row that has a sentence; others abstain. The summary shows the surest passages found."""
        found = self._sentences(data)
        if isinstance(found, NotApplicable):
            return found
        all_of, chance, summary = found
        told = np.where(all_of.said == INSIDE, 1.0, chance)
        best = np.full(len(data), -1.0)
        np.maximum.at(best, all_of.rows, told)
        headed = np.zeros(len(data), bool)
        headed[all_of.rows[all_of.said == INSIDE]] = True
        known = best >= 0
        probs = np.where(known[:, None], np.stack([1 - best, best], axis=1), np.nan).astype(np.float32)
        origin = np.where(known, np.where(headed, 0, 1), -1).astype(np.int32)
        return Labels(["other", self.section], probs, origin, ("heading", "classifier"), summary)

    def passages(self, data: Dataset) -> pa.Table:
        """Every sentence with its row, its place in the row's text, what the heading says, and its chance.

        Columns: row, start, stop, text, headed (null where no heading says), probability; in order of the text. The
        probability of a sentence that was learnt from comes from a classifier that had not seen its document.
        """
        found = self._sentences(data)
        if isinstance(found, NotApplicable):
            raise DrossError(found.reason, fix="name the headings of your documents: variants=(...)")
        all_of, chance, _ = found
        headed = pa.array(all_of.said == INSIDE, mask=all_of.said == UNKNOWN)
        return pa.table(
            {
                "row": all_of.rows,
                "start": all_of.starts,
                "stop": all_of.stops,
                "text": pa.array(all_of.texts, pa.large_string()),
                "headed": headed,
                "probability": chance.astype(np.float32),
            }
        )

    def _sentences(self, data: Dataset) -> tuple[Sentences, Floats, dict[str, Any]] | NotApplicable:
        if self.folds < 2:
            raise DrossError(f"{self.folds} folds cannot leave one out", fix="folds=2 or more")
        wanted = frozenset(plain(v) for v in self.variants) - {""}
        all_of = read(data, wanted)
        taught = all_of.said != UNKNOWN
        inside = all_of.said[taught] == INSIDE
        located = len(np.unique(all_of.documents[taught]))
        if located < max(LEAST_DOCUMENTS, self.folds):
            return NotApplicable(
                f"{located} documents have a section headed {' or '.join(sorted(wanted)[:3])}; "
                f"{max(LEAST_DOCUMENTS, self.folds)} are needed to learn from"
            )
        if inside.all() or not inside.any():
            return NotApplicable("the documents with the section hold no other sentences to tell it from")
        lessons, places = pick(all_of, taught, self.seed)
        inside = lessons.said == INSIDE
        terms = choose_terms(count_ngrams(pa.array(lessons.texts, pa.large_string())), least=2)
        X = features(lessons, slice(None), terms)
        model, line, left_out = learn(X, inside, lessons.documents, self.folds)
        scores = [model.decision_function(features(all_of, part, terms)) for part in parts(all_of.documents, PART)]
        chance = chances(np.concatenate(scores), line)
        chance[places] = left_out
        measured = {"sentences_learnt_from": len(inside), "f1_on_documents_left_out": f1(left_out >= 0.5, inside)}
        return all_of, chance, {**self._summary(all_of, chance), **measured}

    def _summary(self, all_of: Sentences, chance: Floats) -> dict[str, Any]:
        free = np.flatnonzero(all_of.said == UNKNOWN)
        surest = free[np.argsort(-chance[free], kind="stable")[:SHOWN]]
        return {
            "documents": int(all_of.documents.max(initial=-1)) + 1,
            "documents_with_section": len(np.unique(all_of.documents[all_of.said == INSIDE])),
            "sentences": len(all_of.texts),
            "sentences_in_section": int((all_of.said == INSIDE).sum()),
            "found_without_heading": int((chance[free] >= 0.5).sum()),
            "passages": [
                {
                    "row": int(all_of.rows[i]),
                    "start": int(all_of.starts[i]),
                    "stop": int(all_of.stops[i]),
                    "probability": round(float(chance[i]), 4),
                }
                for i in surest
                if chance[i] >= 0.5
            ],
        }
