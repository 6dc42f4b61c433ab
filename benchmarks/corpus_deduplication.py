"""Near-duplicates of a corpus on disk, from files to files, beside datatrove, rensa and text-dedup.

    python benchmarks/corpus_deduplication.py --rows 200000 --files 8 --peer PYTHON [--tools dross rensa …]

A tenth of the documents, of 150 words each, are copies of others in which each word was replaced with probability 0.05;
they are written as JSON Lines. Each tool is one whole process that reads the files and writes what it keeps; its time
includes starting it, its memory is the largest of the process and its children together, sampled ten times a second
(Linux). ``--peer`` names a Python with ``pip install rensa datatrove[processing,io] text-dedup`` as far as wanted.
datatrove runs with word 3-grams and 32 bands of 4; rensa keeps all in memory; so does text-dedup.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

DATATROVE = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
import datatrove.pipeline.dedup.minhash as minhash


class Whitespace:
    word_tokenize = staticmethod(str.split)


minhash.load_word_tokenizer = lambda language: Whitespace()  # its own would spend most of the time in spaCy

if __name__ == "__main__":
    source, out, workers, files = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    config = MinhashConfig(hash_config=HashConfig(precision=64), n_grams=3, num_buckets=32, hashes_per_bucket=4)
    reader = lambda: JsonlReader(source, glob_pattern="*.jsonl")
    steps = [
        ([reader(), MinhashDedupSignature(output_folder=f"{out}/sig", config=config)], files),
        ([MinhashDedupBuckets(input_folder=f"{out}/sig", output_folder=f"{out}/buckets", config=config)], 32),
        ([MinhashDedupCluster(input_folder=f"{out}/buckets", output_folder=f"{out}/remove", config=config)], 1),
        ([reader(), MinhashDedupFilter(input_folder=f"{out}/remove"), JsonlWriter(f"{out}/kept")], files),
    ]
    for i, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=workers, logging_dir=f"{out}/logs{i}").run()
"""
RENSA = """
import json, sys
from pathlib import Path
from rensa import RMinHash, RMinHashLSH

rows = [json.loads(line) for file in sorted(Path(sys.argv[1]).glob("*.jsonl")) for line in file.open()]
sets = []
for row in rows:
    words = row["text"].split()
    sets.append([" ".join(words[i : i + 3]) for i in range(len(words) - 2)])
hashes = RMinHash.from_token_sets(sets, 128, 42)
index = RMinHashLSH(0.5, 128, 32)
index.insert_many(hashes)
out = Path(sys.argv[2])
out.mkdir()
with (out / "kept.jsonl").open("w") as file:
    for i, found in enumerate(index.query_all(hashes)):
        if not any(j < i and hashes[i].jaccard(hashes[j]) >= 0.5 for j in found):
            file.write(json.dumps(rows[i]) + "\\n")
"""
TEXT_DEDUP = """
import sys
from text_dedup.minhash import main

if __name__ == "__main__":
    source, out = sys.argv[1], sys.argv[2]
    main(["--path", "json", "--data_files", source + "/*.jsonl", "--split", "train", "--column", "text", "--ngram", "3",
          "--num_perm", "128", "--b", "32", "--r", "4", "--threshold", "0.5", "--num_proc", sys.argv[3],
          "--min_length", "1", "--output", out, "--cache_dir", out + "-cache"], standalone_mode=False)
"""
BLOCK = 50_000
"""Documents that are made at a time."""
PEERS = {"datatrove": DATATROVE, "rensa": RENSA, "text-dedup": TEXT_DEDUP}


