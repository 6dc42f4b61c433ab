"""Backdoor adjustment: average over what several encoders see, each adjusted for a long tail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.class_counts import class_counts
from dross.models.devices import import_torch
from dross.models.examples import READS, Batch, Teaches
from dross.models.loop import Nets, Run
from dross.models.trainer import NetworkTrainer
from dross.signals.tabular_encoding import TabularEncoding

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.trained import Trained


# ---- the mathematics ---------------------------------------------------------------------------------------------


def adjusted_loss(logits: Tensor, y: Tensor, counts: Tensor, tau: float) -> Tensor:
    """Cross-entropy of ``logits + tau log n_c``, a mean over rows; a class without rows counts as half a row.

    >>> import torch
    >>> loss = adjusted_loss(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([3.0, 1.0]), 1.0)
    >>> round(loss.exp().item(), 3)  # one over its share of the rows
    1.333
    """
    from torch.nn import functional

    return functional.cross_entropy(logits.float() + tau * counts.clamp(min=0.5).log(), y)


def stratified(logits: Sequence[Tensor]) -> Tensor:
    """``sum_c P(c) P(y | x, c)`` over equally likely strata: the mean of their chances, shape (b, k).

    >>> import torch
    >>> even, sure = torch.zeros(1, 2), torch.tensor([[99.0, 0.0]])
    >>> stratified([even, sure]).tolist()
    [[0.75, 0.25]]
    """
    import torch

    return torch.stack([one.float().softmax(dim=1) for one in logits]).mean(dim=0)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BackdoorAdjustment(NetworkTrainer):
    """Train one classifier on each encoder's view with adjusted logits, and answer with the mean of their chances.

    Chen, Qin, Li, Chen, Su, "Rethinking the Bias of Foundation Model under Long-tailed Distribution", 2025. What an
    encoder learnt from imbalanced data is an incomplete view, which confounds inputs with labels; no adjustment of its
    logits can make up for that. Summing over the views of several encoders does. (The paper's code adds up logits, its
    equation averages chances.)

    Encoders are given as columns of vectors (the embedding, and every feature column that holds vectors), or by name
    in ``encoders``, as networks that all read the same rows. With one encoder it is logit adjustment.

    Attributes
    ----------
    encoders
        Networks by name, such as ``("hf:A", "hf:B")``; empty: one for each column of vectors.
    widths
        How many numbers of a row belong to each encoder, in order; empty: read off the columns.
    tau
        How strongly logits are adjusted, at least 0.
    """

    paper: ClassVar = Paper(
        "Rethinking the Bias of Foundation Model under Long-tailed Distribution", 2025, "2501.15955"
    )
    alias: ClassVar = "fm-longtail-backdoor"

    encoders: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    tau: float = 1.0

    def run(self, data: Dataset, signals: Signals) -> Trained | NotApplicable:
        """Find the encoders' columns, then train."""
        import_torch()
        if self.encoders:
            chosen = replace(self, network=self.encoders[0]) if self.network == "auto" else self
        else:
            chosen = self if self.widths else replace(self, widths=_widths(data, signals, self.network))
        return NetworkTrainer.run(chosen, data, signals)

    def build(self, make: Callable[..., Any]) -> Nets:
        """One network for each encoder."""
        from dross.models.strata import Strata

        if self.encoders:
            return {"net": Strata([make(name=name) for name in self.encoders])}
        if len(self.widths) < 2:
            return {"net": Strata([make()])}
        maker: Any = make
        if sum(self.widths) != maker.shape[0]:
            raise DrossError(f"the widths {self.widths} do not add up to the {maker.shape[0]} numbers of a row")
        parts = [replace(maker, shape=(width,))() for width in self.widths]
        return {"net": Strata(parts, self.widths)}

    def begin(self, run: Run) -> None:
        """Count the classes."""
        run.state["counts"] = class_counts(run.y, run.examples.outputs)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The adjusted losses of all strata together; as they share nothing, each is trained as if alone."""
        import torch

        (batch,) = batches
        logits = run.net.logits(batch.x)
        run.note(batch, torch.stack(logits).mean(dim=0))
        counts = run.state["counts"]
        return torch.stack([adjusted_loss(one, batch.y, counts, self.tau) for one in logits]).sum()

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """The mean of the strata's chances."""
        return stratified(nets["net"].logits(x))

    def report(self, run: Run) -> dict[str, Any]:
        """How many strata there are."""
        return {"strata": len(run.net.networks)}

    def _check(self) -> None:
        super()._check()
        if self.tau < 0 or any(width < 1 for width in self.widths):
            raise DrossError(f"tau is {self.tau} and widths are {self.widths}", fix="give 0 or more, and 1 or more")
        if self.encoders and self.widths:
            raise DrossError("encoders and widths are both given", fix="give one of them")


def _widths(data: Dataset, signals: Signals, network: str) -> tuple[int, ...]:
    """How many inputs each column of vectors becomes; empty where the network reads anything else."""
    from dross.models.networks import kind_read

    others = [role for kind, roles in READS.items() if kind != "vector" for role in roles]
    wanted = kind_read(network)
    if wanted not in (None, "vector") or (wanted is None and any(data.has(role) for role in others)):
        return ()
    own = (data.matrix(Role.EMBEDDING).shape[1],) if data.has(Role.EMBEDDING) else ()
    coded = [one for one, _, _ in signals[TabularEncoding()].parts()] if data.has(Role.FEATURES) else []
    if any(one.kind != "vector" for one in coded):
        return ()
    return own + tuple(one.slots + int(one.gaps) for one in coded)  # missing vectors have a coordinate that tells so
