"""Grounded teacher: a source model adapts to unlabelled rows of another domain, minding which classes it confuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.results import NotApplicable
from dross.core.signal import Signals
from dross.models.adapting import lesson_under, soft_relation, taken, target_rows
from dross.models.augment import strong, weak
from dross.models.examples import Batch, Examples, Teaches, activated, soft_cross_entropy, supervised, unreadable
from dross.models.lesson import Lesson
from dross.models.loop import Nets, Objective, Run, follow, frozen, over
from dross.models.mixing import mixed_logits
from dross.models.trainer import NetworkTrainer
from dross.models.unlabelled import warm

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.trained import Trained

Rows = npt.NDArray[np.int64]
SLIGHTEST = 0.1
"""A class whose confusion with others adds up to less is not mixed."""
ACROSS = 0.2
"""The chance that a row of a strong class meets a row unlike the source rather than one like it."""
BLENDING = 0.25
"""The share of the adaptation over which the confusion on the target replaces that on the source."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def moved_relation(relation: Tensor, classes: Tensor, guesses: Tensor, decay: float) -> Tensor:
    """The running confusion (k, k) after one more batch: row c tells how rows of class c were answered.

    Classes that are not in the batch stay as they are.

    >>> import torch
    >>> moved_relation(torch.eye(2), torch.tensor([0, 0]), torch.tensor([0, 1]), 0.5).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    import torch

    k = len(relation)
    counts = torch.bincount(classes * k + guesses, minlength=k * k).view(k, k).float()
    seen = counts.sum(dim=1, keepdim=True)
    return torch.where(seen > 0, decay * relation + (1 - decay) * counts / seen.clamp(min=1), relation)


def weak_classes(relation: Tensor) -> Tensor:
    """Whether each class is answered right no more often than the mean of the classes, shape (k,).

    >>> import torch
    >>> weak_classes(torch.tensor([[0.9, 0.1], [0.4, 0.6]])).tolist()
    [False, True]
    """
    own = relation.diagonal()
    return own <= own.mean()


def partner_chances(relation: Tensor, classes: Tensor) -> Tensor:
    """The chance of each class to be mixed into a row of a class, shape (b, k), not adding up to one.

    Into rows of a strong class those classes that are taken for it; into rows of a weak class those it is taken for,
    itself among them, which stands for no mixing.

    >>> import torch
    >>> relation = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    >>> partner_chances(relation, torch.tensor([0, 1])).tolist()
    [[0.0, 0.25], [0.25, 0.75]]
    """
    import torch

    taken_for_it = relation.t() - torch.diag(relation.diagonal())
    return torch.where(weak_classes(relation)[classes][:, None], relation[classes], taken_for_it[classes])


def relation_weights(relation: Tensor, classes: Tensor, guesses: Tensor, even: float = 1.0) -> Tensor:
    """The weight of each row's loss, shape (b,), with mean one.

    Right answers weigh little in classes that are mostly right; wrong ones weigh what their class is right, so that
    classes that are never right do not explode. ``even`` draws all weights towards one.

    >>> import torch
    >>> relation = torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    >>> relation_weights(relation, torch.tensor([0, 1]), torch.tensor([0, 1]), even=0.0).round(decimals=2).tolist()
    [0.6700000166893005, 1.3300000429153442]
    """
    import torch

    own = relation.diagonal()[classes].clamp(1e-3, 1 - 1e-3)
    weights = torch.where(classes == guesses, 1 - own, own)
    return (weights / weights.mean() + even) / (1 + even)


# ---- the stages --------------------------------------------------------------------------------------------------


class Source(Objective):
    """Plain training on labelled rows, changed weakly and strongly, that keeps the running confusion."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def begin(self, run: Run) -> None:
        """No class is confused with another yet."""
        import torch

        run.state["relation"] = torch.eye(run.examples.outputs, device=run.device)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy of both changes."""
        import torch

        (batch,) = batches
        logits, y = run.net(torch.cat([weak(batch.x), strong(batch.x)])), batch.y.repeat(2)
        run.note(batch, logits[: len(batch.y)])
        run.state["relation"] = moved_relation(run.state["relation"], y, logits.argmax(dim=1), self.decay)
        return supervised(logits, y)


class Expert(Objective):
    """Training on strongly changed labelled rows, each class drawn alike."""

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """As many rows as there are, rare classes as often as common ones."""
        y = run.examples.y.cpu().numpy()[run.labelled]
        weights = 1 / np.bincount(y, minlength=run.examples.outputs)[y]
        size = min(run.settings.batch_size, len(y))
        drawn = run.drawn(run.labelled, size, weights)
        for _ in range(-(-len(y) // size)):
            yield (next(drawn),)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy."""
        return supervised(run.net(strong(batches[0].x)), batches[0].y)