def write(folder: Path, rows: int, files: int) -> None:
    """Documents of words drawn by Zipf's law, the last tenth edited copies of the first, a block of rows at a time."""
    import numpy as np
    from near_duplicates import EDITS, WORDS, words_by_zipf

    vocabulary, chance = words_by_zipf(np.random.default_rng(0))
    vocabulary, below = vocabulary.astype(object), np.cumsum(chance)
    copies = rows // 10

    def words(block: int, size: int) -> np.ndarray:
        drawn = np.searchsorted(below[:-1], np.random.default_rng([1, block]).random((size, WORDS)), "right")
        return np.asarray(drawn, np.int32)

    (folder / "in").mkdir()
    out = [(folder / "in" / f"{f:04d}.jsonl").open("w") for f in range(files)]
    starts = list(range(0, copies, BLOCK))
    spans = [(start, min(start + BLOCK, copies), True) for start in starts]
    spans += [(start, min(start + BLOCK, rows - copies), False) for start in range(copies, rows - copies, BLOCK)]
    for start, stop, copied in spans:
        drawn = words(start, stop - start)
        parts = [(start, drawn)]
        if copied:
            rng = np.random.default_rng([2, start])
            fresh = rng.integers(0, len(vocabulary), drawn.shape)
            parts.append((rows - copies + start, np.where(rng.random(drawn.shape) < EDITS, fresh, drawn)))
        for first, some in parts:
            for i, row in enumerate(vocabulary[some].tolist(), first):
                out[i * files // rows].write(f'{{"id": "{i}", "text": "{" ".join(row)}"}}\n')
    for file in out:
        file.close()


def largest(process: subprocess.Popen[bytes], found: list[float]) -> None:
    """Sample the memory of a process and its children, less what they share, until it ends."""
    while process.poll() is None:
        total, waiting = 0, [process.pid]
        while waiting:
            pid = waiting.pop()
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss_Anon"))
                waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except (OSError, IndexError):
                continue
        found.append(total / 1024)
        time.sleep(0.1)


def kept(out: Path, tool: str) -> set[int]:
    """The ids of the documents that a tool kept."""
    import gzip

    if tool == "dross":
        import pyarrow as pa

        ids = set()
        for file in out.glob("part-*"):
            with pa.input_stream(str(file), compression="zstd") as stream:
                ids |= {int(json.loads(line)["id"]) for line in bytes(stream.read()).splitlines()}
        return ids
    if tool == "datatrove":
        return {int(json.loads(line)["id"]) for f in (out / "kept").glob("*.gz") for line in gzip.open(f)}
    if tool == "rensa":
        return {int(json.loads(line)["id"]) for line in (out / "kept.jsonl").open()}
    import pyarrow as pa

    return {int(i) for f in sorted(out.glob("*.arrow")) for i in pa.ipc.open_stream(f).read_all()["id"].to_pylist()}


def run(
    tool: str, folder: Path, asked: argparse.Namespace, judge: Callable[[set[int]], dict[str, float]]
) -> dict[str, float]:
    """What a tool took for the files in a folder, and how good its choice is."""
    out = folder / f"out-{tool}"
    shutil.rmtree(out, ignore_errors=True)
    if tool == "dross":
        recipe = folder / "recipe.yaml"
        recipe.write_text("steps:\n- minhash-deduplication: {similarity: 0.5}\n")
        command = [sys.executable, "-m", "dross", "curate", str(recipe), "--in", f"{folder}/in", "--out", str(out)]
        command += ["--workers", str(asked.workers)]
    else:
        script = folder / f"run_{tool}.py"
        script.write_text(PEERS[tool])
        command = [asked.peer, str(script), f"{folder}/in", str(out), str(asked.workers), str(asked.files)]
    started = time.perf_counter()
    env = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": str(asked.workers), "HF_HUB_OFFLINE": "1"}
    log = (folder / f"{tool}.log").open("wb")
    process = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=folder)
    memory: list[float] = [0.0]
    watch = threading.Thread(target=largest, args=(process, memory))
    watch.start()
    process.wait()
    watch.join()
    seconds = time.perf_counter() - started
    if process.returncode:
        print(f"{tool} failed: {(folder / f'{tool}.log').read_text()[-600:]}")
        return {}
    return {"seconds": seconds, "MB": max(memory), **judge(kept(out, tool))}


def planted(rows: int) -> Callable[[set[int]], dict[str, float]]:
    """Of the copies that :func:`write` plants: how many are gone, and how much else."""

    def judge(left: set[int]) -> dict[str, float]:
        m = rows // 10
        gone = set(range(rows)) - left
        copies = sum(1 for i in range(m) if i in gone or i + rows - m in gone)
        wrong = len(gone) - sum(1 for i in gone if i < m or i >= rows - m)
        both = sum(1 for i in range(m) if i in gone and i + rows - m in gone)
        return {"recall": copies / m, "precision": 1 - (wrong + both) / max(1, len(gone))}

    return judge


def options(about: str | None) -> argparse.ArgumentParser:
    """What both benchmarks of corpora ask for."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--tools", nargs="+", choices=["dross", *PEERS], default=["dross", *PEERS])
    return parser


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, asked.rows, asked.files)
        size = sum(file.stat().st_size for file in (folder / "in").iterdir())
        print(f"{asked.rows:,} documents, {size / 1e6:.0f} MB, {asked.workers} workers")
        for _ in range(asked.runs):
            for tool in asked.tools:
                found = run(tool, folder, asked, planted(asked.rows))
                if found:
                    print(f"{tool:<12} " + "  ".join(f"{k} {v:.4g}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
