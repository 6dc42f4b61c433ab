"""Near-duplicate images: edits are seen through, and sets of look-alikes are not flagged."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.exact_duplicates import ExactDuplicates
from dross.detect.near_duplicate_images import NearDuplicateImages
from dross.signals.image_hash import WAVES, ImageHash

PAPER = "Implementation and benchmarking of perceptual image hash functions"
Pixels = npt.NDArray[np.uint8]


def scenes(rng: np.random.Generator, n: int, size: int = 64) -> list[Pixels]:
    """Pictures of a few overlapping boxes and ellipses."""
    y, x = np.mgrid[:size, :size]
    out = []
    for _ in range(n):
        picture = np.full((size, size), rng.integers(40, 200), np.float64)
        for _ in range(8):
            (a, b), (h, w) = rng.uniform(0, size, 2), rng.uniform(size / 12, size / 3, 2)
            box = (abs(y - a) < h) & (abs(x - b) < w)
            picture[box if rng.random() < 0.5 else ((y - a) / h) ** 2 + ((x - b) / w) ** 2 < 1] = rng.integers(0, 256)
        out.append(np.clip(picture + rng.normal(size=picture.shape) * 3, 0, 255).astype(np.uint8))
    return out


def saved_again(pixels: Pixels) -> Pixels:
    """The picture as a JPEG of low quality shows it."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "JPEG", quality=35)
    return np.asarray(Image.open(held))


def smaller(pixels: Pixels) -> Pixels:
    """The picture at two thirds of its size."""
    from PIL import Image

    side = pixels.shape[0] * 2 // 3
    return np.asarray(Image.fromarray(pixels).resize((side, side)))


EDITS: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "saved again": lambda p, rng: saved_again(p),
    "smaller": lambda p, rng: smaller(p),
    "brighter": lambda p, rng: np.clip(p * 1.25, 0, 255).astype(np.uint8),
    "noisy": lambda p, rng: np.clip(p + rng.normal(size=p.shape) * 12, 0, 255).astype(np.uint8),
}


def dataset(pictures: list[Pixels]) -> Dataset:
    """Pictures of any size as one column."""
    from dross.io.images import encode

    cells = [encode(picture[None])[0].as_py() for picture in pictures]
    return Dataset(pa.table({"image": pa.array(cells, pa.large_binary())}), {Role.IMAGE: ["image"]})


def bits_within(hashes: npt.NDArray[np.float32], most: int = 10) -> npt.NDArray[np.bool_]:
    """The usual rule: rows whose 63 low-frequency bits differ from an earlier row's in at most ``most`` places."""
    low = hashes.reshape(len(hashes), -1)[:, [u * WAVES + v - 1 for u in range(8) for v in range(8) if u + v]]
    bits = (low > np.median(low, axis=1, keepdims=True)).astype(np.float32)
    apart = bits @ (1 - bits).T + (1 - bits) @ bits.T
    return np.asarray(np.tril(apart <= most, -1).any(1), np.bool_)


@claim(
    method="near-duplicate-images",
    paper=PAPER,
    says="recompressed, resized, brightened and noisy copies are found; equal bytes find none of them",
)
def edits_are_seen_through(budget: Budget) -> Evidence:
    """Sixty pictures of 300 stand again with an edit."""
    recall: dict[str, list[float]] = {name: [] for name in EDITS}
    precision, exact = [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        pictures = scenes(rng, 300)
        names = list(EDITS)
        pictures += [EDITS[names[i % 4]](pictures[i], rng) for i in range(60)]
        data = dataset(pictures)
        signals = Signals(data)
        found, equal = NearDuplicateImages().run(data, signals), ExactDuplicates().run(data, signals)
        assert isinstance(found, Findings)
        assert isinstance(equal, Findings)
        for i, name in enumerate(names):
            recall[name].append(float(np.isin(300 + np.arange(i, 60, 4), found.rows).mean()))
        precision.append(float((found.rows >= 300).mean()) if len(found) else 0.0)
        exact.append(float((equal.rows >= 300).sum() / 60))
    measured = {f"recall: {name}": interval(values) for name, values in recall.items()}
    measured |= {"precision": interval(precision), "recall of equal bytes": interval(exact)}
    holds = all(np.mean(v) >= 0.95 for v in recall.values()) and np.mean(precision) >= 0.95 and np.mean(exact) < 0.05
    return Evidence(measured, bool(holds), budget.seeds)


@claim(
    method="near-duplicate-images",
    says="among handwritten digits, which all look alike, what is called a copy is one, where 63-bit hashes within 10 "
    "bits call hundreds of different digits copies; the price is recall",
)
def look_alikes_are_not_flagged(budget: Budget) -> Evidence:
    """scikit-learn's digits, no two of them equal, and fifty copies saved again or brightened until they clip."""
    from sklearn.datasets import load_digits

    digits = [np.kron(p, np.ones((4, 4))).astype(np.uint8) * 15 for p in load_digits().images]
    ours: dict[str, list[float]] = {"alarms": [], "recall": [], "F1": []}
    usual: dict[str, list[float]] = {"alarms": [], "recall": [], "F1": []}
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        chosen = [digits[i] for i in rng.choice(len(digits), 800, replace=False)]
        copies = [EDITS["brighter" if i % 2 else "saved again"](chosen[i], rng) for i in range(50)]
        data = dataset(chosen + copies)
        signals = Signals(data)
        found = NearDuplicateImages().run(data, signals)
        assert isinstance(found, Findings)
        for told, rows in ((ours, found.rows), (usual, np.flatnonzero(bits_within(signals[ImageHash()])))):
            hits, alarms = float((rows >= 800).sum()), float((rows < 800).sum())
            told["alarms"].append(alarms)
            told["recall"].append(hits / 50)
            told["F1"].append(2 * hits / (hits + alarms + 50))
    measured = {name: interval(values) for name, values in ours.items()}
    measured |= {f"{name}, bits": interval(values) for name, values in usual.items()}
    holds = np.mean(ours["alarms"]) <= 2 and np.mean(ours["F1"]) > np.mean(usual["F1"])
    return Evidence(measured, bool(holds), budget.seeds)
