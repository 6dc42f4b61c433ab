"""Labelled and unlabelled rows side by side, and the pseudo-labels between them: what semi-supervised methods share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.loop import Run


def sizes(run: Run, ratio: int = 1) -> tuple[int, int, int]:
    """Labelled rows in a step, rows used without their label (``ratio`` times the batch size), steps in an epoch.

    No batch is larger than the rows there are, and an epoch passes over the larger set.
    """
    n = len(run.examples)
    labelled = min(run.settings.batch_size, len(run.labelled))
    unlabelled = min(ratio * run.settings.batch_size, n)
    return labelled, unlabelled, max(math.ceil(len(run.labelled) / labelled), math.ceil(n / unlabelled))


def side_by_side(run: Run, ratio: int = 1, pairs: int = 1) -> Iterator[tuple[Tensor, ...]]:
    """Batches of labelled rows and of rows used without their label, in turn, ``pairs`` of each to a step; one epoch.

    The rows used without their label are all rows, labelled ones among them, as in the published codes.
    """
    labelled, unlabelled, steps = sizes(run, ratio)
    known, whole = run.drawn(run.labelled, labelled), run.drawn(np.arange(len(run.examples)), unlabelled)
    for _ in range(steps):
        yield tuple(next(rows) for _ in range(pairs) for rows in (known, whole))


def done(run: Run, ratio: int = 1) -> float:
    """The share of all steps of the training that are done, in [0, 1)."""
    return run.step / (sizes(run, ratio)[2] * run.settings.epochs)


def warm(decay: float, step: int) -> float:
    """How slowly a mean teacher follows after a number of steps: its plain mean until that is slower than ``decay``.

    >>> warm(0.9, 0), warm(0.9, 1), warm(0.9, 99)
    (0.0, 0.5, 0.9)
    """
    return min(1 - 1 / (step + 1), decay)


def confident_cross_entropy(logits: Tensor, probs: Tensor, threshold: float) -> Tensor:
    """Cross-entropy against the likeliest class of each row, over rows at least so sure of it, divided by all rows.

    Equation 4 of Sohn et al., 2020. ``logits`` and ``probs`` have shape (b, k); no gradient passes into ``probs``.

    >>> import torch
    >>> sure, unsure = torch.tensor([[0.1, 0.9]]), torch.tensor([[0.4, 0.6]])
    >>> round(float(confident_cross_entropy(torch.zeros(2, 2), torch.cat([sure, unsure]), 0.8)), 4)
    0.3466
    """
    from torch.nn import functional

    top, classes = probs.detach().max(dim=1)
    rows = functional.cross_entropy(logits, classes, reduction="none")
    return (rows * (top >= threshold)).mean()
