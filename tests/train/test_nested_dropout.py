"""Nested dropout: the distribution of prefixes, the number of features that answer, who chooses for whom."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dross.claims._training import trained
from dross.core.errors import DrossError
from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.models.loop import Run
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.cross_entropy import CrossEntropy
from dross.train.nested_dropout import NestedDropout, best_width, choose_width, kept, prefix_chances, remembered


def test_contract() -> None:
    check_method(NestedDropout)


@pytest.mark.parametrize("spread", [0.01, 3.0, 100.0])
def test_prefixes_are_drawn_from_half_a_bell(spread: float) -> None:
    found = prefix_chances(50, spread)
    assert abs(found.sum() - 1) < 1e-12
    assert (np.diff(found) <= 0).all()
    if spread > 1:
        assert abs(found[4] / found[0] - np.exp((1 - 25) / spread**2)) < 1e-12


def test_gradients_reach_only_the_features_that_are_kept() -> None:
    features = torch.randn(3, 6, requires_grad=True)
    (kept(features, 4) ** 2).sum().backward()
    assert (features.grad[:, :4] != 0).all()
    assert (features.grad[:, 4:] == 0).all()


def test_the_number_of_features_is_the_best_by_brute_force() -> None:
    exam = digits_exam(0, noise=0.2, train=300)
    method = NestedDropout(epochs=2)
    run = method.learn(lesson_of(method, exam.data, Signals(exam.data)))
    judges = run.examples
    known = judges.y >= 0
    slow = []
    for width in range(1, run.net.width + 1):
        logits = [run.nets[name].head(kept(run.nets[name].encode(judges.x), width)) for name in ("net", "second")]
        slow.append((sum(logits).argmax(dim=1) == judges.y).float().mean())
    choose_width(run, judges)
    assert known.sum() == 270  # a tenth is kept apart
    assert int(run.net.answering) == best_width(torch.stack(slow))


def test_each_network_learns_from_the_rows_that_are_easy_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    exam = digits_exam(0, noise=0.2, train=120)
    easy = {"net": torch.arange(0, 10), "second": torch.arange(10, 20)}
    taught: list[int] = []

    from dross.train import nested_dropout

    def chosen(self: object, run: Run, net: object, features: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return easy["net" if net is run.nets["net"] else "second"]

    def told(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        taught.extend(y.tolist())
        return logits.square().sum()

    monkeypatch.setattr(nested_dropout._Stage, "_chosen", chosen)
    monkeypatch.setattr(nested_dropout, "supervised", told)
    method = NestedDropout(epochs=1, nested=False, batch_size=120)
    run = method.learn(lesson_of(method, exam.data, Signals(exam.data)))
    rows = next(iter(np.random.default_rng((0, 0)).permutation(np.arange(120))[None]))
    assert taught == [*exam.data.codes[rows[10:20]], *exam.data.codes[rows[:10]]]
    assert run.step == 1


def test_the_rows_of_small_loss_are_remembered() -> None:
    losses = torch.rand(50, generator=torch.Generator().manual_seed(0))
    found = remembered(losses, 0.3)
    assert len(found) == 35
    assert losses[found].max() <= np.sort(losses.numpy())[34]
    assert len(remembered(losses[:1], 0.9)) == 1


def test_wrong_labels_are_not_learnt_by_heart() -> None:
    exam = digits_exam(0, noise=0.4)
    plain, ours = trained(CrossEntropy(epochs=50), exam), trained(NestedDropout(epochs=50, forget_rate=0.4), exam)
    assert ours.score(exam.test) > plain.score(exam.test) + 0.05
    assert ours.summary["features"] < 128


def test_settings_out_of_range_are_refused() -> None:
    exam = digits_exam(0, train=60)
    with pytest.raises(DrossError, match="out of range"):
        NestedDropout(forget_rate=1.0).run(exam.data, Signals(exam.data))
