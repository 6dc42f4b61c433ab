"""Pair alignment, as LAION-5B has it: pairs whose sides agree are kept, and all are tagged and can be searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled
from dross.models.canonical_directions import canonical_maps
from dross.models.pair_index import KEY, ROW, write_index
from dross.models.two_sides import Sides, Vectors, sideless, sides_of
from dross.signals import image_statistics, text_statistics
from dross.signals.embedding import CLASSICAL
from dross.signals.languages import LANGUAGES

Scores = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
SIMILARITY, KEPT = "similarity", "kept"
_SHIFTS = 5
"""Wrong partners that each pair is compared with."""
_FOLDS = 5
_LEAST = 20


# ---- the mathematics ---------------------------------------------------------------------------------------------


def share_of_wrong(scores: Scores, wrong: Scores) -> float:
    """How many of the pairs are wrong ones, from the scores of pairs that are known to be: an upper estimate.

    Storey, "A Direct Approach to False Discovery Rates", 2002, with lambda at a half: below the median of the wrong
    scores lie half of the wrong pairs and hardly a right one.

    >>> share_of_wrong(np.array([0.9, 0.9, 0.9, 0.1, 0.3]), np.array([0.1, 0.3]))
    0.4
    """
    return min(1.0, 2 * float((scores < np.median(wrong)).mean())) if len(scores) else 1.0


def purities(scores: Scores, wrong: Scores) -> Scores:
    """The share of right pairs to expect among those that score at least as much as each one does, shape (n,).

    One less the expected number of wrong pairs over the number of pairs, at each score as the threshold. ``wrong``,
    (m,), are scores of pairs put together at random. O((n + m) log m).

    >>> purities(np.array([0.9, 0.9, 0.9, 0.1, 0.3]), np.array([0.1, 0.3, 0.1, 0.3])).round(2).tolist()
    [0.87, 0.87, 0.87, 0.6, 0.7]
    """
    n, ordered, null = len(scores), np.sort(scores), np.sort(wrong)
    kept = n - np.searchsorted(ordered, scores)
    passed = (1 + len(null) - np.searchsorted(null, scores)) / (1 + len(null))
    return np.asarray(np.clip(1 - share_of_wrong(scores, wrong) * np.minimum(passed, 1) * n / kept, 0, 1))


def threshold_for(scores: Scores, wrong: Scores, purity: float) -> float:
    """The lowest score from which on at least that share of the pairs is expected to be right; inf where none is.

    >>> threshold_for(np.array([0.9, 0.9, 0.9, 0.1, 0.3]), np.array([0.1, 0.3, 0.1, 0.3]), 0.8)
    0.9
    """
    good = scores[purities(scores, wrong) >= purity]
    return float(good.min()) if len(good) else float("inf")


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairAlignment(Selector):
    """The pairs whose two sides agree, those that agree best first.

    Schuhmann et al., "LAION-5B: An open large-scale dataset for training next generation image-text models", 2022: the
    cosine of both sides' embeddings must reach a threshold (0.28 for their CLIP), and what is published has an index of
    nearest neighbours and tags to make subsets by. Here the threshold follows from the purity asked for: pairs put
    together at random show what wrong pairs score, and what the data score beyond that is right. Where most of the
    wrong pairs are not random but nearly right, purity is overrated; say the threshold yourself then.

    Two texts, or two columns of vectors of equal width (such as those of a CLIP), lie in one space. For an image and
    its text, content and its label, or vectors of unequal widths, a common space is learnt from the pairs themselves,
    each pair being scored by what the others teach.

    Attributes
    ----------
    purity
        The share of right pairs to expect among those kept.
    threshold
        The cosine from which on pairs are kept; None chooses it for the purity.
    first, second
        The columns that hold the sides; empty takes the roles.
    model
        What embeds text; see :class:`~dross.signals.embedding.Embedding`.
    folder
        A new folder for the index of all pairs (:func:`dross.models.pair_index.read_index` reads it): nearest
        neighbours by either side, and tags; empty writes none.
    tags
        Columns that become tags, such as what a detector of watermarks or unsafe content said. Always there are the
        similarity, whether a pair is kept, the language and the number of words of texts, and the size of images.
    dimensions, ridge
        Of a common space that is learnt.
    seed
        Of the random pairs.
    """

    paper: ClassVar = Paper(
        "LAION-5B: An open large-scale dataset for training next generation image-text models", 2022, "2210.08402"
    )
    alias: ClassVar = "laion-5b"

    purity: float = 0.9
    threshold: float | None = None
    first: str = ""
    second: str = ""
    model: str = CLASSICAL
    folder: str = ""
    tags: tuple[str, ...] = ()
    dimensions: int = 64
    ridge: float = 0.1
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where rows are pairs."""
        return super().applies(data) or sideless(data, self.first, self.second)

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Score the pairs, choose the threshold, write the index where asked for."""
        self._check(data)
        missing = self.applies(data)
        if missing is not None:
            return missing
        sides = sides_of(data, signals, first=self.first, second=self.second, model=self.model)
        order = shuffled(data, self.seed)
        order = order[sides.known[order]]
        if len(order) < _LEAST or len(np.unique(sides.content[order])) < 2:
            return NotApplicable(f"{len(order)} pairs: {_LEAST} with different second sides are needed")
        scores, wrong, common = self._scored(sides.take(order))
        found = threshold_for(scores, wrong, self.purity) if self.threshold is None else self.threshold
        keep = np.flatnonzero(scores >= found)
        keep = keep[np.argsort(-scores[keep], kind="stable")]
        expected = purities(scores, wrong)[keep[-1]] if len(keep) else 0.0
        summary: dict[str, Any] = {
            "sides": list(sides.names),
            "space": "given" if sides.alike else "learnt",
            "pairs": len(order),
            "kept": len(keep),
            "threshold": round(found, 6) if np.isfinite(found) else None,
            "expected_purity": round(float(expected), 4),
            "expected_share_of_wrong_pairs": round(share_of_wrong(scores, wrong), 4),
        }
        if self.folder:
            tags = self._tagged(data, sides, order, scores, found)
            place = np.argsort(order)
            write_index(self.folder, tags.take(pa.array(place)), common[0][place], common[1][place], sides.names)
            summary["index"] = {"folder": self.folder, "tags": tags.column_names}
        return Selection(order[keep], None, summary)

    def _scored(self, sides: Sides) -> tuple[Scores, Scores, tuple[Vectors, Vectors]]:
        """The cosine of each pair, those of pairs put together at random, and both sides in the common space."""
        if sides.alike:
            own, wrong = _cosines(sides.first, sides.second, sides)
            return own, wrong, (sides.first, sides.second)
        n = len(sides.known)
        fold, own, null = np.arange(n) % _FOLDS, np.empty(n), []
        for f in range(_FOLDS):
            held = np.flatnonzero(fold == f)
            learnt, asked = sides.take(fold != f), sides.take(held)
            maps = canonical_maps(learnt.first, learnt.second, self.dimensions, self.ridge)
            own[held], wrong = _cosines(*maps(asked.first, asked.second), asked)
            null.append(wrong)
        maps = canonical_maps(sides.first, sides.second, self.dimensions, self.ridge)
        return own, np.concatenate(null), maps(sides.first, sides.second)

    def _tagged(self, data: Dataset, sides: Sides, order: Rows, scores: Scores, threshold: float) -> pa.Table:
        columns: dict[str, Any] = {
            ROW: pa.array(order),
            KEY: data.keys(order),
            SIMILARITY: pa.array(scores.astype(np.float32)),
            KEPT: pa.array(scores >= threshold),
        }
        for name in dict.fromkeys(sides.names):
            if name in data.table.column_names:
                columns |= self._measured(data, name, order)
        columns |= {name: data.table.column(name).take(pa.array(order)) for name in self.tags}
        return pa.table(columns)

    def _measured(self, data: Dataset, name: str, order: Rows) -> dict[str, Any]:
        kind = data.table.column(name).type
        if data.roles.get(Role.IMAGE) == (name,):
            part = Dataset(data.table, {Role.IMAGE: [name]}, source=data.source).take(order)
            found = Signals(part)[image_statistics.ImageStatistics()]
            places = {what: image_statistics.COLUMNS.index(what) for what in ("width", "height")}
            return {f"{name}_{what}": pa.array(found[:, j].astype(np.int32)) for what, j in places.items()}
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return {}
        counted = text_statistics.measure(data.table.column(name).take(pa.array(order)))
        words, language = (counted[:, text_statistics.COLUMNS.index(what)] for what in ("words", "language"))
        spoken = [LANGUAGES[i] if i >= 0 else None for i in language.astype(int).tolist()]
        return {f"{name}_words": pa.array(words.astype(np.int32)), f"{name}_language": pa.array(spoken, pa.string())}

    def _check(self, data: Dataset) -> None:
        if not 0 < self.purity < 1:
            raise DrossError(f"purity is {self.purity}", fix="give a share between 0 and 1")
        if self.dimensions < 1 or self.ridge < 0:
            raise DrossError(f"dimensions is {self.dimensions}, ridge {self.ridge}", fix="give at least 1, and 0")
        for name in self.tags:
            if name not in data.table.column_names:
                raise DrossError(f"no column {name!r} to tag by", fix=nearest(name, data.table.column_names))


def _cosines(first: Vectors, second: Vectors, sides: Sides) -> tuple[Scores, Scores]:
    """The cosine of each pair, (n,), and those of each first side with other pairs' second sides of other content."""
    n = len(first)
    own = np.einsum("ij,ij->i", first, second).astype(np.float64)
    wrong = []
    for shift in range(1, min(_SHIFTS, n - 1) + 1):
        other = np.roll(np.arange(n), shift)
        differs = sides.content[other] != sides.content
        wrong.append(np.einsum("ij,ij->i", first, second[other])[differs])
    null = np.concatenate(wrong) if wrong else np.zeros(0)
    return own, null.astype(np.float64) if len(null) else own
