"""Target leakage: columns that give the label away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals

Bins = npt.NDArray[np.int64]
FOLDS = 5
BINS = 64
ROWS = 50_000
"""Rows looked at, at most: a share of 0.9 is known to half a per cent from far fewer."""
FEWEST = 30
NAMES = 200
"""Classes whose names are looked for in texts, at most."""


def bin_numbers(values: npt.NDArray[np.float64], bins: int = BINS) -> Bins:
    """Put numbers into bins of about equal size, shape (n,); a bin of its own for missing ones.

    Values of which there are no more than ``bins`` each get a bin of their own.

    >>> bin_numbers(np.array([5.0, 7.0, np.nan, 5.0])).tolist()
    [1, 2, 0, 1]
    """
    known = np.isfinite(values)
    out = np.zeros(len(values), np.int64)
    distinct, place = np.unique(values[known], return_inverse=True)
    if len(distinct) <= bins:
        out[known] = 1 + place
        return out
    sizes = np.bincount(place)
    middle = np.cumsum(sizes) - sizes / 2
    out[known] = 1 + (middle * bins / max(int(known.sum()), 1)).astype(np.int64)[place]
    return out


def strength(
    bins: Bins, codes: npt.NDArray[np.int64], k: int, folds: Bins, *, pooled: bool = False
) -> tuple[float, float]:
    """How well bins alone foretell the class of held-out rows: ``(share of the entropy removed, accuracy)``.

    The first is Theil's uncertainty coefficient, cross-validated: 1 - (log loss of the class shares in the row's bin,
    counted on the other folds) / (log loss of the class shares of all rows). 1 is certainty; 0 or less, no help.
    ``pooled`` joins neighbouring bins with the same most frequent class first (the intervals of 1R: Holte, "Very simple
    classification rules perform well on most commonly used datasets", 1993).

    >>> codes, folds = np.arange(100) % 2, np.arange(100) // 20
    >>> [round(s, 2) for s in strength(codes, codes, 2, folds)], strength(0 * codes, codes, 2, folds)
    ([0.99, 1.0], (0.0, 0.5))
    """
    bins = np.unique(bins, return_inverse=True)[1]
    b = int(bins.max()) + 1
    counts = np.bincount((folds * b + bins) * k + codes, minlength=FOLDS * b * k).reshape(FOLDS, b, k)
    others = counts.sum(0) - counts
    others = _join(others) if pooled else others
    rest = counts.sum((0, 1)) - counts.sum(1) + 1.0
    prior = rest / rest.sum(1, keepdims=True)
    # half a row of the prior in every bin: a class not seen in a bin is unlikely there, not impossible
    chance = (others[folds, bins, codes] + 0.5 * prior[folds, codes]) / (others.sum(2)[folds, bins] + 0.5)
    guess = (others + 0.5 * prior[:, None, :]).argmax(2)
    loss, base = -np.log(chance).mean(), -np.log(prior[folds, codes]).mean()
    return float(1 - loss / max(base, 1e-12)), float((guess[folds, bins] == codes).mean())


def _join(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Add up the counts (folds, bins, classes) of neighbouring bins with the same most frequent class."""
    folds, b, k = counts.shape
    lead = counts.argmax(2)
    filled = np.where(counts.any(2), np.arange(b), 0)
    lead = np.take_along_axis(lead, np.maximum.accumulate(filled, axis=1), axis=1)
    run = np.cumsum(np.diff(lead, axis=1, prepend=lead[:, :1]) != 0, axis=1)
    place = np.arange(folds)[:, None] * b + run
    joined = np.zeros((folds * b, k), np.int64)
    np.add.at(joined, place.ravel(), counts.reshape(-1, k))
    out: npt.NDArray[np.int64] = joined[place]
    return out


def explained(bins: Bins, target: npt.NDArray[np.float64], folds: Bins) -> float:
    """The share of the variance of held-out targets that the means of their bins on the other folds explain (R²).

    >>> y = np.arange(100.0)
    >>> round(explained(np.arange(100) // 10, y, np.arange(100) % 5), 2)
    0.99
    """
    bins = np.unique(bins, return_inverse=True)[1]
    b = int(bins.max()) + 1
    target = target / max(float(np.abs(target).max()), 1e-300)  # squares of huge numbers are infinite
    cells = folds * b + bins
    counts = np.bincount(cells, minlength=FOLDS * b).reshape(FOLDS, b)
    sums = np.bincount(cells, weights=target, minlength=FOLDS * b).reshape(FOLDS, b)
    counts, sums = counts.sum(0) - counts, sums.sum(0) - sums
    overall = sums.sum(1) / np.maximum(counts.sum(1), 1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall[:, None])
    residue, spread = target - means[folds, bins], target - overall[folds]
    return float(1 - (residue**2).sum() / max((spread**2).sum(), 1e-300))


def bin_column(column: pa.ChunkedArray, bins: int) -> Iterator[tuple[str, Bins]]:
    """The ways a column is put into bins: numbers and dates by size, texts by value, codes like "cat_07" by their stem.

    >>> [how for how, _ in bin_column(pa.chunked_array([["cat_1", "cat_2", "dog_1"]]), 64)]
    ['values', 'values without digits']
    """
    types = pa.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if (
        types.is_interval(kind)
        or types.is_nested(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_null(kind)
    ):
        return
    if types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif types.is_temporal(kind):
        narrow = types.is_date32(kind) or types.is_time32(kind)
        column = column.cast(pa.int32()) if narrow else column.cast(pa.int64())
    if types.is_integer(column.type) or types.is_floating(column.type) or types.is_decimal(column.type):
        yield "intervals", bin_numbers(np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64), bins)
        return
    texts = column.cast(pa.large_string())
    yield "values", _codes(texts)
    if pc.any(pc.match_substring_regex(texts, "[0-9]")).as_py():
        yield "values without digits", _codes(pc.replace_substring_regex(texts, "[0-9]+", ""))


def _codes(texts: pa.ChunkedArray) -> Bins:
    encoded = texts.dictionary_encode(null_encoding="encode").unify_dictionaries()
    parts = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    codes = np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64)
    return np.where(np.bincount(codes)[codes] > 1, codes, -1) if len(codes) else codes  # what stands once says nothing


