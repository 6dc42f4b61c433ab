"""SimCLRv2: the contrastive loss, the middle of the projection head, distillation, the three stages."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from dross.core.signal import Signals
from dross.models.lesson import lesson_of
from dross.models.networks import Maker
from dross.models.nt_xent import nt_xent, projection
from dross.pretrain.simclrv2 import SimCLRv2, distillation, with_middle
from dross.testing import check_method
from dross.testing.images import digits_exam


def test_contract() -> None:
    check_method(SimCLRv2)


def test_the_contrastive_loss_is_equation_1_of_simclr() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    z = torch.cat([first, second])
    terms = []
    for i in range(8):
        similar = {j: np.exp(float(functional.cosine_similarity(z[i], z[j], dim=0)) / 0.3) for j in range(8) if j != i}
        terms.append(-np.log(similar[(i + 4) % 8] / sum(similar.values())))
    assert abs(float(nt_xent(first, second, 0.3)) - np.mean(terms)) < 1e-6


def test_one_row_has_nothing_to_be_told_from() -> None:
    assert float(nt_xent(torch.randn(1, 3), torch.randn(1, 3), 0.1)) == 0


def test_fine_tuning_starts_from_the_middle_of_the_head() -> None:
    net, x = Maker("mlp", "vector", (6,), 3)(), torch.randn(2, 6)
    projector = projection(net.width, 3)
    assert torch.equal(with_middle(net, projector, 0, 3).encode(x), net.encode(x))
    middle = with_middle(net, projector, 1, 3)
    assert torch.equal(middle.encode(x), projector[0](net.encode(x)).relu())
    torch.nn.init.zeros_(middle.body[1].weight)
    assert projector[0].weight.any(), "the pretrained layers are copied"


def test_distillation_is_lowest_where_the_student_agrees() -> None:
    """Its gradient in the student's logits is (p_S - p_T) / temperature, over the rows."""
    student, teacher = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    distillation(student, teacher, 0.5).backward()
    expected = ((student.detach() / 0.5).softmax(dim=1) - (teacher / 0.5).softmax(dim=1)) / 0.5 / 3
    assert torch.allclose(student.grad, expected, atol=1e-6)


def test_the_small_network_takes_after_the_big_one() -> None:
    exam = digits_exam(0, per_class=10, train=500)
    method = SimCLRv2(pretrain_epochs=5, epochs=30, distill_epochs=20, seed=1)
    lesson = lesson_of(method, exam.data, Signals(exam.data))
    teacher = method.tune(lesson, method.pretrain(lesson))
    student = method.distill(lesson, teacher)
    assert sum(p.numel() for p in student.net.parameters()) < sum(p.numel() for p in teacher.net.parameters()) / 4
    agree = student.probs().argmax(dim=1) == teacher.probs().argmax(dim=1)
    assert agree.float().mean() > 0.9
    assert student.history[-1]["loss"] < student.history[0]["loss"]
