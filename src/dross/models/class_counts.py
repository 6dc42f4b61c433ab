"""How often each class occurs, for methods that make up for rare ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def class_counts(y: Tensor, k: int) -> Tensor:
    """Labelled rows of each of k classes, shape (k,), float32; codes below 0 stand for no label.

    >>> import torch
    >>> class_counts(torch.tensor([0, 2, 2, -1]), 3).tolist()
    [1.0, 0.0, 2.0]
    """
    return y[y >= 0].bincount(minlength=k).float()
