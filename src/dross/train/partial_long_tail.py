"""COMIC: label sets with missing labels and rare ones: correct, modify, balance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.results import Edits
from dross.core.roles import Role
from dross.models.examples import Batch
from dross.models.lesson import Lesson
from dross.models.loop import Nets, Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-8


# ---- the mathematics ---------------------------------------------------------------------------------------------


def class_bars(y: Tensor, probs: Tensor, threshold: float) -> Tensor:
    """The class-aware thresholds, shape (k,): the mean chance over the rows that list a class, at least the given one.

    >>> import torch
    >>> y, probs = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.9, 0.1], [0.7, 0.1]])
    >>> class_bars(y, probs, 0.6).round(decimals=3).tolist()
    [0.800000011920929, 0.6000000238418579]
    """
    means = (y * probs).sum(dim=0) / y.sum(dim=0).clamp(min=1.0)
    return means.clamp(min=threshold)


def corrected(y: Tensor, probs: Tensor, bars: Tensor) -> Tensor:
    """Labels with the missing ones put in whose chance is above the bar of their class, shape (b, k).

    >>> import torch
    >>> corrected(torch.zeros(1, 2), torch.tensor([[0.9, 0.7]]), torch.tensor([0.6, 0.8])).tolist()
    [[1.0, 0.0]]
    """
    import torch

    return torch.where(probs > bars, torch.ones_like(y), y)


def rarity(counts: Tensor, power: float = 1 / 6) -> Tensor:
    """The weight of each class, ``(1 - log(n_c / max n)) ** power``: 1 for the most frequent, more for rare ones.

    >>> import torch
    >>> rarity(torch.tensor([10.0, 10.0 / 2.718281828]), 1.0).round(decimals=3).tolist()
    [1.0, 2.0]
    """
    counts = counts.clamp(min=1.0)
    weights: Tensor = (1 - (counts / counts.max()).log()) ** power
    return weights


def multi_focal(logits: Tensor, y: Tensor, weights: Tensor, positive: float, negative: float, clip: float) -> Tensor:
    """The multi-focal modifier loss of each row, summed over classes, shape (b,).

    A label that is there costs ``w_c (1 - p)^positive log p``; one that is not costs ``w_c q^(negative + w_c)
    log(1 - q)`` with ``q = max(0, p - clip)``: easy negatives hardly count, the less so the rarer the class. The
    focusing factors carry no gradient, as in the paper's code. Whoever wants a margin subtracts it from the logits of
    labels that are there.

    >>> import torch
    >>> one = torch.ones(1)
    >>> multi_focal(torch.zeros(1, 1), torch.ones(1, 1), one, 0.0, 3.0, 0.05).round(decimals=3).tolist()
    [0.6930000185966492]
    """
    p = logits.float().sigmoid()
    away = (1 - p + clip).clamp(max=1)
    logs = y * p.clamp(min=_LEAST).log() + (1 - y) * away.clamp(min=_LEAST).log()
    right = (p * y + away * (1 - y)).detach()
    focus = (1 - right) ** (positive * y + (negative + weights) * (1 - y))
    losses: Tensor = -(weights * focus * logs).sum(dim=1)
    return losses


def along(vectors: Tensor, direction: Tensor, share: float) -> Tensor:
    """Vectors plus ``share`` times their projection on a direction, shape (b, d).

    >>> import torch
    >>> along(torch.tensor([[3.0, 4.0]]), torch.tensor([2.0, 0.0]), -1.0).tolist()
    [[0.0, 4.0]]
    """
    unit = direction / direction.norm().clamp(min=_LEAST)
    added: Tensor = vectors + share * (vectors @ unit)[:, None] * unit
    return added


def balance(logits: Tensor, head: Tensor, tail: Tensor, head_losses: Tensor, tail_losses: Tensor) -> Tensor:
    """The distance of each row's logits from the chances of two teachers, the better teacher counting more, shape (b,).

    The share of the head's teacher is ``l_tail^2 / (l_head^2 + l_tail^2)``, with ``l`` the teachers' losses; the
    distance is the binary cross-entropy summed over classes.

    >>> import torch
    >>> zero, one = torch.zeros(1, 1), torch.ones(1)
    >>> balance(zero, zero, zero, one, one).round(decimals=3).tolist()
    [0.6930000185966492]
    """
    from torch.nn import functional

    one, two = head_losses.square(), tail_losses.square()
    share = (two / (one + two).clamp(min=_LEAST))[:, None]
    targets = share * head.sigmoid() + (1 - share) * tail.sigmoid()
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PartialLongTail(NetworkTrainer):
    """Recover missing labels, look harder at rare ones, and balance a classifier between head and tail.

    Zhang, Liu, Zeng, Ooi, Tang, Zhuang, "Learning in Imperfect Environment: Multi-Label Classification with
    Long-Tailed Distribution and Partial Labels" (COMIC), 2023. A label that a row does not list may be missing: once
    the network is sure enough it is learnt as if it were there. A first classifier leans on the mean direction of all
    vectors, which frequent classes dominate; more of that direction makes the head's teacher, less of it the tail's,
    and the classifier that answers is drawn to both. The paper's code trains three networks one after the other; here
    they share the body and one training.

    Attributes
    ----------
    threshold
        The chance above which a missing label is put in, where the mean chance of the class over the rows that list it
        is not higher still. (The paper's code takes the mean over a batch.)
    warmup_epochs
        Passes before the first correction.
    positive, negative, clip
        The focusing exponents of labels that are there and that are not; how much of the chance of the latter is free.
    margin
        What is taken from the logits of labels that are there before the loss is, as in the paper's code: their
        chances rise the higher for it, and with them those of missing labels, whose rows look like theirs.
    strength
        The weight of the balancing term.
    more, less
        How much of the mean direction the head's teacher adds and the tail's takes away.
    """

    paper: ClassVar = Paper(
        "Learning in Imperfect Environment: "
        "Multi-Label Classification with Long-Tailed Distribution and Partial Labels",
        2023,
        "2304.10539",
    )
    alias: ClassVar = "comic"
    needs: ClassVar = (Role.LABELS,)

    threshold: float = 0.85
    warmup_epochs: int = 5
    positive: float = 0.0
    negative: float = 3.0
    clip: float = 0.05
    margin: float = 1.0
    strength: float = 0.3
    more: float = 0.5
    less: float = 1.0

    def build(self, make: Callable[..., Any]) -> Nets:
        """The network whose head is the balanced classifier, and the first classifier."""
        from torch import nn

        net = make()
        return {"net": net, "first": nn.Linear(net.width, net.outputs)}

    def begin(self, run: Run) -> None:
        """No direction yet; classes are as frequent as the given labels say."""
        import torch

        run.state["direction"] = torch.zeros(run.net.width, device=run.device)
        run.state["counts"] = run.y.nan_to_num(0.0).sum(dim=0)
        run.state["bars"] = torch.full_like(run.state["counts"], 2.0)

    def epoch(self, run: Run) -> None:
        """Renew the bars, and count the classes with the labels that are put in."""
        if run.epoch >= self.warmup_epochs:
            self._look(run)

    def _look(self, run: Run) -> Tensor:
        """The labels of all rows, with those put in, by what the network says now."""
        y, probs = run.y.nan_to_num(0.0), run.probs()
        y = y * run.examples.known.to(run.device)[:, None]
        run.state["bars"] = class_bars(y, probs, self.threshold)
        found = corrected(y, probs, run.state["bars"])
        run.state["counts"] = found.sum(dim=0)
        return found

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Both classifiers' losses on the corrected labels, and the balancing term."""
        (batch,) = batches
        vectors = run.net.encode(batch.x).float()
        logits, first = run.net.head(vectors).float(), run.nets["first"](vectors).float()
        run.note(batch, logits)
        y = corrected(batch.y, logits.detach().sigmoid(), run.state["bars"])
        fresh = vectors.detach().mean(dim=0)
        old = run.state["direction"]
        run.state["direction"] = 0.9 * old + 0.1 * fresh if bool(old.any()) else fresh
        direction = run.state["direction"]
        weights = rarity(run.state["counts"])
        teachers = [run.nets["first"](along(vectors, direction, share)).detach() for share in (self.more, -self.less)]
        losses = [self._focal(teacher, y, weights) for teacher in teachers]
        drawn = balance(logits, teachers[0], teachers[1], losses[0], losses[1])
        own = self._focal(logits, y, weights) + self._focal(first, y, weights)
        return (own + self.strength * drawn).mean()

    def _focal(self, logits: Tensor, y: Tensor, weights: Tensor) -> Tensor:
        return multi_focal(logits.float() - self.margin * y, y, weights, self.positive, self.negative, self.clip)

    def beliefs(self, run: Run) -> Tensor:
        """The chance of each label of each training row; given labels are certain, shape (n, k)."""
        return run.y.nan_to_num(0.0).maximum(run.probs())

    def _edits(self, run: Run, lesson: Lesson) -> Edits:
        """The labels that were put in, one edit for each row that got some."""
        probs, given = run.probs().cpu(), run.examples.y.cpu().nan_to_num(0.0)
        put = (self._look(run).cpu() > given) & run.examples.known.cpu()[:, None]
        rows = np.flatnonzero(put.any(dim=1).numpy())
        names = lesson.outcome.classes

        def listed(sets: Any) -> list[Any]:
            return [[names[j] for j in np.flatnonzero(row)] for row in sets[rows].numpy()]

        sure = probs.where(put, 2.0).amin(dim=1)[rows].clamp(0, 1).numpy().astype(np.float32)
        before, after = listed(given > 0), listed((given > 0) | put)
        reason = f"training by {self.name()} found labels that are missing"
        return Edits(lesson.rows[rows], lesson.data.name_of(Role.LABELS), before, after, sure, reason)

    def _check(self) -> None:
        super()._check()
        if not 0 < self.threshold < 1 or not 0 <= self.clip < 1:
            raise DrossError(f"threshold is {self.threshold} and clip is {self.clip}", fix="give shares below 1")
