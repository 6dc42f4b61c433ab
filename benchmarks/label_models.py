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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OURS = (
    "auto", "majority", "weighted", "one-coin", "dawid-skene", "bayes", "subtypes", "glad", "triplet", "metal",
    "abstention", "dependent",
)  # fmt: skip
SNORKEL = ("snorkel",)
CROWDKIT = ("crowdkit DawidSkene", "crowdkit OneCoinDawidSkene", "crowdkit GLAD", "crowdkit MACE")
Task = tuple[np.ndarray, np.ndarray, int]
"""Votes (n, m) with -1 for an abstention, the truth (n,) with -1 where unknown, the number of classes."""


# ---- the data ----------------------------------------------------------------------------------------------------


def dense(rows: np.ndarray, sources: np.ndarray, labels: np.ndarray) -> np.ndarray:
    votes = np.full((rows.max() + 1, sources.max() + 1), -1, np.int8)
    votes[rows, sources] = labels
    return votes


def rules(name: str) -> Task:
    import pyarrow.parquet as pq

    votes = np.load(DATA / name / "votes.npz")["votes"]
    truth = pq.read_table(DATA / name / "texts.parquet").column("label").to_numpy()
    return votes, truth, int(max(truth.max(), votes.max())) + 1


def cosine(name: str) -> Task:
    """Only the aggregated vote of the rules is published: one source."""
    import pyarrow.parquet as pq

    table = pq.read_table(DATA / "ws_cosine" / f"{name}.parquet")
    columns = [table.column(c).combine_chunks() for c in ("weak_label", "label")]
    weak, truth = (np.asarray(c.flatten() if name == "mitr_tokens" else c) for c in columns)
    return weak[:, None].astype(np.int8), truth, int(truth.max()) + 1


def crowds() -> Iterator[tuple[str, Task]]:
    import polars as pl

    labels = pl.read_parquet(DATA / "crowd_truth_inference" / "labels.parquet")
    truths = pl.read_parquet(DATA / "crowd_truth_inference" / "truth.parquet")
    for name in sorted(labels["dataset"].unique()):
        some, gold = (
            t.filter(pl.col("dataset") == name).with_columns(pl.all().cast(pl.String)) for t in (labels, truths)
        )
        items = {v: i for i, v in enumerate(some["item"].unique(maintain_order=True))}
        workers = {v: i for i, v in enumerate(some["worker"].unique(maintain_order=True))}
        classes = {v: i for i, v in enumerate(sorted({*some["label"], *gold["truth"]}))}
        codes = [
            np.array([of[v] for v in some[c]]) for c, of in (("item", items), ("worker", workers), ("label", classes))
        ]
        truth = np.full(len(items), -1)
        for item, value in zip(gold["item"], gold["truth"], strict=True):
            if item in items:
                truth[items[item]] = classes[value]
        yield name.rpartition("/")[2], (dense(*codes), truth, len(classes))


def weather(per_tweet: int = 0) -> Task:
    """All 20 labels a tweet, or ``per_tweet`` drawn at random."""
    import polars as pl

    folder = DATA / "crowd_weather_sentiment"
    labels, tweets = pl.read_parquet(folder / "labels.parquet"), pl.read_parquet(folder / "tweets.parquet")
    rows = {v: i for i, v in enumerate(tweets["tweet_id"])}
    classes = {v: i for i, v in enumerate(sorted(labels["label"].unique()))}
    who = {v: i for i, v in enumerate(labels["worker"].unique(maintain_order=True))}
    gold = (tweets["correct_category"] == "Yes") & (tweets["correct_category_conf"] == 1)
    truth = np.where(gold, [classes.get(v, -1) for v in tweets["sentiment"]], -1)
    codes = [
        np.array([of[v] for v in labels[c]]) for c, of in (("tweet_id", rows), ("worker", who), ("label", classes))
    ]
    votes = dense(*codes)
    if per_tweet:
        order = np.where(votes >= 0, np.random.default_rng(0).random(votes.shape), 2)
        votes[order.argsort(axis=1).argsort(axis=1) >= per_tweet] = -1
    return votes, truth, len(classes)


def hate(drawn: int) -> Task:
    """Anonymous votes: ``drawn`` of each tweet's, in random order; the truth is the majority of all its votes."""
    import polars as pl

    table = pl.read_parquet(DATA / "crowd_hate_offensive" / "tweets.parquet")
    counts = table.select("hate_speech", "offensive_language", "neither").to_numpy()
    rng, votes = np.random.default_rng(0), np.full((len(counts), drawn), -1, np.int8)
    for i, row in enumerate(counts):
        votes[i] = rng.permutation(np.repeat(np.arange(3), row))[:drawn]
    return votes, table["class"].to_numpy(), 3


def real_sets() -> Iterator[tuple[str, Task]]:
    for name in ("ws_youtube", "ws_sms_rules", "ws_hausa"):
        yield name, rules(name)
    for name in ("agnews", "imdb", "yelp", "mitr_tokens"):
        yield f"ws_cosine {name}", cosine(name)
    yield from crowds()
    yield "weather", weather()
    yield "weather, 5 a tweet", weather(5)
    yield "hate, 2 a tweet", hate(2)
    yield "hate, 3 a tweet", hate(3)


def independent(n: int, m: int = 20, low: float = 0.55, high: float = 0.9, *, seed: int = 0) -> Task:
    """Sources of accuracy ``low`` to ``high`` with 40 % abstentions, two classes, independent given the truth."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4).astype(np.int64)
    right = rng.random((n, m)) < np.linspace(low, high, m)
    votes = np.where(right, truth[:, None], 1 - truth[:, None]).astype(np.int8)
    votes[rng.random((n, m)) < 0.4] = -1
    return votes, truth, 2


def correlated(n: int, m: int = 20, *, seed: int = 0) -> Task:
    """The same, but the eight least accurate repeat one leader of accuracy 0.6 in 80 % of their votes."""
    return repeat(*independent(n, m, seed=seed), np.arange(8), 0.6, 0.8, seed)


def misleading(n: int, m: int = 20, *, seed: int = 0) -> Task:
    """Accuracies 0.6 to 0.8; six sources of all qualities repeat a leader of accuracy 0.7 in 90 % of their votes."""
    rng = np.random.default_rng(seed)
    return repeat(*independent(n, m, 0.6, 0.8, seed=seed), rng.permutation(m)[:6], 0.7, 0.9, seed)


def repeat(
    votes: np.ndarray, truth: np.ndarray, k: int, who: np.ndarray, accuracy: float, rate: float, seed: int
) -> Task:
    rng = np.random.default_rng(seed + 1000)
    leader = np.where(rng.random(len(truth)) < accuracy, truth, 1 - truth)
    copied = (rng.random((len(truth), len(who))) < rate) & (votes[:, who] >= 0)
    votes[:, who] = np.where(copied, leader[:, None], votes[:, who])
    return votes, truth, k


def sparse(n: int, m: int = 50, *, seed: int = 0) -> Task:
    """Every source votes on a tenth of the rows."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n, dtype=np.float32) < 0.4).astype(np.int8)
    votes = np.full((n, m), -1, np.int8)
    for j, accuracy in enumerate(np.linspace(0.55, 0.9, m)):
        drawn = rng.random(n, dtype=np.float32)
        said = np.where(rng.random(n, dtype=np.float32) < accuracy, truth, 1 - truth)
        votes[:, j] = np.where(drawn < 0.1, said, -1)
    return votes, truth, 2


MADE = {"independent": independent, "correlated": correlated, "misleading": misleading}


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
