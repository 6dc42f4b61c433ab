"""Near-duplicates of real sets beside datatrove, rensa and text-dedup, judged by exact similarity.

    python benchmarks/corpus_real_sets.py --peer PYTHON [--sets alpaca …] [--tools dross …]

The real sets stand beside the checkout (see the other benchmarks). Texts of three words or more, as they are. The
truth is computed: two texts are copies where at least half of their word triples, as sets, are common (Jaccard). Tools
differ in what a word is, so it is computed twice: for words between spaces (rensa, datatrove here) and for runs of
letters and digits in lower case (dross, text-dedup). Recall: of the pairs of copies, the share of which at least one
text is gone. Precision: of the texts that are gone, the share that has a copy at all. Tools, time and memory are those
of ``corpus_deduplication.py``.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import polars as pl
from corpus_deduplication import options, run
from scipy import sparse

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {
    "alpaca": ("instruct_alpaca_raw/alpaca_52002", ("instruction", "input", "output")),
    "alpaca-cleaned": ("instruct_alpaca_cleaned_pairs/pairs", ("clean_instruction", "clean_input", "clean_output")),
    "gsm8k": ("gsm8k_solutions/solutions", ("question", "solution")),
    "mbpp": ("mbpp_sanitized_pairs/mbpp_all", ("text", "code")),
    "llmbar": ("llmbar_preferences/pairs", ("input",)),
    "banking77": ("intent_banking77/banking77", ("text",)),
    "20 newsgroups": ("twenty_news_label_errors/test", ("text",)),
    "youtube": ("ws_youtube/texts", ("text",)),
    "sms": ("ws_sms_rules/texts", ("text",)),
}
SHARE, BLOCK = 0.5, 500


def texts_of(name: str) -> list[str]:
    file, columns = SETS[name]
    frame = pl.read_parquet(DATA / f"{file}.parquet").select(pl.col(c).fill_null("") for c in columns)
    joined = ["\n".join(row) for row in frame.rows()]
    return [text for text in joined if len(text.split()) >= 3]


def spaced(text: str) -> list[str]:
    return text.split()


def lower(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def copies(texts: list[str], words_of: Callable[[str], list[str]]) -> np.ndarray:
    """All pairs of texts whose sets of word triples are half common, shape (m, 2)."""
    place: dict[tuple[str, ...], int] = {}
    rows, columns = [], []
    for i, text in enumerate(texts):
        words = words_of(text)
        for triple in {tuple(words[j : j + 3]) for j in range(max(1, len(words) - 2))}:
            rows.append(i)
            columns.append(place.setdefault(triple, len(place)))
    shape = (len(texts), len(place))
    X = sparse.csr_matrix((np.ones(len(rows), np.int32), (rows, columns)), shape)
    sizes = np.asarray(X.sum(axis=1)).ravel()
    found = []
    for start in range(0, len(texts), BLOCK):
        common = (X[start : start + BLOCK] @ X.T).tocoo()
        one, other = common.row + start, common.col
        alike = common.data >= SHARE * (sizes[one] + sizes[other] - common.data)
        found.append(np.stack([one, other], axis=1)[alike & (one < other)])
    return np.concatenate(found)


def judged(truths: dict[str, np.ndarray], rows: int) -> Callable[[set[int]], dict[str, float]]:
    def judge(left: set[int]) -> dict[str, float]:
        gone = np.ones(rows, bool)
        gone[sorted(left)] = False
        found = {"gone": float(gone.sum())}
        for name, pairs in truths.items():
            has = np.zeros(rows, bool)
            has[pairs.ravel()] = True
            found[f"recall ({name})"] = float((gone[pairs[:, 0]] | gone[pairs[:, 1]]).mean())
            found[f"precision ({name})"] = float(has[gone].mean())
        return found

    return judge


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    asked = parser.parse_args()
    for name in asked.sets:
        texts = texts_of(name)
        truths = {"spaces": copies(texts, spaced), "lower case": copies(texts, lower)}
        judge = judged(truths, len(texts))
        counts = ", ".join(f"{len(pairs):,} ({kind})" for kind, pairs in truths.items())
        print(f"{name}: {len(texts):,} texts, pairs of copies: {counts}", flush=True)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "in").mkdir()
            for f in range(asked.files):
                a, b = len(texts) * f // asked.files, len(texts) * (f + 1) // asked.files
                lines = [json.dumps({"id": str(i), "text": texts[i]}) for i in range(a, b)]
                (folder / "in" / f"{f:04d}.jsonl").write_text("\n".join(lines) + "\n")
            for _ in range(asked.runs):
                for tool in asked.tools:
                    found = run(tool, folder, asked, judge)
                    if found:
                        print(f"{tool:<12} " + "  ".join(f"{k} {v:.4g}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
