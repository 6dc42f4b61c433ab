"""Labelling instructions: per class the few examples that retrieve it best, and a sheet of them for annotators."""

from __future__ import annotations

import base64
import html
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Codes, Dataset
from dross.core.errors import DrossError, MissingExtra
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable, Rows
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.io.images import images
from dross.models.learner import batches
from dross.signals.ngrams import texts_of
from dross.signals.principal import Principal

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

SAMPLE, CANDIDATES = 3000, 60
"""Labelled rows that candidates are judged on, and candidates per class."""
LEAST_PER_CLASS = 4
NEAR_MISSES, WORDS, LONGEST, WIDEST = 3, 8, 600, 160
"""Counterexamples and telling words per class; characters of a text and pixels of a picture that are shown."""
_SHARPNESS = tuple(float(s) for s in 2.0 ** np.arange(0, 8.1, 0.5))


# ---- the mathematics ---------------------------------------------------------------------------------------------


def average_precision(scores: Values, relevant: npt.NDArray[np.bool_]) -> Values:
    """Average precision of rankings by descending score, one per row of ``scores`` (m, n); 0 where none is relevant.

    ``relevant`` is (n,) or (m, n); scores of -inf are left out of the ranking. O(m n log n).

    >>> average_precision(np.array([[0.9, 0.8, 0.7]]), np.array([True, False, True])).round(3).tolist()
    [0.833]
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    hit = np.take_along_axis(np.broadcast_to(relevant, scores.shape) & np.isfinite(scores), order, axis=1)
    precision = hit.cumsum(axis=1) / np.arange(1, scores.shape[1] + 1)
    return np.asarray((precision * hit).sum(axis=1) / np.maximum(hit.sum(axis=1), 1))


def unit(X: npt.NDArray[Any]) -> Vectors:
    """Rows of length one, float32; a row of zeros stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).round(2).tolist()
    [[0.6..., 0.8...], [0.0, 0.0]]
    """
    return np.asarray(X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12), np.float32)


def medoids(X: Vectors, count: int, seed: int) -> Rows:
    """Rows nearest to the centres of a k-means clustering, ascending: diverse candidates, at most ``count``."""
    from sklearn.cluster import KMeans

    if len(X) <= count:
        return np.arange(len(X))
    centres = KMeans(count, n_init=1, max_iter=30, random_state=seed).fit(X).cluster_centers_
    return np.unique((centres.astype(np.float32) @ X.T - 0.5 * np.square(X).sum(axis=1)).argmax(axis=1))


def choose(similarity: Values, where: Rows, relevant: npt.NDArray[np.bool_], most: int) -> tuple[Rows, float]:
    """The candidates whose pooled retrieval has the best average precision: greedy, then swaps until none helps.

    ``similarity`` is (m, n), candidates by rows judged on; ``where`` says at which of the n rows a candidate itself
    stands. A row is scored by its most similar exemplar; exemplars do not count as retrieved. Returns positions among
    the m and the average precision.

    >>> S = np.array([[1.0, 0.9, 0.1, 0.2], [0.1, 0.3, 0.2, 1.0]])
    >>> choose(S, np.array([0, 3]), np.array([True, True, False, True]), 1)[0].tolist()
    [0]
    """
    m = len(similarity)
    taken: list[int] = []
    reached = -1.0

    def extended(rest: list[int]) -> Values:
        pooled = similarity[rest].max(axis=0) if rest else np.full(similarity.shape[1], -1e9)
        scores = np.maximum(pooled, similarity)
        scores[np.arange(m), where] = -np.inf
        scores[:, where[rest]] = -np.inf
        found = average_precision(scores, relevant)
        found[rest] = -1
        return found

    while len(taken) < min(most, m):
        found = extended(taken)
        if found.max() <= reached + 1e-6:
            break
        taken.append(int(found.argmax()))
        reached = float(found.max())
    for _ in range(most):  # each pass tries to replace every exemplar once
        before = reached
        for i in range(len(taken)):
            rest = taken[:i] + taken[i + 1 :]
            found = extended(rest)
            if found.max() > reached + 1e-6:
                taken, reached = [*rest[:i], int(found.argmax()), *rest[i:]], float(found.max())
        if reached == before:
            break
    return np.array(taken, np.int64), reached


def class_scores(X: Vectors, exemplars: list[Rows]) -> tuple[Vectors, npt.NDArray[np.int32]]:
    """The similarity of each row to each class's nearest exemplar, (n, k), and which exemplar of all that is, (n, k).

    ``X`` has rows of unit length.
    """
    scores = np.empty((len(X), len(exemplars)), np.float32)
    nearest = np.empty(scores.shape, np.int32)
    first = np.cumsum([0, *map(len, exemplars)])
    for rows in batches(np.arange(len(X))):
        for c, chosen in enumerate(exemplars):
            like = X[rows] @ X[chosen].T
            best = like.argmax(axis=1)
            scores[rows, c] = like[np.arange(len(rows)), best]
            nearest[rows, c] = first[c] + best
    return scores, nearest


def sharpness(scores: Vectors, codes: Codes) -> float:
    """The factor that makes a softmax of similarities the likeliest for known classes, from a grid."""
    from scipy.special import logsumexp

    loss = {
        s: float((logsumexp(s * scores, axis=1) - s * scores[np.arange(len(codes)), codes]).mean()) for s in _SHARPNESS
    }
    return min(loss, key=loss.__getitem__)


def telling_words(texts: list[str], codes: Codes, k: int) -> list[list[str]]:
    """Per class the words that most set its texts apart: log-odds with an informative prior over its deviation.

    Monroe, Colaresi, Quinn, "Fightin' Words", 2008, on the number of texts that hold a word.

    >>> telling_words(["red fox", "red hen", "blue fox", "blue hen"], np.array([0, 0, 1, 1]), 2)
    [['red'], ['blue']]
    """
    counts: list[Counter[str]] = [Counter() for _ in range(k)]
    for text, code in zip(texts, codes.tolist(), strict=True):
        counts[code].update(set(re.findall(r"\w[\w'-]+", text.lower())))
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    words = sorted(word for word, count in total.items() if count >= 2)
    if not words:
        return [[] for _ in range(k)]
    table = np.array([[one[word] for word in words] for one in counts], np.float64)
    prior = table.sum(axis=0) * (10 / table.sum())
    inside, outside = table + prior, table.sum(axis=0) - table + prior
    odds = np.log(inside / np.maximum(inside.sum(axis=1, keepdims=True) - inside, 1e-9))
    odds -= np.log(outside / np.maximum(outside.sum(axis=1, keepdims=True) - outside, 1e-9))
    z = odds / np.sqrt(1 / inside + 1 / outside)
    best = np.argsort(-z, axis=1, kind="stable")[:, :WORDS]
    return [[words[w] for w in row if z[c, w] > 0.75] for c, row in enumerate(best)]


# ---- the labeler -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelingInstructions(Labeler):
    """An instruction sheet for annotators, made from labelled rows: a few examples per class, and what is mistaken.

    Chang, Ferencz, and others, "Thinking Like an Annotator: Generation of Dataset Labeling Instructions", 2023: the
    best examples are those with which somebody who knows nothing else would find the class. So they act as a proxy
    annotator (each row gets the class of its most similar example) and are chosen, without training, for the average
    precision of retrieving their class. The paper retrieves with pairs of images and text of a vision-language
    model; here with the embedding of the rows, whatever they are.

    Labelled rows are cut into halves: exemplars come from the first and are judged on it; the precision in the
    summary is measured on the second. All rows get the proxy annotator's class chances.

    Attributes
    ----------
    per_class
        Exemplars per class at most; fewer where another does not help.
    sheet
        A file to write the sheet to, one HTML page with all in it; "" for none.
    seed
        Of the halves and the candidates.
    """

    paper: ClassVar = Paper(
        "Thinking Like an Annotator: Generation of Dataset Labeling Instructions", 2023, "2306.14035"
    )
    alias: ClassVar = "lig"
    needs: ClassVar = (Role.LABEL, Principal)

    per_class: int = 5
    sheet: str = ""
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """The proxy annotator's opinion of every row, and the sheet where one is asked for."""
        if self.per_class < 1:
            raise DrossError(f"per_class must be at least 1, not {self.per_class}")
        k, codes = len(data.classes), data.codes
        counts = np.bincount(codes[codes >= 0], minlength=k)
        if k < 2 or counts.min() < LEAST_PER_CLASS:
            return NotApplicable(f"instructions need two classes of {LEAST_PER_CLASS} labelled rows each")
        X = unit(signals[Principal()])
        fitted, judged = halves(codes, np.random.default_rng(self.seed))
        exemplars = [self._exemplars(X, codes, c, fitted) for c in range(k)]
        scores, nearest = class_scores(X, exemplars)
        held = average_precision(scores[judged].T.astype(np.float64), codes[judged] == np.arange(k)[:, None])
        factor = sharpness(scores[judged], codes[judged])
        powers = np.exp(factor * (scores - scores.max(axis=1, keepdims=True)))
        probs = np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
        best = scores.argmax(axis=1)
        misses = near_misses(scores, codes, k)
        keys = [data.key(int(row)) for chosen in exemplars for row in chosen]
        summary: dict[str, Any] = {
            "exemplars": {str(data.classes[c]): [int(row) for row in chosen] for c, chosen in enumerate(exemplars)},
            "mistaken_for": {str(data.classes[c]): [int(row) for row in rows] for c, rows in enumerate(misses)},
            "retrieval_precision": {str(data.classes[c]): round(float(ap), 4) for c, ap in enumerate(held)},
            "mean_average_precision": round(float(held.mean()), 4),
            "accuracy": round(float((best[judged] == codes[judged]).mean()), 4),
            "judged_on": len(judged),
        }
        if self.sheet:
            write_sheet(Path(self.sheet), data, exemplars, misses, held)
            summary["sheet"] = self.sheet
        return Labels(list(data.classes), probs, nearest[np.arange(len(X)), best], tuple(keys), summary)

    def _exemplars(self, X: Vectors, codes: Codes, c: int, fitted: Rows) -> Rows:
        own = fitted[codes[fitted] == c]
        candidates = own[medoids(X[own], CANDIDATES, self.seed)]
        rest = np.setdiff1d(fitted, candidates)
        rng = np.random.default_rng([self.seed, c])
        room = max(0, SAMPLE - len(candidates))
        rest = rest if len(rest) <= room else rng.choice(rest, room, replace=False)
        rows = np.concatenate([candidates, rest])  # candidates stand first, so each is its own position
        similarity = np.asarray(X[candidates] @ X[rows].T, np.float64)
        chosen, _ = choose(similarity, np.arange(len(candidates)), codes[rows] == c, self.per_class)
        return np.asarray(candidates[chosen], np.int64)


