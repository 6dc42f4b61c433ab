"""Guided SimCLR: contrast only rows that do not look alike, so that twins are not pushed apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.paper import Paper
from dross.models.augment import weak
from dross.models.examples import Batch
from dross.models.lesson import Lesson
from dross.models.loop import Nets, Objective, Run, frozen, over
from dross.models.nt_xent import Contrast
from dross.models.probe import Probe
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

Ints = npt.NDArray[np.int64]
LATENT = 64
"""Dimensions of the denoising autoencoder's code."""
NOISE = 0.5
"""Standard deviation of the noise that it takes off, in units of the standardised inputs."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def guided_batches(clusters: Ints, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Random batches in which no two rows share a cluster, as many as plain batches of ``size`` would be.

    ``clusters``, shape (n,), numbers from 0. A batch takes one row of each of ``size`` clusters, drawn by how many rows
    they have (all of them where there are no more); the rows of a cluster come in turn, shuffled anew after each pass.

    >>> [sorted(b.tolist()) for b in guided_batches(np.array([0, 1]), 2, np.random.default_rng(0))]
    [[0, 1]]
    """
    names, counts = np.unique(clusters, return_counts=True)
    members = [np.flatnonzero(clusters == name) for name in names]
    waiting: list[list[int]] = [[] for _ in names]
    for _ in range(-(-len(clusters) // size)):
        chosen = rng.choice(len(names), min(size, len(names)), replace=False, p=counts / counts.sum())
        for c in chosen:
            if not waiting[c]:
                waiting[c] = rng.permutation(members[c]).tolist()
        yield np.array([waiting[c].pop() for c in chosen])


def shared_negatives(classes: Ints, batches: list[Ints]) -> float:
    """The share of pairs of rows in a batch that are of one class: what a contrastive loss pushes apart wrongly.

    >>> shared_negatives(np.array([0, 0, 1]), [np.array([0, 1, 2])])
    0.3333333333333333
    """
    same = total = 0
    for rows in batches:
        counts = np.unique(classes[rows], return_counts=True)[1]
        same += int((counts * (counts - 1)).sum())
        total += len(rows) * (len(rows) - 1)
    return same / max(1, total)


# ---- the stages --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Denoising(Objective):
    """An autoencoder that takes noise off; of a text, of which words are gone, a fixed network's vector is restored."""

    def build(self, make: Any) -> Nets:
        """The coder, and the layers that give the row back."""
        from torch import nn

        # an image is coded pixel by pixel: a network that averages over its maps forgets where things are
        coder = make(LATENT, "pixel-mlp" if make.kind == "image" else None)
        nets = {"reader": frozen(coder)} if make.kind == "tokens" else {}
        width = coder.width if nets else math.prod(make.shape)
        decoder = nn.Sequential(nn.Linear(LATENT, 2 * LATENT), nn.ReLU(), nn.Linear(2 * LATENT, width))
        return {"net": coder, "decoder": decoder, **nets}

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """All rows."""
        for rows in run.shuffled(np.arange(len(run.examples))):
            yield (rows,)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The squared error of what is given back: the inputs, or the vector that a fixed reader makes of a text."""
        import torch

        x = batches[0].x
        if not x.is_floating_point():
            seen = run.net(weak(x))
            wanted = run.nets["reader"].encode(x).detach()
        else:
            seen, wanted = run.net(x + NOISE * torch.randn_like(x)), x.flatten(1)
        error: Tensor = (run.nets["decoder"](seen) - wanted).square().mean()
        return error


@dataclass(frozen=True)
class Guided(Contrast):
    """Contrast in batches without two rows of one pseudo-class; plain random batches of that size without clusters."""

    clusters: tuple[int, ...] | None = None
    size: int = 10

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """All rows, in guided or in plain batches."""
        import torch

        if self.clusters is None:
            for rows in run.shuffled(np.arange(len(run.examples)), self.size):
                yield (rows,)
            return
        for chosen in guided_batches(np.asarray(self.clusters), self.size, run.rng):
            yield (torch.from_numpy(chosen),)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GuidedSimCLR(NetworkTrainer):
    """Pretrain by contrast in batches of rows of different pseudo-classes, then teach a linear layer the labels.

    Chakraborty, Gosthipaty, Paul, "G-SimCLR: Self-Supervised Contrastive Learning with Guided Projection via Pseudo
    Labelling", 2020. A denoising autoencoder codes the rows, k-means clusters the codes, and a batch holds at most one
    row of each cluster, so that the contrastive loss seldom pushes two rows of one class apart.

    Attributes
    ----------
    clusters
        How many pseudo-classes; at best the number of classes or more.
    guided
        Whether they guide the batches; plain SimCLR, in batches of the same size, where not.
    contrast_batch
        Rows in a batch of the pretraining, at most one of each pseudo-class.
    denoise_epochs, pretrain_epochs
        Passes of the autoencoder and of the pretraining; ``epochs`` are those with the labels.
    temperature
        Of the contrastive loss.
    tuned
        Whether the labels change all of the network, or teach a linear layer on it alone.
    probe_rate
        The learning rate of the linear layer.
    """

    paper: ClassVar = Paper(
        "G-SimCLR : Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling",
        2020,
        "2009.12007",
    )
    alias: ClassVar = "g-simclr"

    clusters: int = 10
    guided: bool = True
    contrast_batch: int = 10
    denoise_epochs: int = 20
    pretrain_epochs: int = 30
    temperature: float = 0.5
    tuned: bool = False
    probe_rate: float = 0.01

    def learn(self, lesson: Lesson) -> Run:
        """Pseudo-classes, pretraining, labels."""
        unjudged = replace(lesson, held=None)  # no validation row can judge a network that has no classes yet
        clusters = self.pseudo_classes(unjudged) if self.guided else None
        several = clusters is not None and len(np.unique(clusters)) > 1
        objective = Guided(
            self.temperature,
            clusters=tuple(clusters.tolist()) if several and clusters is not None else None,
            size=max(2, min(self.contrast_batch, self.clusters)),
        )
        pretrained = unjudged.fit(objective, stage="contrastive pretraining", epochs=self.pretrain_epochs)
        rate = lesson.settings.learning_rate if self.tuned else self.probe_rate
        return lesson.fit(Probe(self.tuned), nets={"net": pretrained.net}, stage="labels", learning_rate=rate)

    def pseudo_classes(self, lesson: Lesson) -> Ints:
        """The cluster of each training row among the codes of the autoencoder, shape (n,)."""
        import warnings

        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        run = lesson.fit(Denoising(), stage="denoising", epochs=self.denoise_epochs)
        codes = over(run.nets, run.net, lesson.examples.x, run.device).cpu().numpy()
        means = KMeans(min(self.clusters, len(codes)), n_init=4, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different codes than clusters: some stay empty
            return np.asarray(means.fit_predict(codes), np.int64)
