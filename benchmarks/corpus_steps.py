"""Throughput and memory of every corpus step, one worker, and how the steps grow for which rows must meet.

    python benchmarks/corpus_steps.py --data FOLDER [--sizes 50000 100000 200000]

The text is Alpaca's, eight answers to a document; each step runs alone, twice, and the second run counts. ``MB/s`` is
text over the CPU time of the step, reading and writing left out; ``memory`` is the most that the worker held,
of which some 250 MB are the libraries. The growth is measured on documents of 150 random words, a tenth of them copies.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dross.corpus.curating import curate
from dross.corpus.report import Report

sys.path.insert(0, str(Path(__file__).parent))


def documents(data: Path, folder: Path) -> tuple[str, float]:
    """Alpaca's text in eight files of JSON Lines; the folder and its size in MB."""
    rows = (
        pl.read_parquet(data / "instruct_alpaca_raw" / "alpaca_52002.parquet")
        .select("instruction", "input", "output")
        .rows()
    )
    texts = [
        "\n\n".join("\n".join(part for part in row if part) for row in rows[i : i + 8]) for i in range(0, len(rows), 8)
    ]
    rng = np.random.default_rng(0)
    (folder / "in").mkdir()
    for f in range(8):
        lines = [
            {
                "text": text,
                "url": f"http://site{i % 97}.example/{i}",
                "domain": f"d{i % 3}",
                "score": float(rng.random()),
            }
            for i, text in enumerate(texts[f::8])
        ]
        (folder / "in" / f"{f}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (folder / "bench.jsonl").write_text("\n".join(json.dumps({"text": t[:400]}) for t in texts[:200]))
    (folder / "good.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in texts[:500]))
    (folder / "bad.jsonl").write_text("\n".join(json.dumps({"text": t.upper()[:300]}) for t in texts[500:1000]))
    (folder / "words.txt").write_text("\n".join(f"badword{i}" for i in range(500)))
    (folder / "urls.txt").write_text("\n".join(f"bad{i}.example" for i in range(5000)))
    return str(folder / "in"), sum(len(text.encode()) for text in texts) / 1e6


def steps(folder: Path) -> list[Any]:
    """Every step, with the fields it needs."""
    bench, good, bad = (str(folder / f"{name}.jsonl") for name in ("bench", "good", "bad"))
    return [
        "encoding-repair",
        {"language": {"keep": ["english"]}},
        {"url-filter": {"domains": [f"file:{folder}/urls.txt"]}},
        {"word-list": {"words": [f"file:{folder}/words.txt"]}},
        "gopher-quality",
        "gopher-repetition",
        "c4-quality",
        "fineweb-quality",
        "personal-data",
        {"perplexity": {"reference": [good]}},
        {"quality-classifier": {"good": [good], "bad": [bad], "least": 0.0}},
        {"ngram-decontamination": {"against": [bench]}},
        {"embedding-decontamination": {"against": [bench], "similarity": 0.95}},
        "exact-deduplication",
        "minhash-deduplication",
        "substring-deduplication",
        "semantic-deduplication",
        "validation-split",
        {"budget": {"share": 0.5}},
        {"domain-mixture": {"shares": ["d0=0.4", "d1=0.3", "d2=0.3"]}},
        "ordering",
    ]


def measured(step: Any, source: str, folder: Path) -> Report:
    for _ in range(2):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            report = curate([step], source, Path(name) / "out", workers=1)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], metavar="STEP")
    parser.add_argument("--sizes", type=int, nargs="*", default=[50_000, 100_000, 200_000])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, size = documents(asked.data, folder)
        print(f"{size:.1f} MB of text")
        print(f"{'step':<28} {'MB/s':>8} {'whole run, MB/s':>16} {'memory, MB':>11}  rows out of rows in")
        for step in steps(folder):
            if asked.only and (step if isinstance(step, str) else next(iter(step))) not in asked.only:
                continue
            try:
                report = measured(step, source, folder)
            except Exception as error:  # noqa: BLE001 - the others go on
                print(f"{step}: {error}")
                continue
            stage = report.stages[1]
            speed, whole, memory = size / max(stage.seconds, 1e-9), size / report.seconds, stage.memory / 1e6
            rows = f"{stage.rows_out:,} of {stage.rows_in:,}"
            print(f"{stage.label[3:]:<28} {speed:>8.0f} {whole:>16.1f} {memory:>11.0f}  {rows}", flush=True)
        for kind in ("exact-deduplication", "minhash-deduplication", "substring-deduplication"):
            for rows in asked.sizes:
                place = folder / f"n{rows}"
                if not place.exists():
                    import near_duplicates

                    place.mkdir()
                    near_duplicates.make(place, rows)
                report = measured(kind, str(place / "texts.parquet"), folder)
                seconds, memory = report.seconds, report.stages[1].memory / 1e6
                each = 1e6 * seconds / rows
                print(
                    f"{kind:<28} {rows:>9,} rows {seconds:>7.1f} s {each:>6.1f} us a row {memory:>6.0f} MB", flush=True
                )


if __name__ == "__main__":
    main()
