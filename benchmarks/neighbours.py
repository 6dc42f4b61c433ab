"""The ten nearest neighbours of every row, beside faiss's exact and approximate indexes.

    python benchmarks/neighbours.py --rows 20000 50000 --dimensions 384 --runs 3

Rows are drawn around a hundred random centres and scaled to unit length, as embeddings are. Each run is a process of
its own with two threads, the tools in turn; times exclude imports, compilation and making the data; memory is the
growth of the process's peak over the data. Recall is measured on 500 rows against a comparison with all rows.
``--text FILE`` takes the rows of a .npy file instead.
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
from statistics import median

import numpy as np

K = 10
Found = tuple[np.ndarray, float | None]


def make(file: Path, n: int, d: int, centres: int = 100) -> None:
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(centres, d)).astype(np.float32)
    X = middle[rng.integers(0, centres, n)] + rng.standard_normal((n, d), dtype=np.float32)
    np.save(file, X / np.linalg.norm(X, axis=1, keepdims=True))


def run_dross(X: np.ndarray) -> Found:
    from dross.signals.neighbours import nearest_rows

    found = nearest_rows(X, K)
    return found.indices, found.recall


def run_index(X: np.ndarray, name: str, **settings: int) -> Found:
    import faiss

    faiss.omp_set_num_threads(2)
    index = faiss.index_factory(X.shape[1], name)
    if not index.is_trained:
        index.train(X[:: max(1, len(X) // 20_000)])
    for setting, value in settings.items():
        faiss.ParameterSpace().set_index_parameter(index, setting, value)
    index.add(X)
    return index.search(X, K + 1)[1], None


TOOLS = {
    "dross": run_dross,
    "faiss flat": lambda X: run_index(X, "Flat"),
    "faiss IVF": lambda X: run_index(X, f"IVF{int(len(X) ** 0.5)},Flat", nprobe=4),
    "faiss IVF, 16 probes": lambda X: run_index(X, f"IVF{int(len(X) ** 0.5)},Flat", nprobe=16),
    "faiss HNSW": lambda X: run_index(X, "HNSW16", efSearch=64),
}


def recall_of(X: np.ndarray, indices: np.ndarray) -> float:
    rows = np.random.default_rng(1).choice(len(X), min(500, len(X)), replace=False)
    hits = []
    for row in rows:
        distances = ((X - X[row]) ** 2).sum(1)
        distances[row] = np.inf
        others = indices[row][indices[row] != row][:K]
        hits.append((distances[others] <= np.partition(distances, K - 1)[K - 1] * (1 + 1e-5)).sum() / K)
    return float(np.mean(hits))


def one(tool: str, file: Path) -> None:
    """One measured run, printed as JSON."""
    X = np.load(file)
    warm = np.random.default_rng(0).random((6000, 8), dtype=np.float32)
    TOOLS[tool](warm)  # imports and compilation
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, used = time.perf_counter(), time.process_time()
    indices, told = TOOLS[tool](X)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    recall = recall_of(X, indices)
    print(json.dumps({"seconds": seconds, "CPU s": used, "MB": grown, "recall": recall, "told": told}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 50_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--text", type=Path)
    parser.add_argument("--one", choices=TOOLS)
    parser.add_argument("--file", type=Path)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        for n in asked.rows:
            file = asked.text or Path(folder) / f"{n}.npy"
            if not asked.text:
                make(file, n, asked.dimensions)
            compare(n, asked.runs, asked.tools, file)


def compare(n: int, runs: int, tools: list[str], file: Path) -> None:
    """Run the tools in turn and print the medians."""
    results: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    for _ in range(runs):
        for tool in tools:
            command = [sys.executable, __file__, "--one", tool, "--file", str(file)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode:
                raise SystemExit(f"{tool} failed:\n{done.stderr}")
            results[tool].append(json.loads(done.stdout.splitlines()[-1]))
    for tool, each in results.items():
        keys = [key for key, value in each[0].items() if value is not None]
        print(f"{n:>9,} {tool:<22}", "  ".join(f"{key} {median(run[key] for run in each):.4g}" for key in keys))


if __name__ == "__main__":
    main()
