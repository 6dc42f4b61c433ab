"""Rephrased benchmark items in a corpus: n-grams against embeddings, recall at 1 % false positives.

    python benchmarks/decontamination.py --data FOLDER [--model NAME]

HumanEval's items are the benchmark; the corpus holds their rephrasings in Python, JavaScript and C among the answers of
Alpaca, which stand for clean text. Each method scores every text by its nearest item; ``right item`` says how often a
rephrasing is matched with the item it was made of. ``--model`` adds a sentence-transformers model on this machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from dross.curate.ngram_decontamination import GramIndex, contained
from dross.models.embedder import Embedder, nearest

Scored = tuple[np.ndarray, np.ndarray]


def by_ngrams(items: pa.Array, texts: pa.Array, n: int) -> Scored:
    return contained(texts, GramIndex.of(items, n), [n])


def by_embedding(items: pa.Array, texts: pa.Array, model: str) -> Scored:
    embed = Embedder.fitted(model, pa.concat_arrays([items, texts]))
    return nearest(embed(texts), embed(items))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[])
    asked = parser.parse_args()
    folder = asked.data / "contamination_rephrased"
    original = pl.read_parquet(folder / "humaneval_original.parquet")
    rephrased = pl.read_parquet(folder / "humaneval_rephrased.parquet")
    alpaca = pl.read_parquet(asked.data / "instruct_alpaca_raw" / "alpaca_52002.parquet")
    items = pa.array(original["text"].to_list(), pa.large_string())
    clean = [f"{a}\n{b}\n{c}" for a, b, c in alpaca.select("instruction", "input", "output").rows()]
    copies = rephrased["text"].to_list()
    texts = pa.array([*copies, *clean], pa.large_string())
    truth, language = rephrased["row"].to_numpy(), rephrased["language"].to_numpy()
    methods = {f"{n}-grams": lambda n=n: by_ngrams(items, texts, n) for n in (13, 8, 5, 3)}
    methods |= {f"embedding ({m})": lambda m=m: by_embedding(items, texts, m) for m in ("auto", *asked.model)}
    print(f"{len(items)} items, {len(copies)} rephrasings, {len(clean):,} clean texts")
    print(f"{'method':<40} {'recall at 1 % false positives':>30} {'right item':>11}  by language")
    for name, method in methods.items():
        score, which = method()
        score = np.asarray(score)
        cut = np.quantile(score[len(copies) :], 0.99, method="higher")
        found = score[: len(copies)] > cut
        right = np.asarray(which)[: len(copies)] == truth
        own = ", ".join(f"{one} {found[language == one].mean():.3f}" for one in np.unique(language))
        print(f"{name:<40} {found.mean():>30.3f} {right.mean():>11.3f}  {own}")


if __name__ == "__main__":
    main()
