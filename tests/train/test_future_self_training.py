"""Future self-training: virtual steps by hand, what is put back, the two variants, the usual mean teacher."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from dross.claims._training import accuracy, trained
from dross.core.errors import DrossError
from dross.models.devices import seeded
from dross.models.examples import Batch, Examples
from dross.models.loop import Run, Settings
from dross.models.networks import Maker
from dross.testing import check_method
from dross.testing.images import digits_exam
from dross.train import future_self_training
from dross.train.future_self_training import FutureSelfTraining, Present, pseudo_label_loss


def test_contract() -> None:
    check_method(FutureSelfTraining)


def test_the_wide_variant_keeps_the_contract() -> None:
    exam = digits_exam(3, per_class=3, train=200)
    first, again = (trained(FutureSelfTraining(epochs=2, variant="wide", ahead=2), exam) for _ in range(2))
    assert np.array_equal(first.predict_proba(exam.test), again.predict_proba(exam.test))


def test_an_unsure_teacher_weighs_little() -> None:
    torch.manual_seed(0)
    logits, probs = torch.randn(20, 4), (2 * torch.randn(20, 4)).softmax(dim=1)
    share = float((probs.amax(dim=1) >= 0.7).float().mean())
    rows = [-float(logits[i].log_softmax(dim=0)[int(probs[i].argmax())]) for i in range(20)]
    assert 0 < share < 1
    assert float(pseudo_label_loss(logits, probs, 0.7)) == pytest.approx(share * np.mean(rows), abs=1e-5)


def _run(method: FutureSelfTraining) -> Run:
    with seeded(0):
        nets = method.build(Maker("linear", "vector", (4,), 3))
        x, y = torch.randn(18, 4), torch.arange(18) % 3
    optimizer = torch.optim.AdamW(nets["net"].parameters(), 0.1)
    return Run(Examples(x, y, 3), Settings(), nets, torch.device("cpu"), optimizer)


def _pairs(run: Run, count: int) -> tuple[Batch, ...]:
    return tuple(run.batch(torch.arange(3 * i, 3 * i + 3)) for i in range(2 * count))


def _plain(x: torch.Tensor) -> torch.Tensor:
    return x


def _hand_step(net: Any, optimizer: Any, teacher: Any, known: Batch, others: Batch) -> None:
    """One step on both losses, written out; a threshold of zero makes every row count."""
    with torch.no_grad():
        classes = teacher(others.x).argmax(dim=1)
    loss = torch.nn.functional.cross_entropy(net(known.x), known.y)
    loss = loss + torch.nn.functional.cross_entropy(net(others.x), classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _twin(run: Run) -> tuple[Any, Any]:
    """A copy of the student with an optimizer in the same state."""
    net = copy.deepcopy(run.net)
    optimizer = torch.optim.AdamW(net.parameters(), 0.1)
    optimizer.load_state_dict(copy.deepcopy(run.optimizer.state_dict()))
    return net, optimizer


def _moved(teacher: Any, weights: list[torch.Tensor], decay: float) -> None:
    with torch.no_grad():
        for mine, theirs in zip(teacher.parameters(), weights, strict=True):
            mine.copy_(decay * mine + (1 - decay) * theirs)


def _weights(net: Any) -> list[torch.Tensor]:
    return [p.detach().clone() for p in net.parameters()]


@pytest.mark.parametrize(("variant", "ahead"), [("deep", 0), ("deep", 2), ("wide", 2)])
def test_a_step_is_that_of_the_paper(variant: Any, ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps of the method beside three written out, with real AdamW moments."""
    monkeypatch.setattr(future_self_training, "weak", _plain)
    monkeypatch.setattr(future_self_training, "strong", _plain)
    method = FutureSelfTraining(variant=variant, ahead=ahead, decay=0.8, threshold=0.0)
    run = _run(method)
    batches = _pairs(run, 1 + ahead if variant == "wide" else 1)
    for step in range(3):
        run.step = step
        teacher, (student, optimizer) = copy.deepcopy(run.nets["teacher"]), _twin(run)
        decay = min(1 - 1 / (step + 1), 0.8)
        _moved(teacher, _weights(student), decay)
        if variant == "deep":
            virtual, moments = _twin(run)
            for _ in range(ahead):
                _hand_step(virtual, moments, teacher, *batches[:2])
                _moved(teacher, _weights(virtual), decay)
        else:
            futures = []
            for i in range(ahead):
                virtual, moments = _twin(run)
                _hand_step(virtual, moments, teacher, *batches[2 + 2 * i : 4 + 2 * i])
                futures.append(_weights(virtual))
            _moved(teacher, [torch.stack(group).mean(dim=0) for group in zip(*futures, strict=True)], decay)
        _hand_step(student, optimizer, teacher, *batches[:2])
        method.step(run, *batches)
        for mine, theirs in ((run.nets["teacher"], teacher), (run.net, student)):
            for one, other in zip(_weights(mine), _weights(theirs), strict=True):
                assert torch.allclose(one, other, atol=1e-5), f"step {step}"


def test_virtual_steps_leave_no_trace() -> None:
    run = _run(FutureSelfTraining())
    known, others = _pairs(run, 1)
    FutureSelfTraining(ahead=0).step(run, known, others)
    before, moments = _weights(run.net), copy.deepcopy(run.optimizer.state_dict()["state"])
    present = Present(run.net, run.optimizer)
    for _ in range(2):
        FutureSelfTraining(ahead=0).step(run, known, others)
        present.restore()
    assert all(torch.equal(a, b) for a, b in zip(before, _weights(run.net), strict=True))
    after = run.optimizer.state_dict()["state"]
    assert all(torch.equal(moments[i][key], after[i][key]) for i in moments for key in moments[i])


def test_only_real_steps_are_noted() -> None:
    seen: list[int] = []
    run = _run(FutureSelfTraining())
    run.noted = lambda run, batch, logits: seen.append(len(logits))
    FutureSelfTraining(ahead=3).step(run, *_pairs(run, 1))
    assert seen == [3]


def test_unlabelled_rows_help() -> None:
    exam = digits_exam(7, per_class=10)
    method = FutureSelfTraining(epochs=20, ahead=1)
    alone = trained(FutureSelfTraining(epochs=20, ahead=1, weight=0.0), exam)
    assert accuracy(trained(method, exam), exam) > accuracy(alone, exam)


def test_steps_back_are_refused() -> None:
    with pytest.raises(DrossError, match="ahead is -1"):
        trained(FutureSelfTraining(epochs=1, ahead=-1), digits_exam(0, train=50))
