"""Noisy model tuning: reshape the vectors of a frozen extractor whose own training labels were noisy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.models.examples import Batch, supervised
from dross.models.loop import Nets, Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor


# ---- the mathematics ---------------------------------------------------------------------------------------------


def inconsistency(reshaped: Tensor, vectors: Tensor) -> Tensor:
    """The mean square between reshaped and original vectors, both of length 1 (equation 3).

    As in the paper's code, the mean is over rows and dimensions.

    >>> import torch
    >>> float(inconsistency(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])))
    1.0
    """
    from torch.nn import functional

    return functional.mse_loss(functional.normalize(reshaped, dim=1), functional.normalize(vectors, dim=1))


def correlation(reshaped: Tensor) -> Tensor:
    """The squared covariances between different dimensions, summed and divided by their number d (equation 4).

    >>> import torch
    >>> float(correlation(torch.tensor([[1.0, 1.0], [-1.0, -1.0]])))
    4.0
    """
    centred = reshaped - reshaped.mean(dim=0)
    covariance = centred.T @ centred / max(1, len(reshaped) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / reshaped.shape[1]


def dominance(reshaped: Tensor) -> Tensor:
    """The largest singular value of a batch over the sum of all (equation 5, without its sign), in [0, 1].

    >>> import torch
    >>> float(dominance(torch.tensor([[3.0, 0.0], [0.0, 1.0]])))
    0.75
    """
    import torch

    values: Tensor = torch.linalg.svdvals(reshaped)
    return values[0] / values.sum().clamp(min=1e-12)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoisyModelTuning(NetworkTrainer):
    """Learn a small network between a frozen extractor and the classifier, held by three regularizers.

    Chen, Wang, Shah, Tao, Wei, Xie, Sugiyama, Raj, "Understanding and Mitigating the Label Noise in Pre-training on
    Downstream Tasks", 2023. Label noise in the extractor's training spreads its vectors over weak directions, which
    harms elsewhere more than at home. The reshaped vectors must stay consistent with the extractor's, be decorrelated,
    and have a dominant direction.

    The extractor is known by its output alone: an embedding column (or features that hold its vectors).
    ``network="hf:FOLDER"`` freezes a local Hugging Face model instead. Layer normalisation stands where the paper's
    code has batch normalisation, so that rows of a batch do not depend on each other.

    Attributes
    ----------
    consistency, decorrelation, dominant
        The weights of the three terms; those of the paper's code.
    wider
        How many times wider than the vectors the hidden layer is.
    """

    paper: ClassVar = Paper(
        "Understanding and Mitigating the Label Noise in Pre-training on Downstream Tasks", 2023, "2309.17002"
    )
    alias: ClassVar = "nmtune"

    network: str = "linear"
    consistency: float = 1.0
    decorrelation: float = 0.04
    dominant: float = 0.001
    wider: int = 4

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there is an extractor: its vectors, or a local model."""
        vectors = data.has(Role.EMBEDDING) or data.has(Role.FEATURES)
        if not self.network.startswith("hf:") and not vectors:
            return NotApplicable("needs the vectors of an extractor: a column with the role embedding or features")
        return super().applies(data)

    def build(self, make: Callable[..., Any]) -> Nets:
        """The extractor with the small network behind it as a body."""
        from torch import nn

        from dross.models.networks import Network
        from dross.models.residual import Reshaper

        extractor = make()
        extractor.body.requires_grad_(requires_grad=False)
        body = nn.Sequential(extractor.body, Reshaper(extractor.width, self.wider))
        return {"net": Network(body, extractor.width, extractor.outputs)}

    def epoch(self, run: Run) -> None:
        """The extractor stays as it answers."""
        run.net.body[0].eval()

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy plus the three terms."""
        import torch

        (batch,) = batches
        with torch.no_grad():
            vectors = run.net.body[0](batch.x)
        reshaped = run.net.body[1](vectors)
        logits = run.net.head(reshaped)
        run.note(batch, logits)
        held = self.consistency * inconsistency(reshaped.float(), vectors.float())
        held = held + self.decorrelation * correlation(reshaped.float()) - self.dominant * dominance(reshaped.float())
        return supervised(logits, batch.y) + held

    def _check(self) -> None:
        super()._check()
        for name in ("consistency", "decorrelation", "dominant"):
            if getattr(self, name) < 0:
                raise DrossError(f"{name} is {getattr(self, name)}", fix="give 0 or more")
        if self.wider < 1:
            raise DrossError(f"wider is {self.wider}", fix="give 1 or more")
