"""LAION-5B: a threshold chosen for its purity keeps right pairs; what is exported answers exactly."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import docstrings
from dross.claims._training import Measured, mean, over_seeds
from dross.core.dataset import Dataset
from dross.core.results import Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.io.images import encode
from dross.models.pair_index import ROW, PairIndex, read_index
from dross.select.pair_alignment import KEPT, SIMILARITY, PairAlignment
from dross.testing.images import digit_pixels

TEXTS, IMAGES, WRONG, PURITY = 1200, 1000, 0.4, 0.9
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CAPTIONS = ("a {}", "the digit {}", "handwritten {}", "{}, written by hand")
Flags = npt.NDArray[np.bool_]
Rng = np.random.Generator


@claim(
    method="pair-alignment",
    paper="LAION-5B: An open large-scale dataset for training next generation image-text models",
    says="pairs filtered by the similarity of their sides, with an index, tags and subsets by tags",
)
def aligned_pairs_are_pure_and_subsets_exact(budget: Budget) -> Evidence:
    """First lines with the rest of 1,200 docstrings, and 1,000 digits with captions; 40 % of the second sides shuffled.

    Purity is counted against what belongs together: a caption that shuffling moved to a digit of its class is right.
    Every index is read back: three subsets are compared with a filter written in Python, and neighbours with brute
    force.
    """

    def one(seed: int) -> dict[str, float]:
        out: dict[str, float] = {"subsets that are exact, %": 100.0, "neighbours that are exact, %": 100.0}
        for name, (data, right) in {"texts": texts(seed), "images": captioned(seed)}.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "index"
                method = PairAlignment(purity=PURITY, folder=str(path), tags=("source",), seed=seed)
                found = method.run(data, Signals(data))
                assert isinstance(found, Selection)
                index = read_index(path)
                out["subsets that are exact, %"] = min(out["subsets that are exact, %"], 100 * _exact(index, data))
                out["neighbours that are exact, %"] = min(out["neighbours that are exact, %"], 100 * _nearest(index))
            out[f"purity of all {name}, %"] = float(100 * right.mean())
            out[f"purity of kept {name}, %"] = float(100 * right[found.rows].mean())
            out[f"right {name} kept, %"] = float(100 * right[found.rows].sum() / right.sum())
            out[f"expected purity of kept {name}, %"] = 100 * found.summary["expected_purity"]
        return out

    measured = over_seeds(budget, one)
    note = (
        "Texts lie in one space; for images and captions a common space is learnt from the shuffled pairs themselves."
    )
    return Evidence(measured, _holds(measured), over=budget.seeds, note=note)


def _holds(measured: Measured) -> bool:
    pure = all(mean(measured[f"purity of kept {name}, %"]) >= 100 * PURITY for name in ("texts", "images"))
    exact = all(mean(measured[f"{what} that are exact, %"]) == 100 for what in ("subsets", "neighbours"))
    return pure and exact


def _exact(index: PairIndex, data: Dataset) -> float:
    """The share of three questions that are answered with exactly the rows a plain filter finds."""
    words = next(name for name in index.tags if name.endswith("_words"))
    columns = (ROW, KEPT, SIMILARITY, "source", words)
    every = index.subset({}, columns).to_pylist()
    sources = data.table.column("source").to_pylist()
    asked: list[tuple[dict[str, Any], list[int]]] = [
        ({KEPT: True, "source": "b"}, [r[ROW] for r in every if r[KEPT] and sources[r[ROW]] == "b"]),
        ({SIMILARITY: (0.1, 0.3)}, [r[ROW] for r in every if 0.1 <= r[SIMILARITY] <= 0.3]),
        (
            {"source": ["a", "c"], words: (None, 3)},
            [r[ROW] for r in every if sources[r[ROW]] in "ac" and r[words] <= 3],
        ),
    ]
    return float(np.mean([index.subset(where).column(ROW).to_pylist() == rows for where, rows in asked]))


def _nearest(index: PairIndex) -> float:
    """The share of 50 vectors whose nearest pairs are at the distances that brute force finds."""
    vectors = index.vectors("second")
    _, cosines = index.nearest(vectors[:50], 5, "second")
    truth = -np.sort(-(vectors[:50] @ vectors.T), axis=1)[:, :5]
    return float((np.abs(truth - cosines) < 1e-5).all(axis=1).mean())


def shuffled_partners(n: int, rng: Rng) -> npt.NDArray[np.int64]:
    """The identity on n positions, but for 40 % that are moved on among themselves."""
    wrong = rng.permutation(n)[: round(WRONG * n)]
    partner = np.arange(n)
    partner[wrong] = np.roll(wrong, 1)
    return partner


def texts(seed: int) -> tuple[Dataset, Flags]:
    """First lines of docstrings and what follows them, and which pairs are right."""
    rng = np.random.default_rng((seed, 5))
    parted = (text.partition("\n") for text in docstrings())
    pairs = list(dict.fromkeys((a.strip(), b.strip()) for a, _, b in parted if len(a) > 20 and len(b.strip()) > 60))
    chosen = rng.permutation(len(pairs))[:TEXTS]
    partner = shuffled_partners(len(chosen), rng)
    table = {
        "query": [pairs[i][0] for i in chosen],
        "passage": [pairs[i][1] for i in chosen[partner]],
        "source": rng.choice(["a", "b", "c"], len(chosen)).tolist(),
    }
    data = Dataset(pa.table(table), {Role.QUERY: ["query"], Role.PASSAGE: ["passage"]})
    return data, partner == np.arange(len(chosen))


def captioned(seed: int) -> tuple[Dataset, Flags]:
    """Digits with captions in four wordings, and which fit."""
    rng = np.random.default_rng((seed, 6))
    X, y = digit_pixels()
    rows = rng.permutation(len(X))[:IMAGES]
    partner = shuffled_partners(IMAGES, rng)
    captions = [CAPTIONS[int(rng.integers(len(CAPTIONS)))].format(NAMES[c]) for c in y[rows][partner]]
    table = {
        "image": encode((255 * X[rows].reshape(-1, 8, 8)).astype(np.uint8)),
        "caption": captions,
        "source": rng.choice(["a", "b", "c"], IMAGES).tolist(),
    }
    data = Dataset(pa.table(table), {Role.IMAGE: ["image"], Role.TEXT: ["caption"]})
    return data, y[rows][partner] == y[rows]
