"""Nested dropout: features in order of importance, few of them used; with co-teaching of two networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch, Examples, Teaches, activated, supervised
from dross.models.lesson import Lesson
from dross.models.loop import Nets, Objective, Run, over
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

PAIR = ("net", "second")
_TIE = 1e-5
"""What one more feature must gain in accuracy, as in the paper's code."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def prefix_chances(d: int, spread: float) -> npt.NDArray[np.float64]:
    """The chance that the first 1, 2, …, d features are kept, shape (d,): ``exp(-(k / spread)²)``, adding up to one.

    >>> prefix_chances(3, 1.0).round(3).tolist()
    [0.952, 0.047, 0.0]
    """
    k = np.arange(1, d + 1)
    weights = np.exp(-((k / spread) ** 2) + (1 / spread) ** 2)  # the largest is 1, so that the sum is never 0
    chances: npt.NDArray[np.float64] = weights / weights.sum()
    return chances


def kept(features: Tensor, width: int | Tensor) -> Tensor:
    """The features (b, d), those after the first ``width`` set to 0.

    >>> import torch
    >>> kept(torch.ones(1, 4), 2).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """
    import torch

    return features * (torch.arange(features.shape[1], device=features.device) < width)


def best_width(accuracies: Tensor) -> int:
    """The number of features with the best accuracy, from that of each number of features from 1 on, shape (d,).

    A further feature must gain more than a hundred-thousandth.

    >>> import torch
    >>> best_width(torch.tensor([0.5, 0.9, 0.9]))
    2
    """
    import torch

    return int((accuracies - _TIE * torch.arange(len(accuracies), device=accuracies.device)).argmax()) + 1


def remembered(losses: Tensor, forget_rate: float) -> Tensor:
    """The positions of the rows of smallest loss, all but a share of them (at least one), shape (m,).

    >>> import torch
    >>> remembered(torch.tensor([3.0, 1.0, 2.0, 9.0]), 0.5).tolist()
    [1, 2]
    """
    count = max(1, int((1 - forget_rate) * len(losses)))
    return losses.argsort(stable=True)[:count]


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NestedDropout(NetworkTrainer):
    """Train with a random number of leading features, then let two such networks choose each other's rows.

    Chen, Hu, Shen, Ai, Suykens, "Compressing Features for Learning with Noisy Labels", 2022. Nested dropout keeps the
    first k features of the last layer, k drawn for each batch, so that the first carry most; a wrong label, which would
    need many, is hard to learn by heart. How many answer is chosen on rows that are not trained on, by their labels as
    given: the validation rows where ``patience`` asks for them, else ``validation`` of the labelled rows. Two networks
    are trained so, and then further with co-teaching (Han et al., 2018): each takes the rows of a batch that have the
    smallest loss in the other. Their logits are averaged.

    Without ``nested`` it is co-teaching from the start, without ``co_teaching`` two networks trained apart. Both
    networks see the same batch in co-teaching, as in its paper; the code of the 2022 paper gives them half each. It
    costs about twice cross-entropy.

    Attributes
    ----------
    nested, co_teaching
        The two halves of the method.
    spread
        Of the number of features kept (see :func:`prefix_chances`); 10 or 100 in the paper.
    forget_rate
        The share of a batch that co-teaching leaves out: the share of wrong labels, as well as one knows it.
    fine_tuning, fine_tuning_rate
        The share of the epochs that co-teaching has after the nested dropout, and its learning rate as a share of the
        first (a tenth or less in the paper, whose networks train for hundreds of epochs).
    gradual
        The share of the epochs over which the forget rate rises from 0, where co-teaching starts from nothing.
    """

    paper: ClassVar = Paper("Compressing Features for Learning with Noisy Labels", 2022, "2206.13140")
    answers_with: ClassVar[tuple[str, ...]] = PAIR

    nested: bool = True
    co_teaching: bool = True
    spread: float = 80.0
    forget_rate: float = 0.2
    fine_tuning: float = 0.5
    fine_tuning_rate: float = 1.0
    gradual: float = 0.2

    def build(self, make: Callable[..., Any]) -> Nets:
        """Two networks, each with the number of features that answer beside its weights."""
        import torch

        nets = {name: make() for name in PAIR}
        for net in nets.values():
            net.register_buffer("answering", torch.tensor(net.width))
        return nets

    def learn(self, lesson: Lesson) -> Run:
        """Nested dropout, then co-teaching; one stage where one half is left out."""
        if not (0 <= self.forget_rate < 1 and 0 < self.fine_tuning < 1 and self.spread > 0):
            raise DrossError(
                "forget_rate, fine_tuning or spread is out of range", fix="give shares from 0 to 1, a spread above 0"
            )
        lesson, judges = self._judges(lesson) if self.nested else (lesson, None)
        if not (self.nested and self.co_teaching):
            return self._finished(lesson.fit(_Stage(self, judges, self.co_teaching)), judges)
        last = max(1, round(self.fine_tuning * self.epochs))
        apart = lesson.fit(
            _Stage(self, judges, teaching=False), stage="nested dropout", epochs=max(1, self.epochs - last)
        )
        return self._finished(
            lesson.fit(
                _Stage(self, judges, teaching=True),
                stage="co-teaching",
                nets=apart.nets,
                epochs=last,
                learning_rate=self.fine_tuning_rate * self.learning_rate,
            ),
            judges,
        )

    def _judges(self, lesson: Lesson) -> tuple[Lesson, Examples]:
        """The lesson, and the rows by whose given labels the number of features is chosen.

        Where there are no validation rows some training rows become unlabelled ones, which nothing is learnt from.
        """
        import torch

        if lesson.held is not None:
            return lesson, lesson.held
        whole = lesson.examples
        known = np.flatnonzero(whole.known.numpy())
        hidden = np.random.default_rng((self.seed, 8)).permutation(known)[: round(self.validation * len(known))]
        if not len(hidden):
            return lesson, replace(whole, x=whole.x[known], y=whole.y[known])
        y = whole.y.clone()
        y[torch.from_numpy(hidden)] = -1
        return replace(lesson, examples=replace(whole, y=y)), replace(whole, x=whole.x[hidden], y=whole.y[hidden])

    def _finished(self, run: Run, judges: Examples | None) -> Run:
        choose_width(run, judges)
        return run

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """The mean of the two networks' logits from the features that answer, as chances."""
        one, two = (net.head(kept(net.encode(x), net.answering)) for net in (nets[name] for name in PAIR))
        return activated((one + two) / 2, teaches)

    def beliefs(self, run: Run) -> Tensor:
        """What both predict."""
        return run.over(lambda x: self.answer(run.nets, x, "class"))

    def report(self, run: Run) -> dict[str, Any]:
        """How many features answer."""
        return {"features": int(run.net.answering)}


