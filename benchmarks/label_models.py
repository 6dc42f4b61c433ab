"""Label models beside Snorkel's LabelModel and crowd-kit on the same votes: accuracy on real sets, speed, memory.

    python benchmarks/label_models.py accuracy speed memory --runs 5 --peer PYTHON

``--peer`` names a Python in which ``pip install snorkel==0.10.0 crowd-kit`` was run. Accuracy is that of the likeliest
class on rows with a known truth and at least one vote; a tie of two classes counts one half. Each timed run is a
process of its own, the tools in turn; times exclude imports, compilation and making the input (for crowd-kit: its data
frame of votes), memory is the growth of the process's peak. Two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from label_model_sets import MADE, Task, real_sets, sparse

OURS = (
    "auto", "majority", "weighted", "one-coin", "dawid-skene", "bayes", "subtypes", "glad", "triplet", "metal",
    "abstention", "dependent",
)  # fmt: skip
SNORKEL = ("snorkel",)
CROWDKIT = ("crowdkit DawidSkene", "crowdkit OneCoinDawidSkene", "crowdkit GLAD", "crowdkit MACE")


# ---- the tools ---------------------------------------------------------------------------------------------------


def run_snorkel(votes: np.ndarray, k: int) -> np.ndarray:
    import torch
    from snorkel.labeling.model import LabelModel

    torch.set_num_threads(2)
    model = LabelModel(cardinality=k, verbose=False)
    model.fit(votes.astype(np.int64), seed=0, progress_bar=False)  # its defaults: 100 epochs, uniform balance
    return model.predict_proba(votes.astype(np.int64))


def run_crowdkit(tool: str, frame: Any, n: int, k: int) -> np.ndarray:
    import crowdkit.aggregation as ck

    made = {
        "DawidSkene": lambda: ck.DawidSkene(n_iter=100),
        "OneCoinDawidSkene": lambda: ck.OneCoinDawidSkene(n_iter=100),
        "GLAD": ck.GLAD,
        "MACE": lambda: ck.MACE(random_state=0),
    }[tool]()
    probs = made.fit_predict_proba(frame)
    out = np.zeros((n, k))
    out[np.ix_(probs.index, probs.columns)] = np.nan_to_num(probs.to_numpy())
    return out


def run(tool: str, votes: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """Probabilities (n, k) and the seconds they took."""
    if tool in SNORKEL:
        started = time.perf_counter()
        return run_snorkel(votes, k), time.perf_counter() - started
    if tool in CROWDKIT:
        import pandas as pd

        rows, who = np.nonzero(votes >= 0)
        frame = pd.DataFrame({"task": rows, "worker": who, "label": votes[rows, who]})
        started = time.perf_counter()
        return run_crowdkit(tool.split()[1], frame, len(votes), k), time.perf_counter() - started
    from dross.models.label_models import fit
    from dross.models.votes import from_matrix

    started = time.perf_counter()
    return fit(tool, from_matrix(votes, k)).probs, time.perf_counter() - started


def accuracy(probs: np.ndarray, votes: np.ndarray, truth: np.ndarray) -> float:
    """Percent of rows with a vote and a truth that are right; a tie of ``t`` classes counts ``1 / t``."""
    rows = np.flatnonzero((truth >= 0) & (votes >= 0).any(axis=1))
    best = probs[rows] >= probs[rows].max(axis=1, keepdims=True) - 1e-9
    return float(100 * (best[np.arange(len(rows)), truth[rows]] / best.sum(axis=1)).mean())


# ---- the measurements --------------------------------------------------------------------------------------------


def one(tool: str, file: Path) -> None:
    """One measured run, printed as JSON."""
    warnings.filterwarnings("ignore")
    made = np.load(file)
    votes, truth, k = made["votes"], made["truth"], int(made["k"])
    try:
        run(tool, votes[: min(len(votes), 3000)], k)  # imports and compilation
        before = peak()
        probs, seconds = run(tool, votes, k)
    except ValueError as refused:  # Snorkel refuses fewer than three sources
        print(json.dumps({"refused": str(refused)}))
        return
    print(json.dumps({"accuracy": accuracy(probs, votes, truth), "seconds": seconds, "MB": peak() - before}))


def several(tools: list[str], file: Path, most: float) -> None:
    """The accuracy of several tools in one process, printed as JSON; nothing for one that refuses or is too slow."""
    warnings.filterwarnings("ignore")
    made = np.load(file)
    votes, truth, k = made["votes"], made["truth"], int(made["k"])

    def ring(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, ring)
    found = {}
    for tool in tools:
        signal.alarm(round(most))
        try:
            found[tool] = accuracy(run(tool, votes, k)[0], votes, truth)
        except (ValueError, TimeoutError):  # Snorkel refuses fewer than three sources
            continue
        finally:
            signal.alarm(0)
    print(json.dumps(found))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(task: Task, tools: dict[str, str], runs: int, most: float) -> dict[str, dict[str, float]]:
    """The medians of several runs of each tool, taken in turn; nothing for one that refuses or exceeds ``most`` s."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    kept: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "task.npz"
        np.savez(file, votes=task[0], truth=task[1], k=task[2])
        for _ in range(runs):
            for tool, python in tools.items():
                command = [python, __file__, "--one", tool, str(file)]
                try:
                    done = subprocess.run(
                        command, env=os.environ | threads, capture_output=True, text=True, check=False, timeout=most
                    )
                except subprocess.TimeoutExpired:
                    continue
                if done.returncode:
                    sys.exit(f"{tool} failed:\n{done.stderr}")
                row = json.loads(done.stdout.splitlines()[-1])
                if "refused" not in row:
                    kept[tool].append(row)
    return {
        tool: {name: float(np.median([row[name] for row in rows])) for name in rows[0]} if rows else {}
        for tool, rows in kept.items()
    }


