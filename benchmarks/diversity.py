"""A thousand of 20,000 vectors by k-center and by facility location, beside skmatter, fpsample and apricot.

    python benchmarks/diversity.py --rows 20000 --dimensions 64 --count 1000 --runs 3 --peer PYTHON

Rows are drawn around a hundred random centres, or around none. Each run is a process of its own, the tools in turn;
times exclude imports, compilation and making the data, memory is the growth of the process's peak (Linux) over the
data. All k-center tools begin with row 0. ``fpsample`` is its exact plain way; its others are approximate or take few
dimensions. ``apricot`` takes squared Euclidean distances, which is what dross maximises too. ``radius`` is how far the
farthest row is from the rows taken, ``loss`` the sum of squared distances to the nearest of them: lower is better.
``--peer`` names a Python in which ``pip install skmatter fpsample apricot-select`` was run; a peer that is not there is
left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

ABSENT = 77
"""The exit code of a run whose peer is not installed."""


def make(file: Path, n: int, d: int, centres: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    if centres:
        X += 2 * rng.standard_normal((centres, d), dtype=np.float32)[rng.integers(0, centres, n)]
    np.save(file, X)


def k_center_dross(X: np.ndarray, count: int) -> np.ndarray:
    from dross.models.farthest_first import farthest_first

    return farthest_first(X, count, first=0).rows


def k_center_skmatter(X: np.ndarray, count: int) -> np.ndarray:
    from skmatter.sample_selection import FPS

    return FPS(n_to_select=count, initialize=0).fit(X).selected_idx_


def k_center_fpsample(X: np.ndarray, count: int) -> np.ndarray:
    import fpsample

    return fpsample.fps_sampling(X, count, start_idx=0).astype(np.int64)


def facility_dross(X: np.ndarray, count: int) -> np.ndarray:
    from dross.models.facility_location import facility_location

    return facility_location(X, count).rows


def facility_apricot(X: np.ndarray, count: int) -> np.ndarray:
    from apricot import FacilityLocationSelection

    return FacilityLocationSelection(count, metric="euclidean").fit(X).ranking


TOOLS = {
    "k-center dross": k_center_dross,
    "k-center skmatter": k_center_skmatter,
    "k-center fpsample": k_center_fpsample,
    "facility location dross": facility_dross,
    "facility location apricot": facility_apricot,
}


def memory() -> float:
    """The largest memory of this process since the count was last set back, in MB (Linux)."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def away(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The squared distance of each row to the nearest of some."""
    Z = X - X.mean(axis=0)
    best = np.full(len(Z), np.inf)
    for start in range(0, len(rows), 256):
        some = Z[rows[start : start + 256]]
        gaps = np.square(Z).sum(axis=1)[:, None] + np.square(some).sum(axis=1) - 2 * Z @ some.T
        best = np.minimum(best, gaps.min(axis=1))
    best[rows] = 0
    return best


def one(tool: str, file: Path, count: int) -> None:
    """One measured run, printed as JSON."""
    X = np.load(file)
    warm = np.random.default_rng(0).random((300, 8), dtype=np.float32)
    try:
        TOOLS[tool](warm, 20)  # imports and compilation
    except ModuleNotFoundError as missing:
        print(f"{missing.name} is not installed")
        raise SystemExit(ABSENT) from missing
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak is counted anew
    before = memory()
    started, used = time.perf_counter(), time.process_time()
    rows = np.asarray(TOOLS[tool](X, count))
    seconds, used = time.perf_counter() - started, time.process_time() - used
    grown = memory() - before
    gaps = away(X, rows)
    quality = {"radius": float(np.sqrt(gaps.max()))} if tool.startswith("k-center") else {"loss": float(gaps.sum())}
    print(json.dumps({"seconds": seconds, "CPU s": used, "MB": grown, **quality}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000])
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--centres", type=int, nargs="+", default=[100, 0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--one", choices=TOOLS)
    parser.add_argument("--file", type=Path)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.file, asked.count)
        return
    with tempfile.TemporaryDirectory() as folder:
        for n in asked.rows:
            for centres in asked.centres:
                file = Path(folder) / f"{n}-{centres}.npy"
                make(file, n, asked.dimensions, centres)
                print(f"{n:,} x {asked.dimensions} around {centres} centres, {asked.count:,} taken")
                compare(asked, file)


def compare(asked: argparse.Namespace, file: Path) -> None:
    """Run the tools in turn and print the medians, and how many times as long as dross each peer takes."""
    results: dict[str, list[dict[str, float]]] = {tool: [] for tool in asked.tools}
    kinds = ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON")
    environment = {**os.environ, **{f"{kind}_NUM_THREADS": str(asked.threads) for kind in kinds}}
    for _ in range(asked.runs):
        for tool in list(results):
            python = sys.executable if tool.endswith("dross") else asked.peer
            command = [python, __file__, "--one", tool, "--file", str(file), "--count", str(asked.count)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode == ABSENT:
                print(f"  {tool:<26} left out: {done.stdout.strip()}")
                del results[tool]
            elif done.returncode:
                raise SystemExit(f"{tool} failed:\n{done.stderr}")
            else:
                results[tool].append(json.loads(done.stdout.splitlines()[-1]))
    for tool, each in results.items():
        shown = "  ".join(f"{key} {median(run[key] for run in each):.6g}" for key in each[0])
        ours = results.get(f"{tool.rpartition(' ')[0]} dross")
        times = [a["seconds"] / b["seconds"] for a, b in zip(each, ours, strict=True)] if ours else []
        longer = f"  x {median(times):.1f}" if times and not tool.endswith("dross") else ""
        print(f"  {tool:<26} {shown}{longer}")


if __name__ == "__main__":
    main()
