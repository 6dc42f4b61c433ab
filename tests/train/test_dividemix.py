"""DivideMix: the equations of refinement and mixing, who divides for whom, wrong labels put right."""

from __future__ import annotations

import numpy as np
import torch

from dross.claims._training import trained
from dross.core.signal import Signals
from dross.models.co_division import co_refined, imbalance, sharpened
from dross.models.lesson import lesson_of
from dross.models.loop import Run
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.dividemix import DivideMix


def test_contract() -> None:
    check_method(DivideMix)


def test_refined_labels_follow_the_equations() -> None:
    rng = np.random.default_rng(0)
    labels = np.eye(4)[rng.integers(0, 4, 6)]
    probs = rng.dirichlet(np.ones(4), 6)
    clean = rng.random(6)
    slow = np.empty((6, 4))
    for i in range(6):
        mixed = clean[i] * labels[i] + (1 - clean[i]) * probs[i]
        slow[i] = mixed**2 / (mixed**2).sum()
    found = co_refined(*(torch.from_numpy(one) for one in (labels, probs, clean)), 0.5)
    assert np.allclose(found.numpy(), slow)


def test_sharpening_goes_to_the_likeliest_class_and_back() -> None:
    probs = torch.tensor([[0.5, 0.3, 0.2]])
    assert sharpened(probs, 0.05)[0, 0] > 0.999
    assert torch.allclose(sharpened(probs, 1.0), probs)


def test_imbalance_is_the_divergence_from_the_even_prior() -> None:
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]])
    mean = probs.mean(dim=0)
    expected = sum(1 / 3 * np.log((1 / 3) / float(m)) for m in mean)
    assert abs(float(imbalance(probs)) - expected) < 1e-6


def test_each_network_gets_the_rows_that_the_other_trusts() -> None:
    exam = digits_exam(0, noise=0.3, train=200)
    method = DivideMix(epochs=3)
    seen: list[tuple[int, list[int]]] = []

    class Watched(DivideMix):
        def divide(self, run: Run, name: str) -> torch.Tensor:
            trusted = torch.zeros(200)
            trusted[: 150 if name == "net" else 100] = 1
            return trusted

        def loss(self, run: Run, *batches):  # type: ignore[no-untyped-def]
            if run.epoch == 2:
                seen.append((int(run.state["turn"]), sorted(batches[0].rows.tolist())))
            return super().loss(run, *batches)

    lesson = lesson_of(method, exam.data, Signals(exam.data))
    lesson.fit(Watched(epochs=3))
    first = sorted(row for turn, rows in seen if turn == 0 for row in rows)
    second = sorted(row for turn, rows in seen if turn == 1 for row in rows)
    assert first == list(range(100))
    assert second == list(range(150))


def test_rows_without_a_label_are_learnt_from() -> None:
    exam = digits_exam(1, per_class=8)
    plain = trained(CrossEntropy(epochs=60, batch_size=16), exam)
    model = trained(DivideMix(epochs=60, batch_size=16), exam)
    assert model.summary["unlabelled"] == 920
    assert model.score(exam.test) > plain.score(exam.test) + 0.01


def test_wrong_labels_become_edits() -> None:
    exam = digits_exam(0, noise=0.4)
    model = trained(DivideMix(epochs=15), exam)
    assert model.edits is not None
    wrong = np.flatnonzero(np.asarray(exam.data.codes) != exam.truth)
    assert np.isin(wrong, model.edits.rows).mean() > 0.8
    right = np.array([int(v) for v in model.edits.after]) == exam.truth[model.edits.rows]
    assert right.mean() > 0.8
