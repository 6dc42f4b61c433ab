"""The report's plots: small functions that return inline SVG, drawn in units of a phone's pixels.

Every plot is 360 units wide, so its letters are as large as the page's small print on a phone and a little larger on a
desk. Colours are the page's own variables: they follow light, dark and print. Every plot says in words what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from dross.report.text import counted, cut, percent

WIDTH = 360
Numbers = npt.NDArray[np.float64]


def svg(width: float, height: float, title: str, says: str, parts: Sequence[str]) -> Markup:
    """An SVG element with its title and description for those who do not see it."""
    head = (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" class="plot" aria-label="{escape(title)}. {escape(says)}">'
    )
    return Markup(head + f"<title>{escape(title)}</title>" + "".join(parts) + "</svg>")  # noqa: S704 - labels are escaped


def text(x: float, y: float, words: str, kind: str = "tick", anchor: str = "start") -> str:
    """A label."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def path(points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False) -> str:
    """A line through points, or the area within them."""
    if not points:
        return ""
    d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")
    return f'<path d="{d}" class="{kind}"/>'


def band(xs: Numbers, low: Numbers, high: Numbers, kind: str) -> str:
    """The area between two lines."""
    there = list(zip(xs, high, strict=True)) + list(zip(xs[::-1], low[::-1], strict=True))
    return path(there, kind, closed=True)


