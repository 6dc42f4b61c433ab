"""Adaptation of a trained model to rows of another domain: which rows those are, and how the model reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.models.devices import device_of
from dross.models.examples import Examples, activated
from dross.models.lesson import Lesson, Outcome, checkpoints
from dross.models.loop import over

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.trained import Trained
    from dross.models.trainer import NetworkTrainer

Rows = npt.NDArray[np.int64]


def target_rows(lesson: Lesson) -> Rows:
    """Positions, among the rows of a lesson, of those to adapt to: without a label, in domains without any label.

    Where every domain has a label, or none is named, all rows without a label.
    """
    known: npt.NDArray[np.bool_] = lesson.examples.known.numpy()
    if not lesson.data.has(Role.DOMAIN):
        return np.flatnonzero(~known)
    column = pc.cast(lesson.data.column(Role.DOMAIN), pa.string()).combine_chunks().dictionary_encode()
    domain = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)[lesson.rows]
    elsewhere = ~known & ~np.isin(domain, domain[known])
    return np.flatnonzero(elsewhere if elsewhere.any() else ~known)


def taken(examples: Examples, rows: Rows) -> Examples:
    """Some of the examples.

    >>> import torch
    >>> taken(Examples(torch.zeros(3, 2), torch.tensor([0, 1, 0]), 2), np.array([1])).y.tolist()
    [1]
    """
    return Examples(examples.x[rows], examples.y[rows], examples.outputs, examples.teaches)


def lesson_under(given: Trained, method: NetworkTrainer, data: Dataset, signals: Signals) -> Lesson:
    """The rows of the training split as a trained classifier reads them, all without a label, ready for a method.

    Raises DrossError where a column that the model reads is missing or has another shape.
    """
    import torch

    rows = np.flatnonzero(splits_of(data).training)
    y = np.full(len(data), -1, np.int64)
    x = torch.from_numpy(given.encoder(data.take(rows)))
    return Lesson(
        data,
        rows,
        Examples(x, torch.from_numpy(y[rows]), given.make.outputs),
        None,
        Outcome(y, given.classes, "class"),
        given.encoder,
        given.make,
        method,
        checkpoints(method, data, signals),
        signals.progress,
    )


def soft_relation(net: Any, rows: Examples, lesson: Lesson) -> Tensor:
    """The mean chances of the rows that a network takes for each class, shape (k, k): how it confuses the classes.

    A class that no row is taken for is taken to be known well.
    """
    import torch

    device = device_of(lesson.settings.device)
    probs = over({"net": net.to(device)}, lambda x: activated(net(x)), rows.x, device)
    guessed = torch.nn.functional.one_hot(probs.argmax(dim=1), rows.outputs).float()
    counts = guessed.sum(dim=0)[:, None]
    return torch.where(counts > 0, guessed.t() @ probs / counts.clamp(min=1), torch.eye(rows.outputs, device=device))
