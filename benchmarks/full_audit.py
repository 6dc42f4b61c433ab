"""A full audit beside Datalab's full ``find_issues``, on the same features, labels and probabilities.

    python benchmarks/full_audit.py --rows 20000 50000 --runs 5

Each run is a process of its own, the two tools in turn; times exclude imports and data loading, memory is the growth of
the process's peak over the loaded inputs. Needs ``pip install "cleanlab[datalab]==2.9.0"`` beside dross.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def make(folder: Path, n: int, d: int = 384, k: int = 10, noise: float = 0.1) -> None:
    """Clustered features, labels with uniform noise, and probabilities of a good but uncertain model."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, k, n)
    centres = rng.normal(size=(k * 20, d))
    X = centres[truth * 20 + rng.integers(0, 20, n)] + rng.normal(scale=1.2, size=(n, d))
    labels = np.where(rng.random(n) < noise, rng.integers(0, k, n), truth)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += 3
    probs = np.exp(logits)
    np.save(folder / "X.npy", X.astype(np.float32))
    np.save(folder / "labels.npy", labels)
    np.save(folder / "probs.npy", (probs / probs.sum(1, keepdims=True)).astype(np.float32))


def run_dross(X: np.ndarray, labels: np.ndarray, probs: np.ndarray) -> dict[str, float]:
    import dross

    data = dross.load({"label": labels}, label="label", embedding=X, pred_probs=probs)
    done = dross.audit(data)
    return {"kinds": len(done.run["issues"]), "flagged labels": done.run["issues"]["label"]["flagged"]}


def run_datalab(X: np.ndarray, labels: np.ndarray, probs: np.ndarray) -> dict[str, float]:
    from cleanlab import Datalab

    lab = Datalab({"y": labels}, label_name="y", verbosity=0)
    lab.find_issues(features=X, pred_probs=probs)
    return {
        "kinds": len(lab.get_issue_summary()),
        "flagged labels": int(lab.get_issues("label")["is_label_issue"].sum()),
    }


TOOLS = {"dross": run_dross, "datalab": run_datalab}


def one(tool: str, folder: Path) -> None:
    """One measured run, printed as JSON."""
    X, labels, probs = (np.load(folder / f"{name}.npy") for name in ("X", "labels", "probs"))
    if tool == "dross":
        import faiss  # noqa: F401
        import numba  # noqa: F401
    else:
        import cleanlab  # noqa: F401
        import datasets  # noqa: F401
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    result = TOOLS[tool](X, labels, probs)
    seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"tool": tool, "seconds": seconds, "MB": grown, **result}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 50_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--one", choices=TOOLS)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.folder)
        return
    print("| rows | tool | seconds (median) | extra MB | kinds of issue |\n|---|---|---|---|---|")
    for n in asked.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            make(folder, n)
            measured: dict[str, list[dict[str, float]]] = {tool: [] for tool in TOOLS}
            for _ in range(asked.runs + 1):  # the first of each compiles and warms up
                for tool in TOOLS:
                    command = [sys.executable, __file__, "--one", tool, "--folder", str(folder)]
                    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                    measured[tool].append(json.loads(out.splitlines()[-1]))
        medians = {}
        for tool, runs in measured.items():
            medians[tool] = float(np.median([r["seconds"] for r in runs[1:]]))
            megabytes = float(np.median([r["MB"] for r in runs[1:]]))
            print(f"| {n:,} | {tool} | {medians[tool]:.2f} | {megabytes:,.0f} | {runs[-1]['kinds']} |")
        ratio = np.median([b["seconds"] / a["seconds"] for a, b in zip(*measured.values(), strict=True)][1:])
        print(f"| {n:,} | datalab / dross, run by run | {ratio:.1f} | | |")


if __name__ == "__main__":
    main()