class Axes:
    """A plotting area within the picture: data coordinates to picture coordinates, with ticks."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], *, height: float = 220, top: float = 12) -> None:
        self.x, self.y, self.height = x, y, height
        self.left, self.right, self.top, self.bottom = 40.0, WIDTH - 10.0, top, height - 36.0

    def px(self, x: Numbers | float) -> Numbers:
        """Horizontal position."""
        span = (self.x[1] - self.x[0]) or 1.0
        return self.left + (np.asarray(x, float) - self.x[0]) / span * (self.right - self.left)

    def py(self, y: Numbers | float) -> Numbers:
        """Vertical position."""
        span = (self.y[1] - self.y[0]) or 1.0
        return self.bottom - (np.asarray(y, float) - self.y[0]) / span * (self.bottom - self.top)

    def frame(self, xs: Sequence[tuple[float, str]], ys: Sequence[tuple[float, str]], label: str) -> list[str]:
        """Grid lines, ticks and the name of the horizontal axis."""
        parts = []
        for value, words in ys:
            y = float(self.py(value))
            parts += [line(self.left, y, self.right, y, "grid"), text(self.left - 6, y + 4, words, "tick", "end")]
        for value, words in xs:
            parts.append(text(float(self.px(value)), self.bottom + 15, words, "tick", "middle"))
        parts.append(text((self.left + self.right) / 2, self.height - 5, label, "axis", "middle"))
        return parts


def nice(top: float, steps: int = 4) -> list[float]:
    """Round tick values from 0 to ``top`` or a little less.

    >>> nice(0.287), nice(50)
    ([0.0, 0.1, 0.2], [0.0, 10.0, 20.0, 30.0, 40.0, 50.0])
    """
    if top <= 0:
        return [0.0]
    unit = 10 ** np.floor(np.log10(top / steps))
    step = float(next(m * unit for m in (1, 2, 5, 10) if m * unit * steps >= top * 0.8))
    return [float(round(i * step, 10)) for i in range(int(top / step + 1e-9) + 1)]


_SHARES = [(v, f"{100 * v:.0f} %") for v in (0.0, 0.25, 0.5, 0.75, 1.0)]


def calibration_curve(
    thresholds: Numbers, precision: Numbers, recall: Numbers, chosen: float | None, above: Sequence[tuple[float, int]]
) -> Markup:
    """Expected precision and recall of flagging every row that scores at least the threshold, with 95 % bands.

    ``precision`` and ``recall`` have shape (t, 3); ``above`` gives the number of rows at a few thresholds.
    """
    axes = Axes((float(thresholds[0]), float(thresholds[-1])), (0, 1), top=30)
    xs = axes.px(thresholds)
    ticks = [(t, f"{t:.2g}") for t in nice(1.0, 10) if axes.x[0] <= t <= axes.x[1]]
    parts = axes.frame(ticks, _SHARES, "flag rows that score at least")
    for i, (values, kind) in enumerate(((precision, "precision"), (recall, "recall"))):
        x = axes.left + 84 * i
        parts += [line(x, 10, x + 18, 10, f"curve {kind}"), text(x + 23, 14, kind, f"name {kind}")]
        ok = np.isfinite(values).all(axis=1)
        if not ok.any():
            continue
        low, high = (axes.py(np.clip(values[ok, end], 0, 1)) for end in (1, 2))
        parts.append(band(xs[ok], low, high, f"band {kind}"))
        middle = axes.py(values[ok, 0])
        parts.append(path(list(zip(xs[ok], middle, strict=True)), f"curve {kind}"))
    says = "No threshold was chosen."
    if chosen is not None:
        x = float(np.clip(axes.px(chosen), axes.left, axes.right))
        parts.append(line(x, axes.top, x, axes.bottom, "chosen"))
        at = int(np.argmin(np.abs(thresholds - chosen)))
        says = (
            f"At the chosen threshold {chosen:.2f}: precision {percent(float(precision[at, 0]))}, "
            f"recall {percent(float(recall[at, 0]))}."
        )
    if above:
        says += " " + "; ".join(f"at {t:.2f}: {counted(n, 'row')}" for t, n in above) + "."
    return svg(WIDTH, axes.height, "Precision and recall to expect at each threshold", says, parts)


def promised_fdr(precision: Numbers, asked: float, flagged: int) -> Markup:
    """The share of false alarms to expect when the first m rows, most certain first, are flagged.

    ``precision`` is the chance of each finding to be true, shape (m,), in the order they would be flagged.
    """
    m = len(precision)
    rates = 1 - np.cumsum(precision) / np.arange(1, m + 1)
    step = np.unique(np.linspace(0, m - 1, min(m, 120)).astype(int))
    top = float(min(1.0, max(2.5 * asked, 1.15 * rates.max(), 0.05)))
    axes = Axes((0, m), (0, top))
    ticks = [(v, f"{round(v):,}") for v in nice(m)]
    parts = axes.frame(ticks, [(v, f"{100 * v:.3g} %") for v in nice(top)], "rows flagged")
    y, x = float(axes.py(asked)), float(axes.px(flagged))
    parts.append(line(axes.left, y, axes.right, y, "asked"))
    # the curve leaves above the line on the right, unless all that is drawn keeps within the rate
    beside = y + 14 if rates[-1] > asked else y - 5
    parts.append(text(axes.right - 4, beside, f"asked for: {percent(asked)}", "name", "end"))
    points = list(zip(axes.px(step + 1.0), axes.py(rates[step]), strict=True))
    parts.append(path(points, "curve precision"))
    reached = float(rates[min(flagged, m) - 1]) if flagged else float("nan")
    if flagged:
        parts.append(line(x, axes.top, x, axes.bottom, "chosen"))
        parts.append(f'<circle cx="{x:.1f}" cy="{float(axes.py(reached)):.1f}" r="3.5" class="dot precision"/>')
    says = f"{counted(flagged, 'row')} flagged, of which {percent(reached)} are expected to be false alarms."
    return svg(WIDTH, axes.height, "False alarms to expect among the rows flagged", says, parts)


def range_bar(estimate: tuple[float, float, float], says: str) -> Markup:
    """A small bar from 0 to 1 with an estimate and its interval."""
    middle, low, high = (
        float(np.clip(v, 0, 1)) if np.isfinite(v) else float(np.clip(estimate[0], 0, 1)) for v in estimate
    )
    parts = [
        line(3, 6, 97, 6, "track"),
        line(3 + 94 * low, 6, 3 + 94 * high, 6, "whisker"),
        f'<circle cx="{3 + 94 * middle:.1f}" cy="6" r="3" class="dot precision"/>',
    ]
    return Markup(  # noqa: S704 - numbers and an escaped label
        f'<svg viewBox="0 0 100 12" class="bar" role="img" aria-label="{escape(says)}">{"".join(parts)}</svg>'
    )


def share_bar(share: float, says: str, kind: str = "fill") -> Markup:
    """A bar filled to a share."""
    width = 100 * float(np.clip(share, 0, 1))
    return Markup(  # noqa: S704 - numbers and an escaped label
        f'<svg viewBox="0 0 100 8" class="bar" preserveAspectRatio="none" role="img" aria-label="{escape(says)}">'
        f'<rect x="0" y="1" width="100" height="6" class="empty"/>'
        f'<rect x="0" y="1" width="{max(width, 0.6 if share > 0 else 0):.1f}" height="6" class="{kind}"/></svg>'
    )


def confidence_bar(quantiles: Sequence[float], says: str) -> Markup:
    """The 10th, 25th, 50th, 75th and 90th percentile of a probability, from 0 to 1."""
    a, b, c, d, e = (3 + 234 * float(np.clip(q, 0, 1)) for q in quantiles)
    parts = [
        line(3, 6, 237, 6, "track"),
        line(a, 6, e, 6, "thin"),
        line(b, 6, max(d, b + 0.5), 6, "thick"),
        f'<circle cx="{c:.1f}" cy="6" r="3" class="dot precision"/>',
    ]
    return Markup(  # noqa: S704 - numbers and an escaped label
        f'<svg viewBox="0 0 240 12" class="bar long" role="img" aria-label="{escape(says)}">{"".join(parts)}</svg>'
    )


def noise_matrix(counts: npt.NDArray[np.int64], names: Sequence[str]) -> Markup:
    """How many flagged rows of each given class (down) are better described by each other class (across)."""
    k = len(names)
    letters = max(min(len(name), 13) for name in names)
    room, beyond = min(88, 12 + 6 * letters), 4.4 * letters
    cell = min(34.0, (WIDTH - room - beyond) / k)
    left, top = float(room), 14 + 4.4 * letters
    largest = max(1, int(counts.max()))
    parts = []
    for i, name in enumerate(names):
        y = top + cell * i
        parts.append(text(left - 6, y + cell / 2 + 4, cut_label(name), "tick", "end"))
        x = left + cell * (i + 0.5)
        parts.append(
            f'<text transform="translate({x + 3:.1f} {top - 6:.1f}) rotate(-45)" class="tick">'
            f"{escape(cut_label(name))}</text>"
        )
        for j in range(k):
            n = int(counts[i, j])
            x = left + cell * j
            strength = f"{0.12 + 0.88 * n / largest:.2f}" if n else "0"
            kind = "same" if i == j else "cell"
            parts.append(
                f'<rect x="{x + 0.5:.1f}" y="{y + 0.5:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}" '
                f'class="{kind}" fill-opacity="{strength if i != j else 1}"/>'
            )
            if n and cell >= 17:
                shade = "on" if n / largest > 0.5 else "off"
                parts.append(text(x + cell / 2, y + cell / 2 + 4, f"{n}", f"count {shade}", "middle"))
    flat = np.argsort(-counts, axis=None, kind="stable")[:3]
    pairs = [(int(i) // k, int(i) % k) for i in flat if counts.flat[int(i)]]
    says = "; ".join(f"{names[i]} to {names[j]}: {counts[i, j]}" for i, j in pairs) or "No confusion."
    return svg(WIDTH, top + cell * k + 6, "Given class (rows) and suggested class (columns)", says, parts)


def cut_label(name: str) -> str:
    """A class name that fits beside a plot."""
    return cut(name, 200)[:12] + "…" if len(name) > 13 else cut(name, 13)


def forest(rows: Sequence[tuple[str, float, float, float, bool]], unit: str, title: str) -> Markup:
    """Differences with their intervals around zero: name, estimate, low, high, and whether it is the main one."""
    reach = max(max(abs(low), abs(high)) for _, _, low, high, _ in rows) * 1.08 or 1.0
    top, step = 8.0, 38.0
    height = top + step * len(rows) + 30
    scale = (WIDTH - 24) / (2 * reach)
    zero = WIDTH / 2
    parts = [line(zero, top, zero, height - 30, "zero")]
    for i, (name, estimate, low, high, main) in enumerate(rows):
        y = top + step * i + 26
        kind = "precision" if main else "recall"
        parts.append(text(12, y - 11, name, "name strong" if main else "name"))
        parts.append(text(WIDTH - 12, y - 11, f"{estimate:+.3g} {unit}".strip(), "tick", "end"))
        parts.append(line(zero + low * scale, y, zero + high * scale, y, f"whisker {kind}"))
        parts.append(f'<circle cx="{zero + estimate * scale:.1f}" cy="{y:.1f}" r="4" class="dot {kind}"/>')
    for value, anchor in ((-reach / 1.08, "start"), (0.0, "middle"), (reach / 1.08, "end")):
        parts.append(text(zero + value * scale, height - 12, f"{value:+.2g}" if value else "0", "tick", anchor))
    says = "; ".join(f"{name}: {e:+.3g} ({low:+.3g} to {high:+.3g}) {unit}" for name, e, low, high, _ in rows)
    return svg(WIDTH, height, title, says, parts)
