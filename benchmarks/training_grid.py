"""Every training method on real rows with wrong labels: what wins where, and where plain cross-entropy is honest.

    python benchmarks/training_grid.py run grid.jsonl --part 0/2      # two of these side by side fill two cores
    python benchmarks/training_grid.py table grid.jsonl

Each line of the file is one training: data, noise, method, seed, accuracy on clean rows, seconds. What stands there
already is not run again. Training rows, noise, test rows and settings are the same for all methods at one seed;
methods keep their defaults, nothing is tuned on these rows. CIFAR images are read as dross's own descriptors, other
images as pixels, by the same small perceptron; texts as a bag of words and pairs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dross.core.dataset import Dataset
from dross.core.registry import method
from dross.core.signal import Signals
from dross.io import load
from dross.job.training import trainer_names
from dross.models.trained import Trained
from dross.signals.embedding import Embedding
from dross.testing.images import digit_pixels, noisy, pixel_dataset

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SEEDS = (0, 1, 2)
BASELINE = "cross-entropy"
Split = tuple[Dataset, Dataset]
SYNTHETIC = ("none", "symmetric 20 %", "symmetric 40 %", "pairwise 40 %", "instance 40 %")


def flipped(X: Any, y: Any, k: int, noise: str, seed: int, train: int) -> Split:
    """Rows of numbers with made noise."""
    rng = np.random.default_rng((seed, 11))
    order = rng.permutation(len(X))
    rows, held = order[:train], order[train : train + 3000]
    kind, _, share = noise.partition(" ")
    labels = y[rows]
    if noise != "none":
        labels = noisy(labels, k, float(share.split()[0]) / 100, kind, rng, X[rows])
    return pixel_dataset(X[rows], labels), pixel_dataset(X[held], y[held])


def digits(noise: str, seed: int) -> Split:
    X, y = digit_pixels()
    return flipped(X, y, 10, noise, seed, 1000)


def mnist(noise: str, seed: int) -> Split:
    held = np.load(DATA / "mnist_label_errors" / "mnist_test.npz")
    X = held["images"] if "images" in held else held[held.files[0]]
    y = held["labels"] if "labels" in held else held[held.files[1]]
    return flipped(X.reshape(len(X), -1).astype(np.float32) / 255, y.astype(np.int64), 10, noise, seed, 1500)


@cache
def cifar_vectors() -> tuple[Any, pl.DataFrame]:
    images = pl.read_parquet(DATA / "cifar10n_human_noise" / "images_15000.parquet")
    data = load(images.select("jpeg").to_arrow(), image="jpeg")
    labels = pl.read_parquet(DATA / "cifar10n_human_noise" / "labels.parquet")
    if "index" in labels.columns:
        labels = images.select("index").join(labels, on="index", how="left")
    else:
        labels = labels[images["index"].to_list()]
    return np.asarray(Signals(data)[Embedding()]), labels


def cifar(noise: str, seed: int) -> Split:
    X, labels = cifar_vectors()
    truth = labels["clean_label"].to_numpy().astype(np.int64)
    column = {"none": "clean_label", "people: one": "random_label1", "people: worst": "worst_label"}[noise]
    given = labels[column].to_numpy().astype(np.int64)
    order = np.random.default_rng((seed, 12)).permutation(len(X))
    rows, held = order[:4000], order[4000:7000]
    return pixel_dataset(X[rows], given[rows]), pixel_dataset(X[held], truth[held])


def texts(name: str, noise: str, seed: int) -> Split:
    frame = pl.read_parquet(DATA / "ws_cosine" / f"{name}.parquet").filter(pl.col("weak_label") >= 0)
    order = np.random.default_rng((seed, 13)).permutation(len(frame))
    count = min(2000, len(frame) * 2 // 3)
    rows, held = frame[order[:count].tolist()], frame[order[count : count + 2000].tolist()]
    column = "label" if noise == "none" else "weak_label"

    def made(part: pl.DataFrame, label: str) -> Dataset:
        return load({"text": part["text"].to_list(), "y": part[label].to_list()}, text="text", label="y")

    return made(rows, column), made(held, "label")


def adult(noise: str, seed: int) -> Split:
    frame = pl.read_parquet(DATA / "bias_tabular" / "adult.parquet")
    label = next(name for name in frame.columns if frame[name].n_unique() == 2 and name not in {"sex", "gender"})
    order = np.random.default_rng((seed, 14)).permutation(len(frame))
    rows, held = frame[order[:2000].tolist()], frame[order[2000:6000].tolist()]
    names = sorted(frame[label].unique().to_list())
    y = np.array([names.index(value) for value in rows[label]], np.int64)
    if noise != "none":
        y = noisy(y, 2, float(noise.split()[1]) / 100, "symmetric", np.random.default_rng((seed, 15)))
    features = [name for name in frame.columns if name != label]
    rows = rows.with_columns(pl.Series(label, [names[c] for c in y]))
    return load(rows, features=features, label=label), load(held, features=features, label=label)


TASKS: dict[str, tuple[tuple[str, ...], Callable[[str, int], Split], dict[str, Any]]] = {
    "digits": (SYNTHETIC, digits, {"network": "mlp", "epochs": 60}),
    "MNIST": (SYNTHETIC, mnist, {"network": "mlp", "epochs": 40}),
    "CIFAR-10N": (("none", "people: one", "people: worst"), cifar, {"network": "mlp", "epochs": 20}),
    "AG News": (("none", "rules"), lambda n, s: texts("agnews", n, s), {"network": "bag", "epochs": 10}),
    "IMDb": (("none", "rules"), lambda n, s: texts("imdb", n, s), {"network": "bag", "epochs": 10}),
    "Adult": (("none", "symmetric 20 %", "symmetric 40 %"), adult, {"network": "mlp", "epochs": 20}),
}
TEXTS = ("AG News", "IMDb")


def run(path: Path, part: int, parts: int, only: list[str], of: list[str]) -> None:
    done = {tuple(json.loads(line)[key] for key in ("data", "noise", "method", "seed")) for line in lines(path)}
    names = only or trainer_names()
    work = [
        (data, noise, name, seed)
        for seed in SEEDS
        for data in of or TASKS
        for noise in TASKS[data][0]
        for name in names
    ]
    for data, noise, name, seed in work[part::parts]:
        if (data, noise, name, seed) in done:
            continue
        _, make, options = TASKS[data]
        train, test = make(noise, seed)
        one: Any = method(name)
        started = time.process_time()
        try:
            model = one(**options, seed=seed).run(train, Signals(train))
            found = model.score(test) if isinstance(model, Trained) else None
        except Exception as error:  # noqa: BLE001 - one method that fails must not end the grid; it is shown as failed
            found, model = None, error
        line = {"data": data, "noise": noise, "method": name, "seed": seed, "accuracy": found,
                "seconds": round(time.process_time() - started, 2)}  # fmt: skip
        if found is None:
            line["why"] = str(getattr(model, "reason", model))
        with path.open("a") as out:
            out.write(json.dumps(line) + "\n")


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def table(path: Path, only: list[str], of: list[str]) -> None:
    """Mean accuracy over the seeds in per cent, ± the standard error of the paired difference to cross-entropy."""
    frame = pl.DataFrame([json.loads(line) for line in lines(path)]).filter(pl.col("accuracy").is_not_null())
    frame = frame.filter(
        pl.col("data").is_in(of or list(TASKS)), pl.col("method").is_in([BASELINE, *only]) | (not only)
    )
    base = frame.filter(pl.col("method") == BASELINE)
    frame = frame.join(
        base.select("data", "noise", "seed", plain="accuracy", cost="seconds"), on=["data", "noise", "seed"]
    )
    frame = frame.with_columns(gain=100 * (pl.col("accuracy") - pl.col("plain")))
    names = [name for name in sorted(frame["method"].unique()) if name != BASELINE]
    print("| data | noise | cross-entropy | best three, points gained | how many gain |")
    print("|---|---|---|---|---|")
    for data, (noises, _, _) in TASKS.items():
        for noise in noises:
            own = frame.filter((pl.col("data") == data) & (pl.col("noise") == noise))
            if own.is_empty():
                continue
            plain = own.filter(pl.col("method") == BASELINE)["accuracy"]
            gains = own.filter(pl.col("method") != BASELINE).group_by("method").agg(
                pl.col("gain").mean(), error=pl.col("gain").std() / pl.len().sqrt(), n=pl.len()
            ).filter(pl.col("n") == len(plain)).sort("gain", descending=True)  # fmt: skip
            best = ", ".join(f"{m} {g:+.1f} ± {e or 0:.1f}" for m, g, e, _ in gains.head(3).rows())
            better = gains.filter(pl.col("gain") > 2 * pl.col("error").fill_null(9)).height
            print(f"| {data} | {noise} | {100 * float(plain.mean()):.1f} | {best} | {better} of {gains.height} |")
    kinds = {
        "right labels": (pl.col("noise") == "none") & ~pl.col("data").is_in(TEXTS),
        "made noise": pl.col("noise").str.contains("%"),
        "people's": pl.col("noise").str.contains("people"),
        "texts, right labels": (pl.col("noise") == "none") & pl.col("data").is_in(TEXTS),
        "texts, rules'": pl.col("noise") == "rules",
    }
    print("\n| method | cost | " + " | ".join(kinds) + " |\n" + "|---" * (2 + len(kinds)) + "|")
    for name in [BASELINE, *names]:
        own = frame.filter(pl.col("method") == name)
        cost = float((own["seconds"] / own["cost"]).median())
        means = [own.filter(which)["gain"].mean() for which in kinds.values()]
        print(f"| {name} | {cost:.1f} | " + " | ".join("" if m is None else f"{m:+.1f}" for m in means) + " |")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("run", "table"))
    options.add_argument("path", type=Path)
    options.add_argument("--part", default="0/1")
    options.add_argument("--only", nargs="*", default=[])
    options.add_argument("--data", nargs="*", default=[], choices=list(TASKS))
    asked = options.parse_args()
    if asked.what == "table":
        table(asked.path, asked.only, asked.data)
    else:
        part, parts = map(int, asked.part.split("/"))
        run(asked.path, part, parts, asked.only, asked.data)


if __name__ == "__main__":
    main()