def names_in_texts(texts: pa.ChunkedArray, names: list[str], codes: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Of texts in which one class's name stands, the share that have that class; and the share of such texts.

    >>> texts = pa.chunked_array([["a sports page", "politics now", "nothing"]])
    >>> [round(s, 2) for s in names_in_texts(texts, ["politics", "sports"], np.array([1, 0, 1]))]
    [1.0, 0.67]
    """
    folded = pc.utf8_lower(texts.cast(pa.large_string()).fill_null(""))
    named, seen = np.full(len(codes), -1), np.zeros(len(codes), np.int64)
    for code, name in enumerate(names[:NAMES]):
        if sum(letter.isalpha() for letter in name) > 2:
            here = pc.match_substring(folded, name.lower()).to_numpy()
            named[here], seen = code, seen + here
    single = seen == 1
    return float((named[single] == codes[single]).mean()) if single.any() else 0.0, float(single.mean())


@dataclass(frozen=True)
class TargetLeakage(Detector):
    """Columns from which alone the label (or target) can be told.

    Kaufman, Rosset, Perlich, "Leakage in data mining: formulation, detection, and avoidance", 2011. Each column is cut
    into bins and judged on held-out rows by the share of the label's entropy it removes (of the target's variance, in
    regression). A column leaks from 0.9 on (0.99 in regression) if it leaves at most half of what the best column below
    that leaves: one column among many that all do well is an easy task, not a leak. Texts leak when the names of the
    classes stand in most of them and are right. There are no findings by row; the summary has the columns, strongest
    first, with what was measured, for a column may well be honest and just very good.
    """

    paper: ClassVar = Paper(
        "Leakage in data mining: formulation, detection, and avoidance", 2011, address="10.1145/2020408.2020496"
    )
    finds: ClassVar[Issue] = Issue.TARGET_LEAKAGE

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Measure every feature, id and text column."""
        if not data.has(Role.LABEL) and not data.has(Role.TARGET):
            return NotApplicable("needs a column with the role label or target")
        sample = _sample(data)
        if len(sample) < FEWEST:
            return NotApplicable(f"{len(sample)} rows with a label are too few to judge a column")
        if data.has(Role.LABEL) and len(np.unique(sample.codes)) < 2:
            return NotApplicable("there is nothing to tell apart: one class")
        columns = sorted(_columns(sample), key=lambda one: (-one["strength"], one["column"]))
        if not columns:
            return NotApplicable("no feature, id or text column to judge")
        limit = 0.9 if data.has(Role.LABEL) else 0.99
        honest = max([one["strength"] for one in columns if one["strength"] < limit], default=0.0)
        for one in columns:
            one["leaks"] = one["strength"] >= limit and 1 - one["strength"] <= (1 - max(honest, 0.0)) / 2
        return Findings.none(Issue.TARGET_LEAKAGE, columns=columns[:20], judged=len(columns), rows=len(sample))


