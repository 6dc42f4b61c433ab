"""Sharpness-aware minimization: go down the gradient of the worst place nearby, towards flat minima."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch, supervised
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def ascent(gradients: Sequence[Tensor], rho: float) -> list[Tensor]:
    """The step ``rho g / ||g||`` to the worst place within ``rho``, to first order, the norm over all of them together.

    >>> import torch
    >>> [step.tolist() for step in ascent([torch.tensor([3.0]), torch.tensor([4.0])], 0.5)]
    [[0.30000001192092896], [0.4000000059604645]]
    """
    import torch

    norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
    return [g * (rho / (norm + 1e-12)) for g in gradients]


def top_hessian_eigenvalue(
    loss: Callable[[], Tensor], parameters: Sequence[Tensor], steps: int = 50, tolerance: float = 1e-3
) -> float:
    """The eigenvalue of largest size of the Hessian of a loss, by power iteration on Hessian-vector products.

    Parameters
    ----------
    loss
        Computes the loss from the parameters as they are.
    parameters
        Tensors that ask for a gradient.
    steps
        Products at most.
    tolerance
        The relative change at which it stops.

    Returns
    -------
    float
        The Rayleigh quotient of the last vector. The start is drawn from torch's generator. One product costs about
        two gradients; no matrix is formed.

    Examples
    --------
    >>> import torch
    >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
    >>> round(top_hessian_eigenvalue(lambda: w[0] ** 2 + 5 * w[1] ** 2, [w]), 3)
    10.0
    """
    import torch

    parameters = [p for p in parameters if p.requires_grad]
    gradients = torch.autograd.grad(loss(), parameters, create_graph=True, materialize_grads=True)
    vector = _unit([torch.randn_like(p) for p in parameters])
    found = 0.0
    for _ in range(steps):
        product = torch.autograd.grad(gradients, parameters, vector, retain_graph=True, materialize_grads=True)
        before, found = found, float(sum((h * v).sum() for h, v in zip(product, vector, strict=True)))
        if abs(found - before) <= tolerance * abs(found):
            break
        vector = _unit(product)
    return found


def _unit(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same direction with length 1."""
    return ascent(tensors, 1.0)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SharpnessAwareMinimization(NetworkTrainer):
    """Minimise the cross-entropy at the worst weights near the present ones.

    Chen, Hsieh, Gong, "When Vision Transformers Outperform ResNets without Pre-training or Strong Data Augmentations",
    2021, by the optimizer of Foret, Kleiner, Mobahi, Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving
    Generalization", 2020. Each step climbs by ``rho`` along the gradient, takes the gradient there, goes back and
    descends by it. Vision transformers and MLP-Mixers, whose minima are sharp when trained from nothing on few rows,
    gain most. A step costs two gradients.

    Attributes
    ----------
    rho
        How far to climb, at least 0; 0 is plain training. The papers take 0.05 for convolutional networks and 0.2 to
        0.6 for transformers and mixers.
    """

    paper: ClassVar = Paper(
        "When Vision Transformers Outperform ResNets without Pre-training or Strong Data Augmentations",
        2021,
        "2106.01548",
    )
    alias: ClassVar = "vit-sam"

    rho: float = 0.2

    def begin(self, run: Run) -> None:
        """Check the radius."""
        if not self.rho >= 0:
            raise DrossError(f"rho is {self.rho}", fix="give 0 or more")

    def step(self, run: Run, *batches: Batch) -> Tensor:
        """Climb, take the gradient, go back, descend; the loss is the one before the climb."""
        import torch

        (batch,) = batches
        weights = [p for group in run.optimizer.param_groups for p in group["params"]]
        here = self.loss(run, batch)
        gradients = torch.autograd.grad(here, weights, materialize_grads=True)
        start = [w.detach().clone() for w in weights]
        with torch.no_grad():
            for w, climb in zip(weights, ascent(gradients, self.rho), strict=True):
                w.add_(climb)
        run.optimizer.zero_grad(set_to_none=True)
        supervised(run.net(batch.x), batch.y).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for w, before in zip(weights, start, strict=True):
                w.copy_(before)
        run.optimizer.step()
        return here