def halves(codes: Codes, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Labelled rows in two halves with each class in both, both ascending."""
    order = rng.permutation(len(codes))
    order = order[codes[order] >= 0]
    order = order[np.argsort(codes[order], kind="stable")]
    first, second = np.sort(order[::2]), np.sort(order[1::2])
    return first.astype(np.int64), second.astype(np.int64)


def near_misses(scores: Vectors, codes: Codes, k: int) -> list[Rows]:
    """Per class the labelled rows of others that are more like its exemplars than like those of their own."""
    found = []
    for c in range(k):
        others = np.flatnonzero((codes >= 0) & (codes != c))
        wrong = others[scores[others, c] > scores[others, codes[others]]]
        found.append(np.asarray(wrong[np.argsort(-scores[wrong, c], kind="stable")[:NEAR_MISSES]], np.int64))
    return found


# ---- the sheet ---------------------------------------------------------------------------------------------------


def write_sheet(path: Path, data: Dataset, exemplars: list[Rows], misses: list[Rows], precision: Values) -> None:
    """Write the instruction sheet: one HTML page, pictures inside, everything from the data escaped."""
    words: list[list[str]] = [[] for _ in exemplars]
    if data.has(Role.TEXT):
        rows = np.flatnonzero(data.codes >= 0)
        texts = [text.replace("\x1f", " ") for text in texts_of(data).take(pa.array(rows)).to_pylist()]
        words = telling_words(texts, data.codes[rows], len(exemplars))
    parts = [_HEAD]
    for c, chosen in enumerate(exemplars):
        parts.append(f"<section><h2><bdi>{escaped(data.classes[c])}</bdi></h2>")
        if words[c]:
            parts.append(f"<p>Words that tell: {', '.join(f'<bdi>{escaped(w)}</bdi>' for w in words[c])}</p>")
        parts += ['<div class="rows">', *_figures(data, chosen, named=False), "</div>"]
        if len(misses[c]):
            parts.append("<h3>Looks like it, but is not</h3>")
            parts += ['<div class="rows misses">', *_figures(data, misses[c], named=True), "</div>"]
        parts.append(
            f"<p class=note>These examples find the class with an average precision of {precision[c]:.0%}.</p>"
        )
        parts.append("</section>")
    try:
        path.write_text("\n".join([*parts, "</main></body></html>\n"]), encoding="utf-8")
    except OSError as error:
        raise DrossError("the sheet cannot be written", where=str(path), fix=str(error.strerror)) from error


_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Labelling instructions</title><style>
body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1b1b1b;background:#fff}
main{max-width:60rem;margin:auto;padding:1rem}
.rows{display:flex;flex-wrap:wrap;gap:.75rem;align-items:flex-start}
figure{margin:0;padding:.5rem;border:1px solid #bbb;border-radius:.4rem;
max-width:18rem;overflow-wrap:anywhere}.misses figure{border-style:dashed}img{min-width:96px;image-rendering:pixelated}
figcaption,.note{font-size:.85rem;color:#444}section{border-top:1px solid #ddd}</style></head><body><main>
<h1>Labelling instructions</h1><p>Each class by its most typical different examples.</p>"""


def _figures(data: Dataset, rows: Rows, *, named: bool) -> Iterator[str]:
    pictures = list(images(data, rows)) if data.has(Role.IMAGE) else [None] * len(rows)
    for row, pixels in zip(rows.tolist(), pictures, strict=True):
        shown = f'<img alt="" src="{picture(pixels)}">' if pixels is not None else ""
        caption = f"it is <b><bdi>{escaped(data.classes[data.codes[row]])}</bdi></b>; " if named else ""
        yield (
            f'<figure>{shown}<div dir="auto">{_text(data, row)}</div>'
            f"<figcaption>{caption}row <bdi>{escaped(data.key(row))}</bdi></figcaption></figure>"
        )


def _text(data: Dataset, row: int) -> str:
    columns = [*data.roles.get(Role.TEXT, ()), *data.roles.get(Role.FEATURES, ())][:8]
    cells = [(name, data.table.column(name)[row].as_py()) for name in columns]
    if len(cells) == 1 or data.has(Role.TEXT):
        return "<br>".join(escaped(value) for _, value in cells if value is not None)
    return "<br>".join(f"{escaped(name)}: {escaped(value)}" for name, value in cells)


def escaped(value: Any) -> str:
    """A value as inert text for a page, cut at 600 characters; control characters are dropped.

    >>> escaped("<b>" + chr(7))
    '&lt;b&gt;'
    """
    text = str(value)
    text = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return html.escape("".join(c for c in text if c.isprintable() or c in "\n\t"))


def picture(pixels: npt.NDArray[np.uint8]) -> str:
    """Pixels as a data URI of a PNG of at most 160 a side."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra.of("PIL", "images") from error
    small = Image.fromarray(pixels)
    small.thumbnail((WIDEST, WIDEST))
    out = io.BytesIO()
    small.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
