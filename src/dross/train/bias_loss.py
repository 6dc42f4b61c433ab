"""Bias loss: rows whose last feature maps vary little, too little to tell by, count less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch
from dross.models.loop import Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def map_variances(features: Tensor) -> Tensor:
    """The variance of all activations of each row, (b, …), which stands for the diversity of its features, shape (b,).

    >>> import torch
    >>> map_variances(torch.tensor([[[[0.0, 2.0]]], [[[1.0, 1.0]]]])).tolist()
    [2.0, 0.0]
    """
    return features.flatten(1).var(dim=1) if features[0].numel() > 1 else features.new_zeros(len(features))


def scaled_variances(variances: Tensor, least: Tensor) -> Tensor:
    """Variances less the ``least`` ever seen, over their range in the batch (reference code, global scaling), (b,).

    >>> import torch
    >>> scaled_variances(torch.tensor([1.0, 3.0]), torch.tensor(1.0)).tolist()
    [0.0, 1.0]
    """
    spread = variances.max() - variances.min()
    return (variances - least) / spread.clamp(min=1e-12) if spread > 0 else variances.new_zeros(len(variances))


def bias_weights(scaled: Tensor, alpha: float, beta: float) -> Tensor:
    """The weight of each row, ``exp(beta v) - 1 + alpha`` (the paper's z(v) as its reference code has it), shape (b,).

    >>> import torch
    >>> bias_weights(torch.tensor([0.0, 1.0]), 0.3, 0.3).round(decimals=4).tolist()
    [0.3..., 0.6499...]
    """
    return (beta * scaled).exp() - 1 + alpha


def features_of(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """The last feature maps, (b, c, h, w), and the logits, (b, k); the last vector, (b, d), where there are no maps."""
    if hasattr(net.body, "maps"):
        maps: Tensor = net.body.maps(x)
        return maps, net.head(maps.mean(dim=(2, 3)))
    vectors: Tensor = net.encode(x)
    return vectors, net.head(vectors)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BiasLoss(NetworkTrainer):
    """Weigh the cross-entropy of each row by how much its last feature maps vary.

    Abrahamyan, Ziatchin, Chen, Deligiannis, "Bias Loss for Mobile Neural Networks", 2021. In a compact network rows
    without enough distinct features are predicted at random, and what they teach misleads; their weight is lowered.
    Networks without feature maps are judged by the vector before the last layer. Where each row is normalised by
    itself, as by the group normalisation of the network ``cnn``, weights are nearly alike; take ``mobile``.

    Attributes
    ----------
    alpha
        The weight of the row that varies least, above 0.
    beta
        How fast the weight grows with the variance, at least 0; 0 is plain cross-entropy times ``alpha``.
    """

    paper: ClassVar = Paper("Bias Loss for Mobile Neural Networks", 2021, "2107.11170")

    alpha: float = 0.3
    beta: float = 0.3

    def begin(self, run: Run) -> None:
        """No variance was seen yet."""
        import torch

        if not (self.alpha > 0 and self.beta >= 0):
            raise DrossError(f"alpha is {self.alpha}, beta {self.beta}", fix="give alpha above 0 and beta from 0")
        run.state["least"] = torch.full((), torch.inf, device=run.device)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The weighted mean over the rows of the batch; no gradient goes through the weights."""
        from torch.nn import functional

        (batch,) = batches
        features, logits = features_of(run.net, batch.x)
        run.note(batch, logits)
        variances = map_variances(features.detach().float())
        run.state["least"] = run.state["least"].minimum(variances.min())
        weights = bias_weights(scaled_variances(variances, run.state["least"]), self.alpha, self.beta)
        return (weights * functional.cross_entropy(logits.float(), batch.y, reduction="none")).mean()
