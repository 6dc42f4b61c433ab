"""Conformal prediction sets beside MAPIE's ``SplitConformalClassifier``.

    python benchmarks/conformal.py --rows 100000 --classes 20 --runs 5 --peer PYTHON

Both are given the same float32 probabilities of as many calibration rows as new rows, and both calibrate and give the
set of every new row. Each run is a process of its own, the tools in turn, one thread; times exclude imports,
compilation and reading the data. ``--peer`` names a Python in which ``pip install mapie`` was run. APS is randomised
in both. Coverage and mean size are measured on the new rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

ALPHA = 0.05
Sets = np.ndarray


def make(folder: Path, n: int, k: int) -> None:
    """Probabilities of a good model and the classes drawn from them, for calibration and for new rows."""
    rng = np.random.default_rng(0)
    logits = 4 * rng.standard_normal((2 * n, k), dtype=np.float32)
    probs = np.exp(logits)
    probs /= probs.sum(axis=1, keepdims=True)
    truth = (rng.random((2 * n, 1)) > probs.cumsum(axis=1)).sum(axis=1).clip(max=k - 1)
    np.save(folder / "probs.npy", probs)
    np.save(folder / "truth.npy", truth)


def run_dross(score: str, known: np.ndarray, labels: np.ndarray, new: np.ndarray) -> Sets:
    from dross.models.conformal import calibrate

    rng = np.random.default_rng(0)
    first, second = (rng.random(len(P)) if score == "aps" else None for P in (known, new))
    return calibrate(known, labels, ALPHA, score=score, chance=first).sets(new, second)


def run_mapie(score: str, known: np.ndarray, labels: np.ndarray, new: np.ndarray) -> Sets:
    from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):
        """A fitted model whose features are its probabilities."""

        def __init__(self, k: int = known.shape[1]) -> None:
            self.k, self.classes_, self.fitted_ = k, np.arange(k), True

        def fit(self, X: np.ndarray, y: np.ndarray) -> Given:
            return self

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return X

        def predict(self, X: np.ndarray) -> np.ndarray:
            return X.argmax(axis=1)

    warnings.simplefilter("ignore")
    tool = SplitConformalClassifier(Given(), confidence_level=1 - ALPHA, conformity_score=score, random_state=0)
    tool.conformalize(known, labels)
    options = {"include_last_label": "randomized"} if score == "aps" else {}
    return tool.predict_set(new, conformity_score_params=options)[1][:, :, 0]


TOOLS: dict[str, Callable[[str, np.ndarray, np.ndarray, np.ndarray], Sets]] = {"dross": run_dross, "MAPIE": run_mapie}


def one(tool: str, score: str, folder: Path) -> None:
    """One measured run, printed as JSON."""
    probs, truth = np.load(folder / "probs.npy"), np.load(folder / "truth.npy")
    n = len(probs) // 2
    TOOLS[tool](score, probs[:500], truth[:500], probs[500:1000])  # imports and compilation
    started = time.perf_counter()
    sets = TOOLS[tool](score, probs[:n], truth[:n], probs[n:])
    seconds = time.perf_counter() - started
    covered = float(sets[np.arange(n), truth[n:]].mean())
    print(json.dumps({"seconds": seconds, "coverage": covered, "size": float(sets.sum(axis=1).mean())}))


def measure(folder: Path, score: str, tools: dict[str, str], runs: int) -> dict[str, dict[str, float]]:
    """The median of several runs of each tool, taken in turn."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    kept: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for _ in range(runs):
        for tool, python in tools.items():
            command = [python, __file__, "--one", tool, score, str(folder)]
            done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{tool} failed:\n{done.stderr}")
            kept[tool].append(json.loads(done.stdout.splitlines()[-1]))
    return {tool: {name: float(np.median([run[name] for run in got])) for name in got[0]} for tool, got in kept.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--classes", type=int, nargs="+", default=[20])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help="a Python that has mapie")
    parser.add_argument("--one", nargs=3, metavar=("TOOL", "SCORE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], options.one[1], Path(options.one[2]))
        return
    tools = {"dross": sys.executable} | ({"MAPIE": options.peer} if options.peer else {})
    print("| rows | classes | score | tool | seconds | times slower | coverage | mean size |")
    print("|---|---|---|---|---|---|---|---|")
    for k in options.classes:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), options.rows, k)
            for score in ("lac", "aps"):
                figures = measure(Path(folder), score, tools, options.runs)
                for tool, row in figures.items():
                    slower = row["seconds"] / figures["dross"]["seconds"]
                    print(
                        f"| {options.rows:,} | {k} | {score.upper()} | {tool} | {row['seconds']:.4f} | {slower:.1f} "
                        f"| {row['coverage']:.4f} | {row['size']:.3f} |"
                    )


if __name__ == "__main__":
    main()
