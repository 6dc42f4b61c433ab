"""What networks learn from, as tensors; and the usual losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable
from dross.core.roles import Role

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Teaches = Literal["class", "labels", "number"]
Kind = Literal["vector", "image", "tokens"]
READS: dict[Kind, tuple[Role, ...]] = {
    "image": (Role.IMAGE,),
    "tokens": (Role.TEXT,),
    "vector": (Role.EMBEDDING, Role.FEATURES),
}
"""The roles that a row of each kind is made of."""
RESIDENT = 1 << 30
"""Bytes of inputs that are kept on a GPU; more is moved batch by batch."""


def unreadable(data: Dataset) -> NotApplicable | None:
    """None where some column holds content that a network reads."""
    if any(data.has(role) for roles in READS.values() for role in roles):
        return None
    return NotApplicable("no column holds content that a network reads: no image, text, feature or embedding")


@dataclass(frozen=True)
class Examples:
    """What is learnt from.

    Attributes
    ----------
    x
        Inputs, shape (n, …).
    y
        Class codes, shape (n,), int64, -1 where unknown; or labels, shape (n, k), float32 in {0, 1}, a row of NaN where
        unknown; or numbers, shape (n,), float32, NaN where unknown.
    outputs
        How many classes or labels; 1 for a number.
    teaches
        Which of the three ``y`` is.
    """

    x: Tensor
    y: Tensor
    outputs: int
    teaches: Teaches = "class"

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise DrossError(f"{len(self.x)} rows have {len(self.y)} labels")
        if self.teaches == "class" and len(self.y) and not -1 <= int(self.y.min()) <= int(self.y.max()) < self.outputs:
            raise DrossError(
                f"class codes go from {int(self.y.min())} to {int(self.y.max())}, and there are {self.outputs} classes",
                fix="number the classes from 0; -1 stands for an unknown one",
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def known(self) -> Tensor:
        """Whether each row is labelled, shape (n,), bool."""
        if self.teaches == "class":
            return self.y >= 0
        finite: Tensor = self.y.isfinite()
        return finite.all(dim=1) if finite.ndim == 2 else finite

    def on(self, device: torch.device) -> Examples:
        """The same on the device, where it fits there."""
        if device.type == "cpu" or self.x.numel() * self.x.element_size() > RESIDENT:
            return self
        return Examples(self.x.to(device), self.y.to(device), self.outputs, self.teaches)


@dataclass(frozen=True)
class Batch:
    """Some rows: their positions (b,), inputs (b, …) and labels, on the device."""

    rows: Tensor
    x: Tensor
    y: Tensor


def supervised(logits: Tensor, y: Tensor, teaches: Teaches = "class") -> Tensor:
    """The usual loss: cross-entropy, binary cross-entropy over labels, or half the squared error; a mean over rows.

    >>> import torch
    >>> round(float(supervised(torch.zeros(1, 2), torch.tensor([1]))), 3)
    0.693
    """
    from torch.nn import functional

    if teaches == "class":
        return functional.cross_entropy(logits, y)
    if teaches == "labels":
        return functional.binary_cross_entropy_with_logits(logits, y)
    return (logits.squeeze(1) - y).square().mean() / 2


def activated(logits: Tensor, teaches: Teaches = "class") -> Tensor:
    """Logits as chances, or numbers as they are, shape (b, k)."""
    if teaches == "class":
        return logits.softmax(dim=1)
    return logits.sigmoid() if teaches == "labels" else logits


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each row against chances rather than a class, shape (b,).

    >>> import torch
    >>> soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]])).round(decimals=3).tolist()
    [0.6930000185966492]
    """
    rows: Tensor = -(targets * logits.log_softmax(dim=1)).sum(dim=1)
    return rows
