"""SimCLRv2: two labels a class, and many images without one."""

from __future__ import annotations

from dataclasses import replace

from dross.claims import Budget, Evidence, claim
from dross.claims._training import accuracy, mean, over_seeds, trained
from dross.core.signal import Signals
from dross.models.best import score
from dross.models.examples import Examples
from dross.models.lesson import Lesson, lesson_of
from dross.models.loop import Run
from dross.pretrain.simclrv2 import SimCLRv2
from dross.testing.images import Exam
from dross.testing.mnist import mnist_exam, told
from dross.train.cross_entropy import CrossEntropy

PRETRAIN = 100
FEW, MANY = 2, 20
"""Labels of each class."""


def _right(run: Run, lesson: Lesson, exam: Exam) -> float:
    """Right answers of the run's network on the test rows, in per cent."""
    import torch

    held = Examples(torch.from_numpy(lesson.encoder(exam.test)), torch.from_numpy(exam.test.codes).long(), 10)
    return 100 * score(run.nets, SimCLRv2(), held, run.device)


@claim(
    method="simclrv2",
    paper="Big Self-Supervised Models are Strong Semi-Supervised Learners",
    says="unlabelled images, used twice, and a big network make up for labels",
    fast=False,
)
def pretraining_and_distillation_make_up_for_labels(budget: Budget) -> Evidence:
    """3,000 images, two labels of each class; the networks to beat see the labelled ones as often, changed alike."""

    def one(seed: int) -> dict[str, float]:
        exam, richer = (mnist_exam(seed, train=3000, per_class=count) for count in (FEW, MANY))
        big = SimCLRv2(network="pixel-mlp", seed=seed, epochs=300, pretrain_epochs=PRETRAIN, distill_epochs=20)
        small = replace(big, teacher="pixel-mlp")
        few, many = (lesson_of(big, one.data, Signals(one.data)) for one in (exam, richer))
        plain = CrossEntropy(network="pixel-mlp", epochs=300, seed=seed)
        found = {"small network, supervised only, images unchanged": accuracy(trained(plain, exam), exam)}
        for name, method in (("small", small), ("big", big)):
            bare = replace(method, pretrain_epochs=0, kept=0)
            found[f"{name} network, supervised only"] = _right(bare.tune(few, bare.pretrain(few)), few, exam)
            pretrained = method.pretrain(few)
            teacher = method.tune(few, pretrained)
            found[f"{name} network, fine-tuned"] = _right(teacher, few, exam)
            richly = replace(method, epochs=100).tune(many, pretrained)
            found[f"{name} network, fine-tuned on {10 * MANY} labels"] = _right(richly, many, exam)
        student = _right(big.distill(few, teacher), few, exam)
        alone = max(found["small network, supervised only"], found["big network, supervised only"])
        return {
            **found,
            "distilled small network": student,
            "points gained over the better supervised network": student - alone,
            "points lost in the distillation": found["big network, fine-tuned"] - student,
            "points that size gains with few labels": _size(found, ""),
            "points that size gains with many labels": _size(found, f" on {10 * MANY} labels"),
        }

    measured = over_seeds(budget, one)
    gained, lost = (mean(measured[key]) for key in (_GAINED, "points lost in the distillation"))
    few, many = (mean(measured[f"points that size gains with {count} labels"]) for count in ("few", "many"))
    return Evidence(measured, gained >= 10 and lost <= 2 and few > many, budget.seeds, told())


_GAINED = "points gained over the better supervised network"


def _size(found: dict[str, float], labels: str) -> float:
    """What the big network has over the small one, both pretrained."""
    return found[f"big network, fine-tuned{labels}"] - found[f"small network, fine-tuned{labels}"]
