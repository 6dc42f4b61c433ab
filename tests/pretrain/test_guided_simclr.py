"""Guided SimCLR: batches of different pseudo-classes, the pseudo-classes, what the probe leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.pretrain.guided_simclr import GuidedSimCLR, guided_batches, shared_negatives
from dross.testing import check_method
from dross.testing.images import digits_exam


def test_contract() -> None:
    check_method(GuidedSimCLR)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 8))
def test_no_two_rows_of_a_batch_share_a_cluster(clusters: list[int], size: int) -> None:
    labels = np.array(clusters)
    batches = list(guided_batches(labels, size, np.random.default_rng(0)))
    assert len(batches) == -(-len(labels) // size)
    for rows in batches:
        assert len(rows) == min(size, len(set(clusters)))
        assert len(np.unique(labels[rows])) == len(rows)


def test_each_row_of_even_clusters_comes_once() -> None:
    labels = np.repeat(np.arange(4), 5)
    rows = np.concatenate(list(guided_batches(labels, 4, np.random.default_rng(1))))
    assert sorted(rows.tolist()) == list(range(20))


def test_shared_negatives_of_plain_batches_are_as_many_as_chance_has_it() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, 4000)
    batches = [rng.permutation(4000)[:20] for _ in range(200)]
    assert abs(shared_negatives(classes, batches) - 0.25) < 0.01
    assert shared_negatives(classes, list(guided_batches(classes, 4, rng))) == 0


def test_pseudo_classes_of_digits_follow_the_classes() -> None:
    exam = digits_exam(0, per_class=5, train=500)
    method = GuidedSimCLR(denoise_epochs=15)
    found = method.pseudo_classes(lesson_of(method, exam.data, Signals(exam.data)))
    purity = sum(np.bincount(exam.truth[found == c]).max() for c in np.unique(found)) / len(found)
    assert purity > 0.5, "chance is about 0.15"


def test_the_probe_leaves_the_pretrained_network_alone_unless_it_is_tuned() -> None:
    exam = digits_exam(0, per_class=3, train=100)
    method = GuidedSimCLR(epochs=0, denoise_epochs=1, pretrain_epochs=2)
    lesson = lesson_of(method, exam.data, Signals(exam.data))
    rows = lesson.examples.x
    before = method.learn(lesson).net.encode(rows)
    longer = replace(lesson, settings=replace(lesson.settings, epochs=5))
    assert torch.equal(before, method.learn(longer).net.encode(rows))
    assert not torch.equal(before, replace(method, tuned=True).learn(longer).net.encode(rows))