def _sample(data: Dataset) -> Dataset:
    """The labelled rows, at most 50,000 of them, evenly spaced."""
    known = data.codes >= 0 if data.has(Role.LABEL) else np.isfinite(data.target)
    rows = np.flatnonzero(known)
    if len(rows) > ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, ROWS).astype(np.int64)]
    return data.take(rows)


def _columns(data: Dataset) -> Iterator[dict[str, Any]]:
    folds = np.random.default_rng(0).permutation(np.arange(len(data)) % FOLDS)
    labelled = data.has(Role.LABEL)
    codes, k = (data.codes.astype(np.int64), len(data.classes)) if labelled else (folds, 1)
    coarse, fine = (int(max(4, min(max(BINS, 2 * k), len(data) // least))) for least in (10, 3))
    base = round(float(np.bincount(codes).max() / len(codes)), 4)
    for role in (Role.FEATURES, Role.ID, Role.GROUP):
        for name in data.roles.get(role, ()):
            tries: list[dict[str, Any]] = []
            for how, bins in bin_column(data.table.column(name), coarse):
                if not labelled:
                    tries.append({"by": how, "strength": explained(bins, data.target, folds)})
                    continue
                scores = [strength(_fewer(bins, k), codes, k, folds)]
                if how == "intervals":
                    finer = next(bin_column(data.table.column(name), fine))[1]
                    scores.append(strength(finer, codes, k, folds, pooled=True))
                removed, accuracy = max(scores)
                tries.append({"by": how, "strength": removed, "accuracy": accuracy, "most frequent class": base})
            if tries:
                best = max(tries, key=lambda one: float(one["strength"]))
                yield {"column": name} | {k: round(v, 4) if isinstance(v, float) else v for k, v in best.items()}
    if labelled:
        for name in data.roles.get(Role.TEXT, ()):
            right, share = names_in_texts(data.table.column(name), [str(c) for c in data.classes], codes)
            yield {
                "column": name,
                "by": "names of classes",
                "strength": round(right * share, 4),
                "accuracy": round(right, 4),
            }


def _fewer(bins: Bins, k: int) -> Bins:
    """Bins with the rarest merged into one where counting classes in each would take too much memory."""
    values, place, counts = np.unique(bins, return_inverse=True, return_counts=True)
    most = max(2, 2_000_000 // max(k, 1))
    if len(values) <= most:
        return place.astype(np.int64)
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(values))
    return np.minimum(rank, most)[place]
