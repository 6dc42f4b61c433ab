"""FixMatch: the masked loss, the pairing of rows, the mean of the weights."""

from __future__ import annotations

import numpy as np
import torch

from dross.claims._training import accuracy, trained
from dross.models.devices import seeded
from dross.models.examples import Examples
from dross.models.loop import Run, Settings
from dross.models.networks import Maker
from dross.models.unlabelled import confident_cross_entropy, side_by_side, sizes
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train.fixmatch import FixMatch


def test_contract() -> None:
    check_method(FixMatch)


def test_the_loss_is_that_of_equation_4() -> None:
    """Row by row: the cross-entropy of the likeliest class where it is likely enough, over all rows."""
    torch.manual_seed(0)
    logits, probs = torch.randn(50, 3), (2 * torch.randn(50, 3)).softmax(dim=1)
    total = sum(
        -float(logits[i].log_softmax(dim=0)[int(probs[i].argmax())]) for i in range(50) if float(probs[i].max()) >= 0.8
    )
    assert 0 < int((probs.amax(dim=1) >= 0.8).sum()) < 50
    assert np.isclose(float(confident_cross_entropy(logits, probs, 0.8)), total / 50, atol=1e-6)


def _run(n: int, labelled: int, batch_size: int) -> Run:
    y = torch.full((n,), -1)
    y[:labelled] = torch.arange(labelled) % 2
    with seeded(0):
        nets = FixMatch().build(Maker("mlp", "vector", (4,), 2))
    optimizer = torch.optim.AdamW(nets["net"].parameters())
    settings = Settings(batch_size=batch_size)
    return Run(Examples(torch.zeros(n, 4), y, 2), settings, nets, torch.device("cpu"), optimizer)


def test_an_epoch_passes_over_the_larger_set() -> None:
    run = _run(100, 6, 4)
    steps = list(side_by_side(run, ratio=2))
    assert (len(steps), *sizes(run, 2)[:2]) == (13, 4, 8)
    assert all(len(known) == 4 and len(others) == 8 for known, others in steps)
    assert torch.cat([known for known, _ in steps]).max() < 6
    assert set(torch.cat([others for _, others in steps]).tolist()) == set(range(100))


def test_batches_are_no_larger_than_the_rows() -> None:
    assert sizes(_run(10, 3, 64), 7) == (3, 10, 1)


def test_the_mean_of_the_weights_follows_them() -> None:
    method, run = FixMatch(decay=0.9), _run(10, 4, 4)
    history = []
    with torch.no_grad():
        for step in range(5):
            run.step = step + 1
            run.net.head.bias.fill_(float(step))
            method.after(run)
            history.append(float(run.nets["mean"].head.bias[0]))
    expected, mean = [], float(_run(10, 4, 4).net.head.bias.detach()[0])
    for step in range(5):
        decay = min(1 - 1 / (step + 2), 0.9)
        mean = decay * mean + (1 - decay) * step
        expected.append(mean)
    assert np.allclose(history, expected, atol=1e-6)


def test_sure_guesses_are_learnt_from() -> None:
    exam = digits_exam(7, per_class=5)
    settings = {"network": "pixel-mlp", "epochs": 25, "batch_size": 32, "ratio": 3, "threshold": 0.8}
    gained = accuracy(trained(FixMatch(**settings), exam), exam)
    assert gained > accuracy(trained(FixMatch(**settings, weight=0.0), exam), exam)
