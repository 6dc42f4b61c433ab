"""Exact KNN-Shapley values beside pyDVL's ``KNNShapleyValuation``, on the same rows and validation points.

    python benchmarks/knn_shapley.py --rows 20000 --points 1000 --runs 5 --peer PYTHON

Each run is a process of its own, the two tools in turn; times exclude imports, compilation and making the data, memory
is the growth of the process's peak over the loaded inputs. Both compute the same game (10 neighbours, unweighted, mean
over the points) and the values are compared. ``--peer`` names a Python in which ``pip install pyDVL`` was run; pyDVL
gets two joblib workers, dross two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NEIGHBOURS = 10


def make(folder: Path, n: int, m: int, d: int) -> None:
    """Ten overlapping classes with a tenth of the training labels wrong."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, d))
    truth = rng.integers(0, 10, n + m)
    X = (centres[truth] + rng.normal(scale=1.5, size=(n + m, d))).astype(np.float32)
    labels = np.where(rng.random(n + m) < 0.1, rng.integers(0, 10, n + m), truth)
    labels[n:] = truth[n:]
    np.savez(folder / "data.npz", X=X[:n], y=labels[:n], points=X[n:], wanted=labels[n:])


def run_dross(X: np.ndarray, y: np.ndarray, points: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    from dross.detect.knn_shapley import knn_shapley

    return knn_shapley(X, y, points, wanted, NEIGHBOURS)


def run_pydvl(X: np.ndarray, y: np.ndarray, points: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    from joblib import parallel_config
    from pydvl.valuation import Dataset, KNNShapleyValuation
    from sklearn.neighbors import KNeighborsClassifier

    valuation = KNNShapleyValuation(KNeighborsClassifier(NEIGHBOURS), Dataset(points, wanted), progress=False)
    with parallel_config(n_jobs=2):
        valuation.fit(Dataset(X, y))
    return np.asarray(valuation.result.values)


TOOLS = {"dross": run_dross, "pyDVL": run_pydvl}


def one(tool: str, folder: Path) -> None:
    """One measured run, printed as JSON; the values are kept beside the data."""
    data = np.load(folder / "data.npz")
    inputs = [data[name] for name in ("X", "y", "points", "wanted")]
    warm = [part[:40] for part in inputs]
    TOOLS[tool](*warm)  # imports and compilation
    before = peak(tool)
    TOOLS[tool](*warm)  # worker processes
    started = time.perf_counter()
    values = TOOLS[tool](*inputs)
    seconds = time.perf_counter() - started
    np.save(folder / f"{tool}.npy", values)
    print(json.dumps({"seconds": seconds, "MB": peak(tool) - before}))


def peak(tool: str) -> float:
    """The largest memory of this process and of its largest child so far, in MB."""
    if tool == "pyDVL":
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)  # a child is counted once it has ended
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + children) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000])
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=32)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help="a Python that has pyDVL")
    parser.add_argument("--one", choices=TOOLS)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.folder)
        return
    pythons = {"dross": sys.executable} | ({"pyDVL": asked.peer} if asked.peer else {})
    print("| rows | points | tool | seconds (median) | extra MB |\n|---|---|---|---|---|")
    for n in asked.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            make(folder, n, asked.points, asked.dimensions)
            measured: dict[str, list[dict[str, float]]] = {tool: [] for tool in pythons}
            for _ in range(asked.runs):
                for tool, python in pythons.items():
                    command = [python, __file__, "--one", tool, "--folder", str(folder)]
                    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore"}
                    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
                    measured[tool].append(json.loads(out.splitlines()[-1]))
            for tool, runs in measured.items():
                seconds, megabytes = (np.median([run[key] for run in runs]) for key in ("seconds", "MB"))
                print(f"| {n:,} | {asked.points:,} | {tool} | {seconds:.2f} | {megabytes:,.0f} |")
            if len(measured) == 2:
                ratios = [b["seconds"] / a["seconds"] for a, b in zip(*measured.values(), strict=True)]
                ours, theirs = (np.load(folder / f"{tool}.npy") for tool in ("dross", "pyDVL"))
                gap = np.abs(ours - theirs).max() / np.abs(theirs).max()
                print(f"| {n:,} | {asked.points:,} | pyDVL / dross, run by run | {np.median(ratios):.1f} | |")
                print(f"\nLargest difference of two values: {gap:.1e} of the largest value.")


if __name__ == "__main__":
    main()