class _Stage(Objective):
    """Two networks, apart or teaching each other."""

    def __init__(self, method: NestedDropout, judges: Examples | None, teaching: bool) -> None:
        self.method, self.judges, self.teaching = method, judges, teaching
        self.build, self.answer = method.build, method.answer  # type: ignore[method-assign]

    def epoch(self, run: Run) -> None:
        """Choose anew how many features answer."""
        choose_width(run, self.judges)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The sum of the two networks' cross-entropies, of all rows or of those that the other chose."""
        import torch

        (batch,) = batches
        nets = [run.nets[name] for name in PAIR]
        features = [net.encode(batch.x) for net in nets]
        if run.noted is not None:
            run.note(batch, nets[0].head(kept(features[0], nets[0].answering)))
        rows = [torch.arange(len(batch.y), device=run.device)] * 2
        if self.teaching:
            rows = [self._chosen(run, net, own, batch.y) for net, own in zip(nets, features, strict=True)][::-1]
        losses = [
            supervised(net.head(self._dropped(run, own[some])), batch.y[some])
            for net, own, some in zip(nets, features, rows, strict=True)
        ]
        return losses[0] + losses[1]

    def _dropped(self, run: Run, features: Tensor) -> Tensor:
        d = features.shape[1]
        if not self.method.nested:
            return features
        return kept(features, int(run.rng.choice(d, p=prefix_chances(d, self.method.spread))) + 1)

    def _chosen(self, run: Run, net: Any, features: Tensor, y: Tensor) -> Tensor:
        import torch
        from torch.nn.functional import cross_entropy

        rate = self.method.forget_rate
        if not self.method.nested:
            rate *= min(1.0, run.epoch / max(self.method.gradual * run.settings.epochs, 1e-9))
        with torch.no_grad():
            losses = cross_entropy(net.head(kept(features, net.answering)).float(), y, reduction="none")
        return remembered(losses, rate)


def choose_width(run: Run, judges: Examples | None) -> None:
    """Let as many features of both networks answer as are best on the judges' rows; all where there are none.

    O(m d k) for m rows, d features, k classes, a feature at a time.
    """
    import torch

    if judges is None:
        return
    y = judges.y.to(run.device)
    nets = [run.nets[name] for name in PAIR]
    features = [over(run.nets, net.encode, judges.x, run.device) for net in nets]
    with torch.no_grad():
        logits = sum((net.head.bias.float() for net in nets), torch.zeros(())) + torch.zeros(len(y), 1)
        right = []
        for j in range(features[0].shape[1]):
            for net, own in zip(nets, features, strict=True):
                logits = logits + own[:, j : j + 1] * net.head.weight[:, j].float()
            right.append((logits.argmax(dim=1) == y).float().mean())
        width = best_width(torch.stack(right))
    for net in nets:
        net.answering.fill_(width)