class Adaptation(Objective):
    """A student under a mean teacher and an expert, on target rows alone."""

    def __init__(self, method: GroundedTeacher, relation: Tensor, expert: Tensor | None) -> None:
        self.method, self.relation, self.expert = method, relation, expert

    def begin(self, run: Run) -> None:
        """What the source left: its confusion, and the expert's chances of the target rows (n, k)."""
        run.state["source"] = self.relation.to(run.device)
        run.state["target"] = run.state["source"].clone()
        if self.expert is not None:
            run.state["expert"] = self.expert.to(run.device)

    def epoch(self, run: Run) -> None:
        """Let the teacher tell which rows are like the source (the surer half), and fill the banks of each class."""
        import torch

        run.nets["teacher"].eval()
        top, classes = run.probs("teacher").max(dim=1)
        like = top >= top.median()
        run.state["like"] = like
        for name, there in (("near", like), ("far", ~like)):
            held = torch.where(there & (top >= self.method.threshold), classes, run.examples.outputs)
            run.state[name] = held.argsort(stable=True)
            run.state[f"{name} counts"] = held.bincount(minlength=run.examples.outputs + 1)[:-1]

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """The target rows."""
        for rows in run.shuffled(np.arange(len(run.examples))):
            yield (rows,)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """What the teacher teaches, and what the expert does."""
        import torch

        (batch,) = batches
        with torch.no_grad():
            probs = run.nets["teacher"](weak(batch.x)).float().softmax(dim=1)
        loss = self._taught(run, batch, probs, moves=True)
        if "expert" in run.state and self.method.expert_weight:
            loss = loss + self.method.expert_weight * self._taught(run, batch, run.state["expert"][batch.rows])
        return loss

    def after(self, run: Run, *batches: Batch) -> None:
        """Move the teacher."""
        follow(run.nets["teacher"], run.net, self.method.decay)

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """What the teacher says."""
        return activated(nets["teacher"](x), teaches)

    def _taught(self, run: Run, batch: Batch, probs: Tensor, moves: bool = False) -> Tensor:
        """The loss under pseudo-labels (b, k), over the sure rows; moves the running confusion where asked to."""
        import torch
        from torch.nn import functional

        top, classes = probs.max(dim=1)
        sure = top >= self.method.threshold
        relation = self._relation(run)
        partners, share, others = self._partners(run, batch.rows, classes, relation)
        shaped = share.view(-1, *[1] * (batch.x.ndim - 1 if batch.x.is_floating_point() else 1))
        other_x = run.examples.x[partners.to(run.examples.x.device)].to(run.device)
        logits = mixed_logits(run.net, strong(batch.x), weak(other_x), shaped).float()
        one, two = (functional.one_hot(c, run.examples.outputs) for c in (classes, others))
        guesses = logits.detach().argmax(dim=1)
        weights = torch.ones_like(top)
        if self.method.weighted:
            weights = torch.where(share < 1, weights, relation_weights(relation, classes, guesses))
        if moves:
            main = torch.where(share >= 0.5, classes, others)
            decay = warm(self.method.memory, run.step)
            run.state["target"] = moved_relation(run.state["target"], main[sure], guesses[sure], max(0.5, decay))
        targets = share[:, None] * one + (1 - share[:, None]) * two
        return (soft_cross_entropy(logits, targets) * weights * sure).mean()

    def _relation(self, run: Run) -> Tensor:
        """The confusion on the source, replaced little by little by that on the target."""
        share = min(1.0, run.step / max(1.0, BLENDING * self._steps(run)))
        return (1 - share) * run.state["source"] + share * run.state["target"]

    def _steps(self, run: Run) -> int:
        return run.settings.epochs * -(-len(run.examples) // run.settings.batch_size)

    def _partners(self, run: Run, rows: Tensor, classes: Tensor, relation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For each row another to mix it with, the share it keeps (1 where it is not mixed), and the other's class."""
        import torch

        b, device = len(rows), run.device
        feeble = weak_classes(relation)[classes]
        near, far = (run.state[f"{name} counts"] for name in ("near", "far"))
        chances = partner_chances(relation, classes) * (near + far > 0)
        others = torch.multinomial(chances + 1e-9, 1).squeeze(1)
        mixes = (torch.rand(b, device=device) < self.method.mix) & (chances.sum(dim=1) >= SLIGHTEST)
        mixes &= (others != classes) & (run.state["like"][rows] | ~feeble)
        across = feeble | (torch.rand(b, device=device) < ACROSS)
        across = torch.where(far[others] > 0, across, False) | (near[others] == 0)
        partners = torch.where(across, self._drawn(run, "far", others), self._drawn(run, "near", others))
        share = torch.as_tensor(run.rng.beta(0.5, 0.5, b), dtype=torch.float32, device=device)
        share = torch.where(feeble, torch.maximum(share, 1 - share), torch.minimum(share, 1 - share))
        return torch.where(mixes, partners, rows), torch.where(mixes, share, 1.0), torch.where(mixes, others, classes)

    def _drawn(self, run: Run, name: str, classes: Tensor) -> Tensor:
        """A random row of a bank for each class; any row where the bank has none of it."""
        import torch

        counts = run.state[f"{name} counts"]
        count = counts[classes]
        within = (torch.rand(len(classes), device=run.device) * count).long().minimum(count - 1).clamp(min=0)
        found: Tensor = run.state[name][
            ((counts.cumsum(0) - counts)[classes] + within).clamp(max=len(run.examples) - 1)
        ]
        return found


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroundedTeacher(NetworkTrainer):
    """Adapt a model to unlabelled rows of another domain without its source rows, and without losing rare classes.

    Ashraf, Manna, Purkayastha, Tariq, Bashir, "Context Aware Grounded Teacher for Source Free Object Detection", 2025,
    for whole rows rather than boxes. Labelled rows are the source: a model and an expert are trained on them. Both then
    adapt to the target, the rows without a label, by a mean teacher that sees no source row. A running confusion of the
    classes tells which are weak; sure target rows are mixed with rows of classes they are confused with, so that weak
    classes are met more often, and errors on them weigh more. The expert is frozen and teaches the student beside the
    teacher. With a column of domains, the target is the domains that have no label at all. The teacher answers.

    Attributes
    ----------
    source
        The folder of a saved model to adapt instead of training one; then no row needs a label.
    expert
        The folder of a saved model that is the expert; else one is trained beside the source model, on strongly changed
        rows with the classes drawn alike. With ``source`` alone there is none.
    adapt_epochs
        Passes over the target rows; ``epochs`` are those over the source rows.
    adapt_rate
        The learning rate of the adaptation.
    threshold
        The chance above which a pseudo-label is used; high ones leave weak classes out, and lose them.
    decay
        How slowly the teacher moves.
    memory
        How slowly the running confusion moves, alpha of the paper, which takes 0.99 for far longer trainings.
    mix
        The share of rows that are offered a partner; 0 mixes none.
    weighted
        Whether errors are weighted by the confusion.
    expert_weight
        The weight of the expert; 0 does without. Without mixing, weights and expert this is a plain mean teacher.
    """

    paper: ClassVar = Paper("Context Aware Grounded Teacher for Source Free Object Detection", 2025, "2504.15404")
    alias: ClassVar = "grounded-teacher"
    answers_with: ClassVar = ("net", "teacher")

    source: str = ""
    expert: str = ""
    adapt_epochs: int = 30
    adapt_rate: float = 1e-3
    threshold: float = 0.3
    decay: float = 0.99
    memory: float = 0.9
    mix: float = 1.0
    weighted: bool = True
    expert_weight: float = 1.0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there are labels, or a source model to do without."""
        return None if self.source else super().applies(data)

    def run(self, data: Dataset, signals: Signals) -> Trained | NotApplicable:
        """Train on the source rows, or take the source model; then adapt to the target rows."""
        if not self.source:
            return super().run(data, signals)
        from dross.models.trained import load

        self._check()
        given = load(self.source)
        own = replace(self, network=given.method.network)
        return unreadable(data) or own.taught(lesson_under(given, own, data, signals))

    def build(self, make: Callable[..., Any]) -> Nets:
        """The student, and the teacher, which starts as its copy."""
        net = make()
        return {"net": net, "teacher": frozen(net)}

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """What the teacher says."""
        return activated(nets["teacher"](x), teaches)

    def learn(self, lesson: Lesson) -> Run:
        """The source model, the expert, the adaptation."""
        known = np.flatnonzero(lesson.examples.known.numpy())
        target = target_rows(lesson)
        if self.source:
            from dross.models.trained import load

            net = load(self.source).nets["net"]
            relation = None
        else:
            before = lesson.fit(Source(self.memory), stage="source", examples=taken(lesson.examples, known))
            net, relation = before.net, before.state["relation"]
            if not len(target):
                before.nets["teacher"] = frozen(net)
                return before
        rows = taken(lesson.examples, target)
        expert = self._expert(lesson, known, target, rows)
        relation = soft_relation(net, rows, lesson) if relation is None else relation
        return replace(lesson, held=None).fit(  # validation rows are of the source, which is not looked at any more
            Adaptation(self, relation, expert),
            stage="adaptation",
            nets={"net": net, "teacher": frozen(net)},
            examples=rows,
            epochs=self.adapt_epochs,
            learning_rate=self.adapt_rate,
        )

    def report(self, run: Run) -> dict[str, Any]:
        """Which classes turned out weak on the target, by code."""
        if "target" not in run.state:
            return {}
        return {"weak classes": weak_classes(run.state["target"]).nonzero().flatten().tolist()}

    def _expert(self, lesson: Lesson, known: Rows, target: Rows, rows: Examples) -> Tensor | None:
        """The expert's chances of the target rows, shape (n, k); None where there is none."""
        import torch

        if not self.expert_weight or (self.source and not self.expert):
            return None
        if not self.expert:
            run = lesson.fit(Expert(), stage="expert", examples=taken(lesson.examples, known))
            return over(run.nets, lambda x: activated(run.net(x)), rows.x, run.device)
        from dross.models.trained import load

        model = load(self.expert)
        missing = [name for name in lesson.outcome.classes if name not in model.classes]
        if missing:
            raise DrossError(f"the expert does not know the class {missing[0]!r}", where=self.expert)
        place = [model.classes.index(name) for name in lesson.outcome.classes]
        return torch.from_numpy(model.predict_proba(lesson.data.take(lesson.rows[target]))[:, place])
