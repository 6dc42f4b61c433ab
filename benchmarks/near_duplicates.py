"""Near-duplicates of 150-word documents beside rensa and datasketch, all at word 3-grams.

    python benchmarks/near_duplicates.py --rows 50000 200000 --runs 5 --peer PYTHON

A tenth of the documents are copies of others in which each word was replaced with probability 0.05. Each run is a
process of its own, the tools in turn; times exclude imports, compilation and reading the documents (a list of strings
for the peers, an Arrow column for dross), memory is the growth of the process's peak (Linux) over the loaded documents.
``rensa`` is its fastest way, which only says whether a document has a copy; ``rensa-twins`` also names candidates.
``--peer`` names a Python in which ``pip install rensa datasketch pyarrow`` was run.
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
from typing import Any

WORDS, COPIES, EDITS, PERMUTATIONS = 150, 0.1, 0.05, 128


def make(folder: Path, n: int, seed: int = 0) -> None:
    """Documents of words drawn by Zipf's law; the last tenth are edited copies of the first."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    vocabulary, chance = words_by_zipf(rng)
    words = rng.choice(len(vocabulary), (n, WORDS), p=chance).astype(np.int32)
    m = int(n * COPIES)
    fresh = rng.integers(0, len(vocabulary), (m, WORDS))
    words[n - m :] = np.where(rng.random((m, WORDS)) < EDITS, fresh, words[:m])
    texts = [" ".join(vocabulary[row]) for row in words]
    pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), folder / "texts.parquet")


def words_by_zipf(rng: Any) -> tuple[Any, Any]:
    """20,000 made words, and the chance of each."""
    import numpy as np

    sizes = rng.integers(3, 10, 20_000)
    vocabulary = np.array(["".join(chr(97 + c) for c in rng.integers(0, 26, size)) for size in sizes])
    chance = 1 / np.arange(1, len(vocabulary) + 1)
    return vocabulary, chance / chance.sum()


def run_dross(column: Any) -> tuple[list[int], list[int]]:
    from dross.core.dataset import Dataset
    from dross.core.roles import Role
    from dross.core.signal import Signals
    from dross.detect.near_duplicates import NearDuplicates

    data = Dataset(column, {Role.TEXT: ["text"]})
    found = NearDuplicates().run(data, Signals(data))
    return found.rows.tolist(), found.suggestion.tolist()


def pieces(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + 3]) for i in range(len(words) - 2)]


def run_rensa(texts: list[str]) -> tuple[list[int], None]:
    """One digest matrix and its duplicate flags: which documents share a band with another."""
    from rensa import RMinHash, RMinHashLSH

    matrix = RMinHash.digest_matrix_from_token_sets([pieces(t) for t in texts], PERMUTATIONS, 42)
    flags = RMinHashLSH(0.5, PERMUTATIONS, 32).query_duplicate_flags_matrix_one_shot(matrix)
    return [i for i, flag in enumerate(flags) if flag], None


def run_rensa_twins(texts: list[str]) -> tuple[list[int], list[int]]:
    """Its index, queried for every document; the most similar earlier candidate of 0.5 or more is the twin."""
    from rensa import RMinHash, RMinHashLSH

    hashes = RMinHash.from_token_sets([pieces(t) for t in texts], PERMUTATIONS, 42)
    index = RMinHashLSH(0.5, PERMUTATIONS, 32)
    index.insert_many(hashes)
    rows, twins = [], []
    for i, candidates in enumerate(index.query_all(hashes)):
        alike = [(hashes[i].jaccard(hashes[j]), -j) for j in candidates if j < i]
        if alike and max(alike)[0] >= 0.5:
            rows.append(i)
            twins.append(-max(alike)[1])
    return rows, twins


def run_datasketch(texts: list[str]) -> tuple[list[int], list[int]]:
    from datasketch import MinHash, MinHashLSH

    sets = [[p.encode() for p in pieces(t)] for t in texts]
    index = MinHashLSH(params=(32, 4), num_perm=PERMUTATIONS)
    rows, twins = [], []
    for i, minhash in enumerate(MinHash.generator(sets, num_perm=PERMUTATIONS)):
        before = index.query(minhash)
        if before:
            rows.append(i)
            twins.append(before[0])
        index.insert(i, minhash, check_duplication=False)
    return rows, twins


TOOLS = {"dross": run_dross, "rensa": run_rensa, "rensa-twins": run_rensa_twins, "datasketch": run_datasketch}


def memory() -> float:
    """The largest memory of this process since the count was last set back, in MB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def one(tool: str, folder: Path) -> None:
    """One measured run, printed as JSON."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "texts.parquet")
    documents = table if tool == "dross" else table["text"].to_pylist()
    TOOLS[tool](documents[:200])  # imports and compilation
    if tool != "dross":
        del table
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak is counted anew
    before = memory()
    started = time.perf_counter()
    rows, twins = TOOLS[tool](documents)
    seconds = time.perf_counter() - started
    grown = memory() - before
    n = len(documents)
    m = int(n * COPIES)
    sources = set(range(m)) if twins is None else set()  # flags alone cannot tell the copy from its source
    found = set(rows) - sources
    hits = sum(row >= n - m for row in found)
    right = (
        None if twins is None else sum(r >= n - m and t == r - (n - m) for r, t in zip(rows, twins, strict=True)) / m
    )
    precision = hits / max(len(found), 1)
    print(
        json.dumps({"seconds": seconds, "MB": grown, "recall": hits / m, "precision": precision, "twin right": right})
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=["dross", "rensa", "rensa-twins"])
    parser.add_argument("--one", choices=TOOLS)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.folder)
        return
    for n in asked.rows:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), n)
            compare(n, asked.runs, asked.tools, asked.peer, folder)


def compare(n: int, runs: int, tools: list[str], peer: str, folder: str) -> None:
    """Run the tools in turn and print the medians."""
    from statistics import median

    results: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "RAYON_NUM_THREADS": "2"}
    for _ in range(runs):
        for tool in tools:
            python = sys.executable if tool == "dross" else peer
            command = [python, __file__, "--one", tool, "--folder", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode:
                raise SystemExit(f"{tool} failed:\n{done.stderr}")
            results[tool].append(json.loads(done.stdout.splitlines()[-1]))
    for tool, runs_of_it in results.items():
        shown = {key: median(run[key] for run in runs_of_it) for key in runs_of_it[0] if runs_of_it[0][key] is not None}
        print(f"{n:>9,} {tool:<12}", "  ".join(f"{key} {value:.4g}" for key, value in shown.items()))
    for tool in tools:
        if tool != "dross" and "dross" in tools:
            ratios = [a["seconds"] / b["seconds"] for a, b in zip(results[tool], results["dross"], strict=True)]
            print(f"{n:>9,} {tool} takes {median(ratios):.1f} times as long as dross (median of paired runs)")


if __name__ == "__main__":
    main()
