"""Which plots a report has, and the numbers they are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.report import charts, maps
from dross.report.text import counted, cut, number, percent

MOST_CLASSES = 12
MOST_BARS = 14
SAME = 0.02
"""Findings whose chances of being true differ by less than this cannot be ranked by them."""
TARGETS = (0.01, 0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Figure:
    """A plot with its title and a sentence on how to read it."""

    title: str
    caption: str
    drawing: Markup
    wide: bool = False


def calibration(one: Mapping[str, Any], table: pa.Table | None, fdr: float) -> list[Figure]:
    """Expected precision and recall against the threshold, and the false alarms promised."""
    figures = []
    curve = one.get("curve")
    if curve and len(curve["thresholds"]) > 1:
        thresholds = np.asarray(curve["thresholds"], float)
        values = [
            np.array([[np.nan if v is None else v for v in row] for row in curve[k]], float)
            for k in ("precision", "recall")
        ]
        above = []
        if table is not None:
            score = table.column("score").to_numpy()
            above = [(float(t), int((score >= t).sum())) for t in np.linspace(thresholds[0], thresholds[-1], 5)[1:-1]]
        drawing = charts.calibration_curve(thresholds, values[0], values[1], one.get("threshold"), above)
        caption = (
            "Read from defects planted among your rows; the bands are 95 % intervals, the line the chosen threshold."
        )
        figures.append(Figure("Precision and recall to expect", caption, drawing))
    order = _likely(table)
    if len(order) > 2 and np.ptp(order) > SAME:
        top = order[: max(int(2.5 * one["flagged"]), min(len(order), 50))]
        caption = (
            "The most certain rows come first. Flagging further down finds more defects and costs more false alarms."
        )
        figures.append(Figure("False alarms promised", caption, charts.promised_fdr(top, fdr, int(one["flagged"]))))
    return figures


def _likely(table: pa.Table | None) -> npt.NDArray[np.float64]:
    """The chance of each finding to be true, the flagged ones first, then the most certain."""
    if table is None:
        return np.empty(0)
    known = table.filter(pc.is_valid(table.column("expected_precision")))
    precision = np.asarray(known.column("expected_precision").to_numpy(), float)
    return precision[np.lexsort((-precision, ~known.column("flagged").to_numpy()))]


def rates(table: pa.Table | None) -> list[tuple[str, str, str]]:
    """How many rows would be flagged at other false-discovery rates: rate, rows, defects expected among them."""
    order = np.sort(_likely(table))[::-1]
    if not len(order) or np.ptp(order) <= SAME:
        return []
    hits = np.cumsum(order)
    wrong = 1 - hits / np.arange(1, len(order) + 1)
    out = []
    for rate in TARGETS:
        fits = np.flatnonzero(wrong <= rate)
        m = int(fits[-1]) + 1 if len(fits) else 0
        out.append((percent(rate), f"{m:,}", number(round(float(hits[m - 1]))) if m else "0"))
    return out


@dataclass(frozen=True)
class ClassLine:
    """One class: rows, flagged rows, and how sure the model is of its given labels."""

    name: str
    rows: int
    flagged: int
    share: str
    confidence: str
    bar: Markup | None


def by_class(data: Dataset, table: pa.Table | None, probs: npt.NDArray[Any] | None) -> tuple[list[ClassLine], int]:
    """The classes with the largest share of flagged rows first, and how many others there are."""
    if not data.has(Role.LABEL) or not data.classes:
        return [], 0
    k, codes = len(data.classes), data.codes
    sizes = np.bincount(codes[codes >= 0], minlength=k)
    flagged = np.zeros(k, np.int64)
    if table is not None:
        rows = table.column("row").to_numpy()[table.column("flagged").to_numpy()]
        flagged = np.bincount(codes[rows][codes[rows] >= 0], minlength=k)
    order = np.lexsort((-sizes, -flagged / np.maximum(sizes, 1)))[:MOST_BARS]
    out = []
    for c in order:
        name = cut(str(data.classes[c]), 60)
        bar, middle = None, "–"
        if probs is not None:
            own = np.asarray(probs[np.flatnonzero(codes == c), c], float)
            q = np.percentile(own, [10, 25, 50, 75, 90]) if len(own) else np.zeros(5)
            middle = f"{q[2]:.2f}"
            bar = charts.confidence_bar(q.tolist(), f"{name}: median {q[2]:.2f}, middle half {q[1]:.2f} to {q[3]:.2f}")
        share = percent(flagged[c] / max(1, sizes[c]))
        out.append(ClassLine(name, int(sizes[c]), int(flagged[c]), share, middle, bar))
    return out, k - len(out)


@dataclass(frozen=True)
class Confusions:
    """Which classes are mistaken for which: the matrix of the most involved ones, and the commonest pairs."""

    matrix: Figure | None
    pairs: list[tuple[str, str, str]]


def confusions(data: Dataset, table: pa.Table | None) -> Confusions:
    """Count the flagged rows by given and suggested class."""
    if table is None or not data.has(Role.LABEL):
        return Confusions(None, [])
    chosen = table.filter(pc.and_(table.column("flagged"), pc.is_valid(table.column("suggestion"))))
    names = pa.array([str(c) for c in data.classes], pa.string())
    given = data.codes[chosen.column("row").to_numpy()]
    suggested = pc.index_in(chosen.column("suggestion"), names).to_numpy()
    ok = (given >= 0) & np.isfinite(suggested.astype(float))
    given, suggested = given[ok].astype(np.int64), suggested[ok].astype(np.int64)
    if not len(given):
        return Confusions(None, [])
    k = len(names)
    pairs, sizes = np.unique(given * k + suggested, return_counts=True)
    order = np.argsort(-sizes, kind="stable")[:8]
    said = [str(c) for c in data.classes]
    listed = [
        (cut(said[int(p) // k], 50), cut(said[int(p) % k], 50), f"{int(s):,}")
        for p, s in zip(pairs[order], sizes[order], strict=True)
    ]
    involved = np.bincount(np.concatenate([given, suggested]), minlength=k)
    kept = np.sort(np.argsort(-involved, kind="stable")[: min(k, MOST_CLASSES)])
    place = np.full(k, -1)
    place[kept] = np.arange(len(kept))
    inside = (place[given] >= 0) & (place[suggested] >= 0)
    counts = np.zeros((len(kept), len(kept)), np.int64)
    np.add.at(counts, (place[given[inside]], place[suggested[inside]]), 1)
    caption = "Flagged rows: the class they are labelled (down) and the class suggested (across)."
    if len(kept) < k:
        caption += f" The {len(kept)} classes most involved of {k:,}."
    drawing = charts.noise_matrix(counts, [said[int(c)] for c in kept])
    return Confusions(Figure("What is mistaken for what", caption, drawing), listed)


@dataclass(frozen=True)
class MapPoints:
    """A sample of the rows in two dimensions, rows that are alike near each other.

    Attributes
    ----------
    rows, places
        Which rows, shape (m,), and where they stand, shape (m, 2), in [0, 1].
    flagged
        Which of them have a finding that is about a single row, shape (m,).
    codes, names
        The class of each, shape (m,), by its place in ``names``, the most frequent classes, -1 for another one; None
        and empty without classes.
    """

    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.float32]
    flagged: npt.NDArray[np.bool_]
    codes: npt.NDArray[np.int64] | None
    names: list[str]


def map_points(data: Dataset, vectors: npt.NDArray[Any] | None, tables: Mapping[str, pa.Table]) -> MapPoints | None:
    """Lay a sample of the rows out; None where there is no embedding or there are too few rows for a map."""
    if vectors is None or len(data) < 10:
        return None
    marked = [
        t.column("row").to_numpy()[t.column("flagged").to_numpy()]
        for name, t in tables.items()
        if name in {"label", "outlier", "target", "value"}
    ]
    flagged = np.unique(np.concatenate(marked)) if marked else np.empty(0, np.int64)
    rows = maps.sample(len(data), flagged)
    places = maps.layout(np.ascontiguousarray(vectors[rows], np.float32))
    codes, names = None, []
    if data.has(Role.LABEL) and len(data.classes) > 1:
        sizes = np.bincount(data.codes[data.codes >= 0], minlength=len(data.classes))
        first = np.sort(np.argsort(-sizes, kind="stable")[: maps.PALETTE])
        place = np.full(len(sizes) + 1, -1)
        place[first] = np.arange(len(first))
        codes, names = place[data.codes[rows]], [str(data.classes[int(c)]) for c in first]
    return MapPoints(rows, places, np.isin(rows, flagged), codes, names)


def map_of(
    data: Dataset, vectors: npt.NDArray[Any] | None, tables: Mapping[str, pa.Table]
) -> tuple[Figure, str] | None:
    """The embedding map of a sample of the rows, and the same in words."""
    found = map_points(data, vectors, tables)
    if found is None:
        return None
    rows, places = found.rows, found.places
    drawn = counted(len(rows), "row") if len(rows) == len(data) else f"{len(rows):,} of {len(data):,} rows"
    caption = f"{drawn}. Rows that are alike stand together; directions and far distances mean nothing."
    words = _in_words(data, rows, places, found.flagged, found.codes, found.names)
    picture = maps.embedding_map(places, found.flagged, found.codes, found.names)
    return Figure("Map of the rows", caption, picture, wide=True), words


def _in_words(
    data: Dataset,
    rows: npt.NDArray[np.int64],
    places: npt.NDArray[np.float32],
    flagged: npt.NDArray[np.bool_],
    codes: npt.NDArray[np.int64] | None,
    names: list[str],
) -> str:
    """What the map shows, for those who do not see it: how well the classes keep apart, and where the flags are."""
    if codes is None or len(rows) < 40:
        return f"{counted(int(flagged.sum()), 'flagged row')} among {len(rows):,} drawn."
    near = maps.nearest(places, 10)
    whole = data.codes[rows]
    same = (whole[near] == whole[:, None]).mean(axis=1)
    words = f"On the map {percent(float(same.mean()))} of the ten nearest rows share a row's label"
    if flagged.any():
        words += f"; for flagged rows it is {percent(float(same[flagged].mean()))}"
    own = [(float(same[codes == c].mean()), cut(name, 40)) for c, name in enumerate(names) if (codes == c).sum() >= 5]
    if len(own) > 2:
        words += f". Most apart: {max(own)[1]}; most mixed: {min(own)[1]}"
    return words + "."
