from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dross.report import charts
from dross.report.maps import MOST_POINTS, embedding_map, layout, nearest, sample
from dross.testing.planted import blobs

EVIL = "</title><script>alert(1)</script>\u202e & \"'"


def parsed(drawing: str) -> ElementTree.Element:
    root = ElementTree.fromstring(drawing)  # noqa: S314 - our own text
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert {e.tag for e in root.iter()} <= {"svg", "title", "line", "path", "text", "circle", "rect"}
    width, height = (float(v) for v in (root.get("viewBox") or "").split()[2:])
    for circle in root.iter("circle"):
        assert -1 <= float(circle.get("cx", 0)) <= width + 1
        assert -1 <= float(circle.get("cy", 0)) <= height + 1
    return root


def test_calibration_curve_stands_where_the_numbers_are() -> None:
    t = np.linspace(0.5, 1.0, 6)
    rising = np.column_stack([t, t - 0.1, t + 0.1])
    falling = rising[::-1].copy()
    falling[0] = np.nan
    root = parsed(charts.calibration_curve(t, rising, falling, 0.8, [(0.6, 120)]))
    assert "At the chosen threshold 0.80: precision 80 %" in (root.get("aria-label") or "")
    assert "at 0.60: 120 rows" in (root.get("aria-label") or "")
    curve = next(e for e in root.iter("path") if e.get("class") == "curve precision" and "L" in e.get("d", ""))
    ys = [float(p.split()[1]) for p in re.split("[ML]", curve.get("d", ""))[1:]]
    assert ys == sorted(ys, reverse=True)  # higher precision stands higher


def test_promised_fdr_is_the_running_mean() -> None:
    precision = np.array([1.0, 1.0, 0.5, 0.5])
    root = parsed(charts.promised_fdr(precision, 0.1, 3))
    assert "3 rows flagged, of which 17 % are expected to be false alarms" in (root.get("aria-label") or "")
    assert parsed(charts.promised_fdr(np.array([0.9, 0.8]), 0.1, 0)) is not None


def test_noise_matrix_counts_and_names() -> None:
    counts = np.array([[0, 5], [2, 0]])
    root = parsed(charts.noise_matrix(counts, ["cat", EVIL]))
    assert "cat to" in (root.get("aria-label") or "")
    assert [e.text for e in root.iter("text")].count("5") == 1
    assert len([e for e in root.iter("rect") if e.get("class") == "cell"]) == 2
    wide = parsed(charts.noise_matrix(np.ones((12, 12), int), ["a long class name"] * 12))
    assert all(float(e.get("x", 0)) + float(e.get("width", 0)) <= charts.WIDTH for e in wide.iter("rect"))


def test_small_bars() -> None:
    for drawing in (
        charts.range_bar((0.9, 0.8, 1.2), EVIL),
        charts.range_bar((0.9, float("nan"), float("nan")), "unknown"),
        charts.share_bar(0.0, "none"),
        charts.share_bar(2.0, "all"),
        charts.confidence_bar([0.0, 0.1, 0.2, 0.9, 1.0], EVIL),
    ):
        parsed(drawing)


def test_forest_puts_zero_in_the_middle() -> None:
    rows = [("treated", 3.0, 1.0, 5.0, True), ("placebo", -1.0, -2.0, 0.0, False)]
    root = parsed(charts.forest(rows, "points", "Change"))
    right, left = (float(c.get("cx", 0)) for c in root.iter("circle"))
    assert left < charts.WIDTH / 2 < right
    assert parsed(charts.forest([("nothing", 0.0, 0.0, 0.0, True)], "", "Change")) is not None


@pytest.mark.parametrize(("top", "steps"), [(0.05, 4), (1.0, 4), (7, 4), (123_456, 4), (1.0, 10)])
def test_ticks_are_round_and_within(top: float, steps: int) -> None:
    ticks = charts.nice(top, steps)
    assert ticks[0] == 0
    assert top * 0.5 <= ticks[-1] <= top * 1.0001
    assert 3 <= len(ticks) <= 2 * steps + 1


# ---- the map --------------------------------------------------------------------------------------------------------


def test_layout_keeps_neighbours_together() -> None:
    planted = blobs(400, k=4, d=20, spread=0.7, flipped=0.0, seed=0)
    assert planted.truth is not None
    X = np.array([v.as_py() for v in planted.data.table.column("x")], np.float32)
    places = layout(X)
    assert places.shape == (400, 2)
    assert places.min() >= 0
    assert places.max() <= 1
    kept = (planted.truth[nearest(places, 10)] == planted.truth[:, None]).mean()
    flat = X - X.mean(0)
    principal = flat @ np.linalg.svd(flat, full_matrices=False)[2][:2].T
    assert kept > 0.9
    assert kept >= (planted.truth[nearest(principal, 10)] == planted.truth[:, None]).mean()
    assert np.array_equal(places, layout(X))


@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (5, 1), (40, 1), (100, 2)])
def test_layout_of_little(shape: tuple[int, int]) -> None:
    X = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert np.isfinite(layout(X)).all()
    assert np.isfinite(layout(np.zeros(shape, np.float32))).all()


def test_sample_holds_flagged_and_others() -> None:
    rows = sample(50_000, np.arange(10_000))
    assert len(rows) <= MOST_POINTS
    assert 0 < (rows < 10_000).sum() <= MOST_POINTS // 3
    assert (np.diff(rows) > 0).all()
    few = sample(50_000, np.array([7, 9]))
    assert {7, 9} <= set(few.tolist())


def test_map_is_light_and_named() -> None:
    rng = np.random.default_rng(0)
    places = rng.random((3000, 2)).astype(np.float32)
    drawing = embedding_map(places, np.arange(3000) < 30, rng.integers(-1, 12, 3000), [EVIL] * 12)
    assert len(drawing) < 60_000
    root = parsed(drawing)
    assert "3,000 rows, 30 of them flagged" in (root.get("aria-label") or "")
    drawn = sum(e.get("d", "").count("M") for e in root.iter("path"))
    assert drawn == 3000
    assert parsed(embedding_map(places[:5], np.zeros(5, bool), None, [])) is not None
