"""Which rows to send for another opinion."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from dross.models.crowd import Consensus
from dross.models.label_models import fit
from dross.models.votes import Votes, from_matrix
from dross.weak.opinions import ask_again, expected_gain, vote_of_one_more
from tests.realdata import real


def test_the_gain_is_that_of_counting_every_vote() -> None:
    rng = np.random.default_rng(0)
    p, vote = rng.dirichlet(np.ones(3), 50), rng.dirichlet(np.ones(3), 3)
    by_hand = []
    for row in p:
        right = 0.0
        for j in range(3):
            joint = row * vote[:, j]
            right += joint.sum() * (joint / joint.sum()).max()
        by_hand.append(right - row.max())
    assert np.allclose(expected_gain(p, vote), np.maximum(by_hand, 0), atol=1e-9)


def test_no_votes_no_classes_and_ties() -> None:
    nothing = Votes(np.zeros(3, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), ["a"], ["x", "y"])
    rows, gain = ask_again(nothing, Consensus(np.full((2, 2), 0.5), np.ones(1)))
    assert rows.tolist() == [0, 1]  # equals in their order
    assert gain.tolist() == [0.0, 0.0]  # of annotators who never voted nothing is expected
    assert np.allclose(vote_of_one_more(nothing, Consensus(np.full((2, 2), 0.5), np.ones(1))), 0.5)


@pytest.mark.data
def test_another_opinion_where_it_is_asked_for_mends_more_than_elsewhere() -> None:
    """Three of each tweet's twenty labels, then three more on a fifth of the tweets: those named, or random ones."""
    folder = real("crowd_weather_sentiment")
    labels, tweets = pl.read_parquet(folder / "labels.parquet"), pl.read_parquet(folder / "tweets.parquet")
    rows = {v: i for i, v in enumerate(tweets["tweet_id"])}
    classes = {v: i for i, v in enumerate(sorted(labels["label"].unique()))}
    truth = np.array([classes.get(v, -1) for v in tweets["sentiment"]])
    at, who = np.array([rows[v] for v in labels["tweet_id"]]), labels["worker"].to_numpy()
    whole = np.full((len(rows), who.max() + 1), -1)
    whole[at, who] = [classes[v] for v in labels["label"]]
    gains = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        order = np.where(whole >= 0, rng.random(whole.shape), 2).argsort(axis=1).argsort(axis=1)
        before = np.where(order < 3, whole, -1)
        votes = from_matrix(before, len(classes))
        asked, _ = ask_again(votes, fit("one-coin", votes), len(rows) // 5)
        reached = []
        for chosen in (asked, rng.permutation(len(rows))[: len(rows) // 5]):
            more = np.isin(np.arange(len(rows)), chosen)[:, None]
            after = fit("one-coin", from_matrix(np.where((order < 3) | (more & (order < 6)), whole, -1), len(classes)))
            known = truth >= 0
            reached.append((after.probs[known].argmax(axis=1) == truth[known]).mean())
        gains.append(reached[0] - reached[1])
    assert np.mean(gains) > 0.01
    assert min(gains) > 0
