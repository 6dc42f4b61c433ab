"""Cross-entropy: plain training, the baseline of all others, on classes, label sets or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dross.core.dataset import Dataset
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.models.trainer import NetworkTrainer


@dataclass(frozen=True)
class CrossEntropy(NetworkTrainer):
    """Minimise the cross-entropy of the given labels, as if all were right.

    Label sets are taught by binary cross-entropy over the labels, numbers by the squared error. Trained long enough it
    learns wrong labels by heart; where labels are right, or wrong ones few and scattered, it is the honest choice.
    """

    needs: ClassVar = ()

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there is a label, a label set or a number to predict."""
        if not any(data.has(role) for role in (Role.LABEL, Role.LABELS, Role.TARGET)):
            return NotApplicable("needs a column with the role label, labels or target")
        return super().applies(data)
