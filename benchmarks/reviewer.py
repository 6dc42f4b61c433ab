"""A simulated reviewer with known truth: wrong labels found per hundred decisions, by the order of the queue.

    python benchmarks/reviewer.py --cache ../reviewer [--seeds 3] [--tuning] [--write docs/reviewer.md]

Labels are audited; then the reviewer goes down the queue in batches of ten and says truthfully whether each label is
wrong. Three orders are compared: random, the audit's own (the plain score order), and the audit's re-scored by
:mod:`dross.review.teach` after each batch. Each seed draws its own subset of the rows. The priors of the re-scoring
were chosen on other data, which ``--tuning`` measures in the same way. Needs the real data beside the checkout, in
../shared/data. Evidence is kept in the cache folder, so that a second run takes seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from calibration import NOISE, SETS, SHARED, Problem

import dross
from dross.core.dataset import Dataset
from dross.core.registry import detectors
from dross.core.results import Issue
from dross.core.signal import Signals
from dross.review.teach import Evidence, rescore
from dross.signals.embedding import Embedding
from dross.testing.planted import table_dataset

MARKS = (100, 200, 500, 1000)
BATCH = 10
ROWS = 6000
"""Rows of each subset."""
Labels = Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]
"""What kind of wrong labels, the rows, their labels, and which are wrong."""


def subset(n: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng([seed, 1]).permutation(n)[:ROWS])


# ---- the data -------------------------------------------------------------------------------------------------------


def came_with(p: Problem, seed: int) -> Labels:
    """The labels that people or rules gave."""
    for kind, given in p.given.items():
        rows = subset(len(p.truth), seed)
        rows = rows[given[rows] >= 0]
        yield kind, rows, given[rows], given[rows] != p.truth[rows]


def mnist(p: Problem, seed: int) -> Labels:
    """Fifteen errors that five judges agreed on; and mistakes that a model would make, planted."""
    judged = pq.read_table(SHARED / "mnist_label_errors/verified.parquet")
    at, ok = judged.column("index").to_numpy(), np.array(judged.column("verdict").to_pylist()) == "given_ok"
    known = np.zeros(len(p.truth), bool)
    known[at[~ok]] = True
    others = np.setdiff1d(subset(len(p.truth), seed), at)
    rows = np.sort(np.concatenate([at, others]))
    yield "15 errors that judges found", rows, p.truth[rows], known[rows]
    rows = rows[~known[rows]]
    probs = np.load(SHARED / "mnist_label_errors/mnist_test.npz")["pred_probs"].astype(float)[rows]
    for kind, rate in (("doubtful rows", 0.05), ("pairwise", 0.05), ("one-sided", 0.05)):
        labels = NOISE[kind][0](p.truth[rows], 10, rate, np.random.default_rng(seed), probs)
        yield f"planted: {kind}", rows, labels, labels != p.truth[rows]


def planted(p: Problem, seed: int) -> Labels:
    """Mistakes that depend on the class."""
    rows = subset(len(p.truth), seed)
    truth = np.unique(p.truth[rows], return_inverse=True)[1]
    for kind in ("pairwise", "one-sided", "symmetric"):
        labels = NOISE[kind][0](truth, int(truth.max()) + 1, 0.1, np.random.default_rng(seed), np.empty(0))
        yield f"planted: {kind}", rows, labels, labels != truth


HELD_OUT: dict[str, Callable[[Problem, int], Labels]] = {"CIFAR-10N": came_with, "MNIST": mnist}
TUNING: dict[str, Callable[[Problem, int], Labels]] = {
    "digits": planted,
    "AG News": came_with,
    "Yelp": came_with,
    "IMDb": came_with,
    "20 Newsgroups": planted,
    "Banking77": planted,
    "Adult": planted,
}


def embedded(name: str, p: Problem, cache: Path) -> np.ndarray:
    """The embedding of all rows, made once."""
    file = cache / f"{name}.npy"
    if not file.exists():
        np.save(file, Signals(Dataset(pa.table(p.columns), p.roles))[Embedding()])
    return np.load(file)


def audited(file: Path, X: np.ndarray, labels: np.ndarray, wrong: np.ndarray, seed: int) -> tuple[Evidence, np.ndarray]:
    """The evidence of the label findings and which of them are true, from the cache or from an audit now."""
    if not file.exists():
        methods = [d.name() for d in detectors() if d.finds is Issue.LABEL and d.default]
        data = table_dataset(X, labels)
        table = dross.audit(data, only=methods, seed=seed).tables["label"]
        rows = table["row"].to_numpy()
        made = Evidence.of_table(table, classes=data.classes, given=data.codes[rows], vectors=X[rows])
        np.savez_compressed(file, wrong=wrong[rows], **{f.name: getattr(made, f.name) for f in fields(made)})
    kept = np.load(file)
    parts = {f.name: kept[f.name] for f in fields(Evidence)}
    parts["names"] = tuple(kept["names"].tolist())
    return Evidence(**parts), kept["wrong"]


# ---- the reviewer ---------------------------------------------------------------------------------------------------


def review(wrong: np.ndarray, order: Callable[[np.ndarray], np.ndarray]) -> list[int]:
    """True defects found at each mark; ``order(decided)`` is the queue after the decisions so far."""
    left = np.ones(len(wrong), bool)
    decided = np.empty(0, np.int64)
    while len(decided) < min(MARKS[-1], len(wrong)):
        queue = order(decided)
        batch = queue[left[queue]][:BATCH]
        left[batch] = False
        decided = np.concatenate([decided, batch])
    found = np.cumsum(wrong[decided])
    return [int(found[min(mark, len(found)) - 1]) for mark in MARKS]


def compare(evidence: Evidence, wrong: np.ndarray, seed: int) -> dict[str, list[int]]:
    nothing = np.empty(0, np.int64)
    random = np.random.default_rng([seed, 2]).permutation(len(evidence))
    plain = rescore(evidence, nothing, nothing).order()
    return {
        "random": review(wrong, lambda _: random),
        "plain": review(wrong, lambda _: plain),
        "re-scored": review(wrong, lambda decided: rescore(evidence, decided, wrong[decided]).order()),
    }


def measure(sets: dict[str, Callable[[Problem, int], Labels]], seeds: int, cache: Path) -> Iterator[str]:
    """The lines of the table."""
    yield f"| data | wrong labels | order | {' | '.join(f'found in {mark}' for mark in MARKS)} |"
    yield "|" + "---|" * (3 + len(MARKS))
    for name, labellings in sets.items():
        p = SETS[name]()
        X = embedded(name, p, cache)
        runs: dict[str, list[dict[str, list[int]]]] = {}
        sizes: dict[str, list[tuple[int, int]]] = {}
        for seed in range(seeds):
            for kind, rows, labels, wrong in labellings(p, seed):
                started = time.perf_counter()
                file = cache / f"{name}-{kind}-{seed}.npz".replace(" ", "_").replace(":", "")
                evidence, true = audited(file, X[rows], labels, wrong, seed)
                runs.setdefault(kind, []).append(compare(evidence, true, seed))
                sizes.setdefault(kind, []).append((int(wrong.sum()), len(wrong)))
                print(f"{name}, {kind}, {seed}: {time.perf_counter() - started:.0f} s", flush=True)
        for kind, own in runs.items():
            count, n = np.mean(sizes[kind], axis=0)
            yield from lines(f"{name}, {kind}", f"{count:.0f} of {n:,.0f}", own)


def lines(title: str, size: str, runs: list[dict[str, list[int]]]) -> Iterator[str]:
    found = {order: np.array([run[order] for run in runs], float) for order in runs[0]}
    found["re-scored less plain"] = found["re-scored"] - found["plain"]
    for order, counts in found.items():
        error = counts.std(axis=0, ddof=1) / np.sqrt(len(counts)) if len(counts) > 1 else 0 * counts[0]
        sign = "+" if "less" in order else ""
        cells = " | ".join(f"{m:{sign}.1f} ± {e:.1f}" for m, e in zip(counts.mean(axis=0), error, strict=True))
        yield f"| {title} | {size} | {order} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--tuning", action="store_true", help="measure the data that the priors were chosen on")
    parser.add_argument("--only", nargs="+", choices=[*HELD_OUT, *TUNING])
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    sets = TUNING if asked.tuning else HELD_OUT
    sets = {name: sets[name] for name in asked.only or sets}
    table = list(measure(sets, asked.seeds, asked.cache))
    print("\n".join(table))
    if asked.write:
        asked.write.write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
