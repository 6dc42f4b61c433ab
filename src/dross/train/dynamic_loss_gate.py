"""Dynamic loss gate: labels of small loss are trusted, the others replaced by what the network is sure of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.augment import weak
from dross.models.examples import Batch, supervised
from dross.models.loop import Run
from dross.models.small_loss import two_gaussians
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-7
"""Losses are kept this far from 0, so that the logarithm is finite."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def loss_gate(losses: npt.NDArray[Any]) -> float:
    """The loss up to which labels are trusted: where two Gaussians of the logarithms of the losses (n,) cross.

    NaN stands for a row without a loss. Infinite where all losses are equal: then none is doubted.

    >>> round(loss_gate(np.array([0.01, 0.02, 0.015, 4.0, 5.0, 6.0])), 1) < 4
    True
    """
    logs = np.log(np.maximum(losses[np.isfinite(losses)].astype(np.float64), _LEAST))
    two = two_gaussians(logs, floor=1e-6, steps=1000, tol=1e-5)
    return float(np.exp(two.crossing)) if two.means[0] < two.means[1] else float("inf")


def gated_loss(
    logits: Tensor, labels: Tensor, clear: Tensor, gate: float, temperature: float, confidence: float
) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and of each row whether its label is trusted, shape (b,).

    ``logits`` are those of changed inputs (b, k), ``clear`` those of the inputs as they are. A label whose loss is at
    most the gate is learnt; in place of the others stands the likeliest class of the clear input, where its sharpened
    chance is above ``confidence``; else the row counts nothing. The mean is over all rows.

    >>> import torch
    >>> logits = torch.tensor([[9.0, 0.0], [9.0, 0.0]])
    >>> loss, trusted = gated_loss(logits, torch.tensor([0, 1]), logits, 1.0, 0.1, 0.5)
    >>> round(float(loss), 3), trusted.tolist()
    (0.0, [True, False])
    """
    from torch.nn.functional import cross_entropy

    own = cross_entropy(logits.float(), labels, reduction="none")
    trusted = own.detach() <= gate
    sure, likeliest = (clear.float() / temperature).softmax(dim=1).max(dim=1)
    corrected = cross_entropy(logits.float(), likeliest, reduction="none")
    rows = own * trusted + corrected * (~trusted & (sure > confidence))
    return rows.mean(), trusted


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DynamicLossGate(NetworkTrainer):
    """Trust labels below a gate that a mixture of the losses sets anew before each epoch; correct the others.

    Han, Chen, Qian, "Self-Supervised Learning with Cluster-Aware-DINO for High-Performance Robust Speaker
    Verification", 2023, dynamic loss gate and label correction (DLG-LC). The logarithms of the losses seen in the last
    epoch are two heaps, of reliable and unreliable labels; the gate stands where the two Gaussians cross. A first
    stretch of epochs has no gate, a second only the gate; then unreliable labels are replaced by confident predictions
    for the inputs as they are, which those for changed inputs must meet. Made for labels that come from clustering.

    The paper's margin softmax belongs to telling speakers apart that were never seen; here it is the plain one. The
    features by whose clusters rows are labelled are not learnt here. It costs about 1.5 times cross-entropy.

    Attributes
    ----------
    warm_up, gate_only
        The share of the epochs without a gate, and of those after them with the gate but without correction.
    temperature
        Of sharpening the predictions that may replace a label.
    confidence
        The sharpened chance from which they do, tau_2 of the paper.
    """

    paper: ClassVar = Paper(
        "Self-Supervised Learning with Cluster-Aware-DINO for High-Performance Robust Speaker Verification",
        2023,
        "2304.05754",
    )
    alias: ClassVar = "dlg-lc"

    warm_up: float = 0.3
    gate_only: float = 0.2
    temperature: float = 0.1
    confidence: float = 0.5

    def begin(self, run: Run) -> None:
        """No loss was seen yet."""
        import torch

        if not (self.temperature > 0 and 0 <= self.confidence < 1 and min(self.warm_up, self.gate_only) >= 0):
            raise DrossError("temperature, confidence or the first stretches are out of range", fix="give shares")
        run.state["losses"] = torch.full((len(run.examples),), torch.nan, device=run.device)
        run.state["gate"] = torch.tensor(torch.inf)
        run.state["trusted"] = torch.ones(len(run.examples), dtype=torch.bool, device=run.device)

    def epoch(self, run: Run) -> None:
        """Set the gate by the losses of the epoch before."""
        import torch

        if run.epoch >= max(1, round(self.warm_up * run.settings.epochs)):
            run.state["gate"] = torch.tensor(loss_gate(run.state["losses"].cpu().numpy()))

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The gated loss of weakly changed inputs; their losses are remembered."""
        import torch
        from torch.nn.functional import cross_entropy

        (batch,) = batches
        logits = run.net(weak(batch.x))
        run.note(batch, logits)
        own = cross_entropy(logits.detach().float(), batch.y, reduction="none")
        run.state["losses"][batch.rows] = own
        gate = float(run.state["gate"])
        if not np.isfinite(gate):
            return supervised(logits, batch.y)
        correcting = run.epoch >= round((self.warm_up + self.gate_only) * run.settings.epochs)
        with torch.no_grad():
            clear = run.net(batch.x) if correcting else logits
        loss, trusted = gated_loss(
            logits, batch.y, clear, gate, self.temperature, self.confidence if correcting else 1.0
        )
        run.state["trusted"][batch.rows] = trusted
        return loss if correcting else loss * len(trusted) / trusted.sum().clamp(min=1)

    def beliefs(self, run: Run) -> Tensor:
        """The given label where it is trusted, the prediction elsewhere."""
        from torch.nn.functional import one_hot

        given = one_hot(run.y.clamp(min=0), run.examples.outputs).float()
        trusted = (run.state["trusted"] & (run.y >= 0))[:, None]
        return given * trusted + run.probs() * ~trusted

    def report(self, run: Run) -> dict[str, Any]:
        """The last gate, and how many labels are above it."""
        gate = float(run.state["gate"])
        known = run.y >= 0
        return {"gate": gate if np.isfinite(gate) else None, "doubted": int((~run.state["trusted"] & known).sum())}
