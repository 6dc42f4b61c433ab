"""Time and memory of a full audit from a thousand to a million rows, with a plot.

    python benchmarks/scaling.py --write docs/scaling.svg

A table of ten numbers and a label of five classes, one in ten of them wrong; each size is a process of its own. The
dashed lines grow as n log n to the last size: a curve that falls below its line grows faster.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 360, 280, 54, 40, 34


def one(n: int) -> None:
    """One measured audit, printed as JSON."""
    import dross

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, n)
    X = rng.normal(size=(5, 10))[truth] * 2 + rng.normal(size=(n, 10))
    labels = np.where(rng.random(n) < 0.1, rng.integers(0, 5, n), truth)
    columns = {f"x{i}": X[:, i] for i in range(10)} | {"label": labels}
    dross.audit(dross.load({name: values[:500] for name, values in columns.items()}, label="label"))  # compiles
    data = dross.load(columns, label="label")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, spent = time.perf_counter(), time.process_time()
    audit = dross.audit(data)
    measured = {"rows": n, "seconds": time.perf_counter() - started, "cpu": time.process_time() - spent}
    measured["MB"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    measured["steps"] = {**audit.run["signals"], **{k: m["seconds"] for k, m in audit.run["methods"].items()}}
    print(json.dumps(measured))


def panel(x0: int, title: str, sizes: list[int], values: list[float]) -> str:
    """A log-log plot with its n log n line."""
    low, high = min(v for v in values if v > 0) / 2, max(values) * 2
    law = [values[-1] * n * np.log(n) / (sizes[-1] * np.log(sizes[-1])) for n in sizes]
    span = np.log(sizes[-1] / sizes[0])

    def point(n: float, v: float) -> tuple[float, float]:
        x = x0 + LEFT + (WIDTH - LEFT - 16) * np.log(n / sizes[0]) / span
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - np.log(max(v, low) / low) / np.log(high / low))
        return round(float(x), 1), round(float(y), 1)

    parts = [f'<text x="{x0 + LEFT}" y="18" font-weight="600">{title}</text>']
    for power in range(int(np.ceil(np.log10(low))), int(np.log10(high)) + 1):
        y = point(sizes[0], 10.0**power)[1]
        parts.append(f'<line x1="{x0 + LEFT}" x2="{x0 + WIDTH - 16}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 + LEFT - 6}" y="{y + 4}" text-anchor="end">{10.0**power:g}</text>')
    tens = [n for n in sizes if np.log10(n) % 1 == 0]
    for n in tens:
        anchor = "end" if n == sizes[-1] else "middle"
        parts.append(f'<text x="{point(n, low)[0]}" y="{HEIGHT - 18}" text-anchor="{anchor}">{n:,}</text>')
    for series, style in ((law, 'stroke="#999" stroke-dasharray="4 4"'), (values, 'stroke="#b5451d" stroke-width="2"')):
        line = " ".join(f"{x},{y}" for x, y in (point(n, v) for n, v in zip(sizes, series, strict=True) if v >= low))
        parts.append(f'<polyline fill="none" {style} points="{line}"/>')
    parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="#b5451d"/>' for x, y in map(point, sizes, values)]
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one)
        return
    sizes = [n for n in SIZES if n <= asked.most]
    medians = []
    print("| rows | seconds | CPU seconds | extra MB | slowest steps |\n|---|---|---|---|---|")
    for n in sizes:
        runs = []
        for _ in range(asked.runs if n <= 100_000 else 1):
            command = [sys.executable, __file__, "--one", str(n)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            runs.append(json.loads(out.splitlines()[-1]))
        row = {key: float(np.median([run[key] for run in runs])) for key in ("seconds", "cpu", "MB")}
        medians.append(row)
        slow = sorted(runs[-1]["steps"].items(), key=lambda item: -item[1])[:3]
        named = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slow)
        print(f"| {n:,} | {row['seconds']:.2f} | {row['cpu']:.2f} | {row['MB']:,.0f} | {named} |", flush=True)
    if asked.write:
        drawn = panel(0, "CPU seconds", sizes, [m["cpu"] for m in medians])
        drawn += panel(WIDTH, "memory beyond the data, MB", sizes, [max(m["MB"], 1) for m in medians])
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" font-family="sans-serif" '
        asked.write.write_text(head + f'font-size="11" role="img">{drawn}</svg>\n', encoding="utf-8")


if __name__ == "__main__":
    main()
