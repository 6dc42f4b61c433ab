"""Probe: labelled rows teach a linear layer on a pretrained network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dross.models.augment import weak
from dross.models.examples import Batch, supervised
from dross.models.loop import Objective, Run

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Probe(Objective):
    """The labelled rows teach a linear layer on the pretrained network, or all of it where it is tuned."""

    tuned: bool

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy."""
        import torch

        (batch,) = batches
        with torch.set_grad_enabled(self.tuned):
            vectors = run.net.encode(weak(batch.x) if self.tuned else batch.x)
        logits = run.net.head(vectors)
        run.note(batch, logits)
        return supervised(logits, batch.y)