def accuracies(tools: dict[str, str], most: float, wanted: list[str]) -> None:
    print("| votes | " + " | ".join(tools) + " |\n|---|" + "---|" * len(tools))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "task.npz"
        for name, task in real_sets():
            if wanted and name not in wanted:
                continue
            np.savez(file, votes=task[0], truth=task[1], k=task[2])
            found: dict[str, float] = {}
            for python in dict.fromkeys(tools.values()):
                own = [tool for tool, its in tools.items() if its == python]
                command = [python, __file__, *own, "--several", str(file), "--most", str(most)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    sys.exit(f"{name} failed:\n{done.stderr}")
                found |= json.loads(done.stdout.splitlines()[-1])
            cells = [f"{found[tool]:.1f}" if tool in found else "–" for tool in tools]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def speeds(tools: dict[str, str], runs: int, most: float) -> None:
    print("| votes | tool | seconds | times slower than auto | extra MB | accuracy |\n|---|---|---|---|---|---|")
    for name, make in MADE.items():
        figures = measure(make(100_000), tools, runs, most)
        for tool, row in figures.items():
            if not row:
                print(f"| {name}, 100k x 20 | {tool} | over {most:.0f} | | | |")
                continue
            slower = row["seconds"] / figures["auto"]["seconds"]
            print(
                f"| {name}, 100k x 20 | {tool} | {row['seconds']:.3f} | {slower:.1f} | {row['MB']:.0f} "
                f"| {row['accuracy']:.2f} |",
                flush=True,
            )


def memory(rows: int) -> None:
    """The default on sparse votes given as arrays, in this process: seconds, and the peak over the votes."""
    from dross.models.label_models import fit
    from dross.models.votes import from_matrix

    fit("auto", from_matrix(sparse(3000)[0], 2))
    votes, truth, _ = sparse(rows)
    seen = (votes >= 0).any(axis=1)
    listed = from_matrix(votes, 2)
    size = sum(a.nbytes for a in (listed.starts, listed.annotators, listed.labels)) / 2**20
    del votes
    before, started = current(), time.perf_counter()
    with Sampled() as sampled:
        found = fit("auto", listed)
    seconds = time.perf_counter() - started
    right = float((found.probs[seen].argmax(axis=1) == truth[seen]).mean())
    print("| rows | votes | MB of votes | model | seconds | extra MB (of which answer) | accuracy |\n|" + "---|" * 7)
    print(
        f"| {rows:,} x 50 | {len(listed.labels):,} | {size:.0f} | {found.model} | {seconds:.1f} "
        f"| {sampled.most - before:.0f} ({found.probs.nbytes / 2**20:.0f}) | {100 * right:.2f} |"
    )


def current() -> float:
    """The memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Sampled:
    """The most memory this process held in between, read every 20 ms."""

    def __enter__(self) -> Sampled:
        self.most, self._stop = current(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.most = max(self.most, current())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="accuracy, speed, memory; all when none is named")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the memory part")
    parser.add_argument("--most", type=float, default=600, help="seconds after which a tool is given up")
    parser.add_argument("--sets", nargs="*", default=[], help="only these sets of the accuracy part")
    parser.add_argument("--tools", nargs="*", default=[], help="only these tools")
    parser.add_argument("--peer", help="a Python that has snorkel and crowd-kit")
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--several", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.several:
        several(options.parts, Path(options.several), options.most)
        return
    if options.one:
        one(options.one[0], Path(options.one[1]))
        return
    tools = dict.fromkeys(OURS, sys.executable)
    if options.peer:
        tools |= dict.fromkeys((*SNORKEL, *CROWDKIT), options.peer)
    tools = {tool: python for tool, python in tools.items() if not options.tools or tool in options.tools}
    parts = options.parts or ["accuracy", "speed", "memory"]
    if "accuracy" in parts:
        accuracies(tools, options.most, options.sets)
    if "speed" in parts:
        speeds(tools, options.runs, options.most)
    if "memory" in parts:
        memory(options.rows)


if __name__ == "__main__":
    main()
