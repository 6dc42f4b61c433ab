"""Forward correction: predictions go through the noise before they meet the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.models.examples import Batch
from dross.models.lesson import Lesson
from dross.models.loop import Objective, Run
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

ESTIMATES = ("anchors", "counts")
_LEAST = 1e-6
"""A label is never given less than this chance, so that the logarithm is finite."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def anchored_transition(probs: Tensor, quantile: float) -> Tensor:
    """The transition matrix read off anchor points (equations 12 and 13), shape (k, k), rows adding up to 1.

    Row c is what the network, trained on the given labels, says of the row of ``probs``, (n, k), that it takes most
    surely for class c; at a ``quantile`` below 1, of the one above which the rest of the rows lie.

    >>> import torch
    >>> anchored_transition(torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]]), 1.0).tolist()
    [[0.75, 0.25], [0.125, 0.875]]
    """
    order = probs.argsort(dim=0, stable=True)
    found: Tensor = probs[order[round(quantile * (len(probs) - 1))]]
    return found


def counted_transition(guess: Tensor, given: Tensor, k: int) -> Tensor:
    """How often each class is labelled with each, ``guess`` (n,) taken for the truth, shape (k, k), rows summing to 1.

    A class that is never guessed is taken to be labelled right.

    >>> import torch
    >>> counted_transition(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 3).tolist()
    [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    import torch

    counts = (guess * k + given).bincount(minlength=k * k).reshape(k, k).float()
    totals = counts.sum(dim=1, keepdim=True)
    return torch.where(totals > 0, counts / totals.clamp(min=1), torch.eye(k, device=counts.device))


def forward_loss(logits: Tensor, y: Tensor, transition: Tensor) -> Tensor:
    """``- log (T' p)_y`` (theorem 2), a mean over rows: the chance that the label comes out of the noise.

    >>> import torch
    >>> T = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    >>> round(float(forward_loss(torch.zeros(1, 2), torch.tensor([1]), T)), 4)
    0.2877
    """
    given = (logits.softmax(dim=1) @ transition).gather(1, y[:, None])
    return -given.clamp(min=_LEAST).log().mean()


def likely_truth(probs: Tensor, y: Tensor, transition: Tensor) -> Tensor:
    """The chances of the true class once the label is known too, ``p_c T_cy`` made to add up to 1, shape (n, k).

    Rows without a label (``y`` below 0) keep their chances.

    >>> import torch
    >>> likely_truth(torch.tensor([[0.5, 0.5]]), torch.tensor([1]), torch.tensor([[0.75, 0.25], [0.25, 0.75]])).tolist()
    [[0.25, 0.75]]
    """
    import torch

    joint = probs * transition.T[y.clamp(min=0)]
    total = joint.sum(dim=1, keepdim=True)
    return torch.where((y[:, None] >= 0) & (total > 0), joint / total.clamp(min=1e-30), probs)


# ---- the trainer -------------------------------------------------------------------------------------------------


class Corrected(Objective):
    """The second stage: the loss of a known transition matrix, which is kept with the run.

    Parameters
    ----------
    transition
        The chance that class r is labelled c, shape (k, k), rows adding up to 1.
    """

    def __init__(self, transition: Tensor) -> None:
        self.transition = transition

    def begin(self, run: Run) -> None:
        """Put the matrix on the device."""
        run.state["transition"] = self.transition.to(run.device)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The corrected cross-entropy."""
        (batch,) = batches
        logits = run.net(batch.x)
        run.note(batch, logits)
        return forward_loss(logits.float(), batch.y, run.state["transition"])


@dataclass(frozen=True)
class ForwardCorrection(NetworkTrainer):
    """Estimate how classes are mistaken for each other, then train so that predictions explain the labels through that.

    Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach",
    2016. A network trained on the given labels for a few epochs (so that none is learnt by heart) tells the matrix; a
    new one is trained with the corrected loss, whose minimum is that of clean labels where the matrix is right and
    noise hangs on the class only.

    Attributes
    ----------
    transition
        The matrix where it is known: the chance that class r is labelled c, in the order of the dataset's classes;
        empty to estimate it.
    estimate
        ``anchors``: from the row that is most surely of each class, as in the paper; ``counts``: from the labels of
        all rows that the first network takes for each class, which needs no sure row but a network that is mostly
        right.
    quantile
        Of the sureness of anchors, in (0.5, 1]; the paper takes 1, or 0.97 where the surest rows are flukes.
    first_epochs
        Passes of the first network over the rows.
    """

    paper: ClassVar = Paper(
        "Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach", 2016, "1609.03683"
    )

    transition: tuple[tuple[float, ...], ...] = ()
    estimate: str = "anchors"
    quantile: float = 0.97
    first_epochs: int = 10

    def learn(self, lesson: Lesson) -> Run:
        """The matrix, then the network."""
        import torch

        if self.estimate not in ESTIMATES or not 0.5 < self.quantile <= 1:
            told = f"estimate is {self.estimate!r}, quantile {self.quantile}"
            raise DrossError(told, fix=f"give one of {', '.join(ESTIMATES)} and a quantile in (0.5, 1]")
        if self.transition:
            return lesson.fit(Corrected(self._known(lesson.examples.outputs)))
        first = lesson.fit(Objective(), stage="estimating the noise", epochs=self.first_epochs)
        rows = torch.from_numpy(first.labelled)
        probs = first.probs(rows=first.labelled)
        if self.estimate == "anchors":
            return lesson.fit(Corrected(anchored_transition(probs, self.quantile)))
        given = first.y[rows.to(first.device)]
        return lesson.fit(Corrected(counted_transition(probs.argmax(dim=1), given, first.examples.outputs)))

    def beliefs(self, run: Run) -> Tensor:
        """The chances of the true class, given the row and its label."""
        return likely_truth(run.probs(), run.y, run.state["transition"])

    def report(self, run: Run) -> dict[str, Any]:
        """The matrix."""
        matrix = run.state["transition"].cpu().tolist()
        return {"transition": [[round(value, 4) for value in row] for row in matrix]}

    def _known(self, k: int) -> Tensor:
        """The matrix that was given, checked."""
        import torch

        if len(self.transition) != k or any(len(row) != k for row in self.transition):
            raise DrossError("the transition matrix has another shape", fix=f"give {k} rows of {k} chances")
        matrix = torch.tensor(self.transition, dtype=torch.float32)
        if not bool((matrix >= 0).all()) or not torch.allclose(matrix.sum(dim=1), torch.ones(k), atol=1e-3):
            raise DrossError("the transition matrix holds no chances", fix="rows of numbers from 0 that add up to 1")
        return matrix
