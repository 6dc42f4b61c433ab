"""Label errors from given probabilities beside cleanlab's ``find_label_issues`` and its batched form.

    python benchmarks/label_errors.py --rows 1000000 --classes 20 100 --runs 5 --peer PYTHON

Each run is a process of its own, the tools in turn; times exclude imports, compilation and reading the data, memory is
the growth of the process's peak (and its largest child's) over the loaded inputs. ``--peer`` names a Python in which
``pip install cleanlab`` was run. All get float32 probabilities and two threads or processes. The last table compares
the ranking of rows whose truth is known: scikit-learn's digits and the synthetic rows, labels wrong by class.
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
from collections.abc import Callable
from pathlib import Path

import numpy as np

Found = tuple[np.ndarray, np.ndarray]


def make(folder: Path, n: int, k: int) -> None:
    """Probabilities of a good model, and labels of which a tenth is another class drawn from a few per class."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, k, n)
    wrong = (truth + 1 + rng.integers(0, min(4, k - 1), n)) % k
    labels = np.where(rng.random(n) < 0.1, wrong, truth)
    probs = rng.standard_normal((n, k), dtype=np.float32)
    probs[np.arange(n), truth] += 4
    np.exp(probs, out=probs)
    probs /= probs.sum(axis=1, keepdims=True)
    for name, array in {"labels": labels, "probs": probs, "truth": truth}.items():
        np.save(folder / f"{name}.npy", array)


def make_digits(folder: Path, seed: int) -> None:
    """Out-of-fold probabilities of a logistic regression on digits, of which a fifth carries a wrong label."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    X, truth = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    shift = rng.integers(1, 10, (10, 3))[truth, rng.integers(0, 3, len(truth))]
    labels = np.where(rng.random(len(truth)) < 0.2, (truth + shift) % 10, truth)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = LogisticRegression(max_iter=500)
    probs = cross_val_predict(model, X / 16, labels, cv=folds, method="predict_proba").astype(np.float32)
    for name, array in {"labels": labels, "probs": probs, "truth": truth}.items():
        np.save(folder / f"{name}.npy", array)


def run_dross(labels: np.ndarray, probs: np.ndarray) -> Found:
    from dross.detect.confident_learning import find_label_issues

    return find_label_issues(labels, probs)


def run_cleanlab(labels: np.ndarray, probs: np.ndarray) -> Found:
    from cleanlab.filter import find_label_issues

    return find_label_issues(labels, probs), np.empty(0)


def run_batched(labels: np.ndarray, probs: np.ndarray) -> Found:
    from cleanlab.experimental.label_issues_batched import find_label_issues_batched

    issues = find_label_issues_batched(labels=labels, pred_probs=probs, verbose=False)
    mask = np.zeros(len(labels), bool)
    mask[issues] = True
    return mask, np.empty(0)


TOOLS: dict[str, Callable[[np.ndarray, np.ndarray], Found]] = {
    "dross": run_dross,
    "cleanlab": run_cleanlab,
    "cleanlab batched": run_batched,
}


def scores_of(tool: str, labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    if tool == "dross":
        return run_dross(labels, probs)[1]
    from cleanlab.rank import get_label_quality_scores

    return 1 - get_label_quality_scores(labels, probs)


def one(tool: str, folder: Path) -> None:
    """One measured run, printed as JSON."""
    labels, probs, truth = (np.load(folder / f"{name}.npy") for name in ("labels", "probs", "truth"))
    TOOLS[tool](labels[:500], probs[:500])  # imports and compilation
    before, spent = peak(), cpu()
    started = time.perf_counter()
    mask, _ = TOOLS[tool](labels, probs)
    seconds = time.perf_counter() - started
    grown, spent = peak() - before, cpu() - spent
    wrong = labels != truth
    hits = int((mask & wrong).sum())
    print(
        json.dumps(
            {
                "seconds": seconds,
                "CPU": spent,
                "MB": grown,
                "precision": hits / max(1, int(mask.sum())),
                "recall": hits / int(wrong.sum()),
                "AUROC": auroc(wrong, scores_of(tool, labels, probs)),
            }
        )
    )


def auroc(wrong: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a wrong row scores above a right one."""
    order = np.argsort(scores, kind="stable")
    _, inverse, counts = np.unique(scores[order], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    m = int(wrong.sum())
    return float((ranks[wrong[order]].sum() - m * (m + 1) / 2) / (m * (len(wrong) - m)))


def peak() -> float:
    """The largest memory of this process and of its largest child so far, in MB."""
    return sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def cpu() -> float:
    """Processor seconds of this process and of its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def measure(folder: Path, tools: dict[str, str], runs: int) -> dict[str, dict[str, float]]:
    """The median of several runs of each tool, taken in turn."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    kept: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for _ in range(runs):
        for tool, python in tools.items():
            command = [python, __file__, "--one", tool, str(folder)]
            done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{tool} failed:\n{done.stderr}")
            kept[tool].append(json.loads(done.stdout.splitlines()[-1]))
    return {tool: {name: float(np.median([run[name] for run in got])) for name in got[0]} for tool, got in kept.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help="a Python that has cleanlab")
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], Path(options.one[1]))
        return
    tools = {"dross": sys.executable}
    if options.peer:
        tools |= {"cleanlab": options.peer, "cleanlab batched": options.peer}
    print("| rows | classes | tool | seconds | times slower | CPU seconds | extra MB | precision | recall | AUROC |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for k in options.classes:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), options.rows, k)
            report(f"{options.rows:,} | {k}", measure(Path(folder), tools, options.runs))
    with tempfile.TemporaryDirectory() as folder:
        make_digits(Path(folder), 0)
        report("digits 1,797 | 10", measure(Path(folder), tools, 1))


def report(what: str, figures: dict[str, dict[str, float]]) -> None:
    for tool, row in figures.items():
        slower = row["seconds"] / figures["dross"]["seconds"]
        print(
            f"| {what} | {tool} | {row['seconds']:.3f} | {slower:.1f} | {row['CPU']:.2f} | {row['MB']:.0f} "
            f"| {row['precision']:.3f} | {row['recall']:.3f} | {row['AUROC']:.5f} |"
        )


if __name__ == "__main__":
    main()
