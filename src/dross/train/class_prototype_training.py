"""Class prototype training: rows are divided class by class, by loss and by nearness to the class prototype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.paper import Paper
from dross.models.co_division import PAIR, CoDivision
from dross.models.examples import Batch, soft_cross_entropy
from dross.models.loop import Nets, Run
from dross.models.small_loss import Values, loss_mixture, mixture_step, standardised

if TYPE_CHECKING:
    from torch import Tensor

PROTOTYPES = {"net": "prototypes", "second": "second prototypes"}
"""The prototypes that belong to each network."""
_FLOOR = 0.4
"""Least standard deviation of a component within a class, in units of the whole."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def similarities(vectors: Tensor, prototypes: Tensor) -> Tensor:
    """The cosines of vectors (b, d) with the prototypes of the classes (k, d), shape (b, k).

    >>> import torch
    >>> similarities(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0]])).tolist()
    [[1.0, 0.0]]
    """
    from torch.nn.functional import normalize

    return normalize(vectors.float(), dim=1) @ normalize(prototypes.float(), dim=1).T


def weighted_means(vectors: Tensor, labels: Tensor, clean: Tensor, k: int) -> Tensor:
    """The mean of the unit vectors (n, d) of each class, weighted by the chance (n,) of a right label, shape (k, d).

    >>> import torch
    >>> X, clean = torch.tensor([[3.0, 0.0], [0.0, 2.0], [0.0, 1.0]]), torch.tensor([1.0, 0.0, 1.0])
    >>> weighted_means(X, torch.tensor([0, 0, 1]), clean, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    import torch
    from torch.nn.functional import normalize

    total = torch.zeros(k, vectors.shape[1], device=vectors.device)
    total.index_add_(0, labels, normalize(vectors, dim=1) * clean[:, None])
    weight = torch.zeros(k, device=vectors.device).index_add_(0, labels, clean)
    return total / weight[:, None].clamp(min=1e-6)


def margins(cosines: Tensor, labels: Tensor) -> Tensor:
    """By how much the own prototype is nearer than the best other one, shape (n,); the cosine where there is no other.

    >>> import torch
    >>> margins(torch.tensor([[0.5, 0.25, 0.0]]), torch.tensor([1])).tolist()
    [-0.25]
    """
    own = cosines.gather(1, labels[:, None]).squeeze(1)
    if cosines.shape[1] == 1:
        return own
    return own - cosines.scatter(1, labels[:, None], -2.0).amax(dim=1)


def class_aware_chance(
    losses: Values, consistent: Values, labels: npt.NDArray[Any], k: int, clean: Values, rounds: int
) -> Values:
    """The chance that each label is right, judged within its class by loss and consistency together, shape (n,).

    ``rounds`` EM steps of one two-component Gaussian mixture for each of k classes, from the chances before. A row
    whose own prototype is the nearest (``consistent`` above 0) is in the end no worse than even: a mixture always
    finds two parts, even where all labels are right.

    >>> losses, consistent = np.array([0.1, 0.2, 2.0, 2.1]), np.array([0.5, 0.4, -0.4, -0.5])
    >>> class_aware_chance(losses, consistent, np.zeros(4, int), 1, np.array([0.9, 0.9, 0.1, 0.1]), 3).round().tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    features = np.stack([standardised(losses), -standardised(consistent)], axis=1)
    for _ in range(rounds):
        clean = mixture_step(features, labels, k, clean, _FLOOR)
    return np.where(consistent > 0, (1 + clean) / 2, clean)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassPrototypeTraining(CoDivision):
    """Learn class prototypes beside the network, divide the rows class by class with them, and learn semi-supervised.

    Huang, Chen, Feng, Wu, "Class Prototype-based Cleaner for Label Noise Learning", 2022. One mixture of losses treats
    all classes alike, though some are harder and some noisier. Here each network has a prototype for each class among
    its vectors. They start as the class means of the rows that one mixture of all losses thinks clean (the paper's
    warm-up cleaner) and are then learnt by gradient together with the network (M-step): a row is drawn to its
    prototype by the chance that its label is right, and else to where another view of it is. Before each epoch the
    chances are renewed (E-step): a two-component mixture for each class, over the loss and over how much nearer the
    own prototype is than the others. The division feeds the semi-supervised training of DivideMix. An
    epoch costs about 3.7 times one of cross-entropy.

    Attributes
    ----------
    prototype_weight
        The weight of the prototypes' loss.
    prototype_temperature
        What the cosines are divided by in it.
    rounds
        EM steps before each epoch.
    """

    paper: ClassVar = Paper("Class Prototype-based Cleaner for Label Noise Learning", 2022, "2212.10766")
    alias: ClassVar = "cpc-training"

    prototype_weight: float = 0.3
    prototype_temperature: float = 0.1
    rounds: int = 3

    def build(self, make: Callable[..., Any]) -> Nets:
        """Two networks, each with its prototypes."""
        from torch import nn

        nets = super().build(make)
        beside = {PROTOTYPES[name]: nn.Linear(net.width, net.outputs, bias=False) for name, net in nets.items()}
        return nets | beside

    def divide(self, run: Run, name: str) -> Tensor:
        """E-step; the first time the prototypes are the means of the rows of small loss."""
        import torch

        rows = torch.from_numpy(run.labelled).to(run.device)
        labels, k = run.y[rows], run.examples.outputs
        losses = run.losses(name)[rows].double().cpu().numpy()
        vectors = run.over(run.nets[name].encode, run.labelled)
        prototypes = run.nets[PROTOTYPES[name]].weight
        if run.epoch == self.first_division(run):
            before = loss_mixture(losses)
            weights = torch.from_numpy(before).float().to(run.device)
            prototypes.data.copy_(weighted_means(vectors, labels, weights, k))
        else:
            before = run.state["clean"][rows, PAIR.index(name)].double().cpu().numpy()
        near = margins(similarities(vectors, prototypes.detach()), labels).double().cpu().numpy()
        clean = torch.ones(len(run.examples), dtype=torch.float64)
        found = class_aware_chance(losses, near, labels.cpu().numpy(), k, before, self.rounds)
        clean[rows.cpu()] = torch.from_numpy(found)
        return clean

    def beside(self, run: Run, name: str, labelled: Batch, views: tuple[Tensor, Tensor]) -> Tensor:
        """M-step: the cross-entropy of one view against the label and the other view, by the chance of the label."""
        import torch
        from torch.nn.functional import one_hot

        net, prototypes = run.nets[name], run.nets[PROTOTYPES[name]].weight
        logits = similarities(net.encode(views[0]), prototypes) / self.prototype_temperature
        with torch.no_grad():
            other = similarities(net.encode(views[1]), prototypes) / self.prototype_temperature
            clean = run.state["clean"][labelled.rows, PAIR.index(name)][:, None]
            own = one_hot(labelled.y, run.examples.outputs).float()
            targets = clean * own + (1 - clean) * other.softmax(dim=1)
        return self.prototype_weight * soft_cross_entropy(logits, targets).mean()
