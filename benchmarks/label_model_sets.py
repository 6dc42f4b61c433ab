"""Votes of rules and of people, real and made, with the truth; for ``label_models.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

Task = tuple[np.ndarray, np.ndarray, int]
"""Votes (n, m) with -1 for an abstention, the truth (n,) with -1 where unknown, the number of classes."""


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
