"""CoDivision: two networks, each of which divides the rows for the other into trusted and doubted ones.

What DivideMix (Li, Socher, Hoi, 2020) does after the division, for all methods that divide in their own way.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dross.core.errors import DrossError
from dross.models.augment import weak
from dross.models.examples import Batch, Teaches, activated, soft_cross_entropy, supervised
from dross.models.loop import Nets, Rows, Run
from dross.models.mixing import mixed, mixed_logits, mixing_share
from dross.models.trainer import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor

PAIR = ("net", "second")
"""The names of the two networks."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def sharpened(probs: Tensor, temperature: float) -> Tensor:
    """Chances raised to ``1 / temperature`` and made to add up to one, shape (b, k) (MixMatch, equation 7).

    >>> import torch
    >>> sharpened(torch.tensor([[0.75, 0.25]]), 0.5).round(decimals=3).tolist()
    [[0.8999999761581421, 0.10000000149011612]]
    """
    powers = probs ** (1 / temperature)
    return powers / powers.sum(dim=1, keepdim=True)


def co_refined(labels: Tensor, probs: Tensor, clean: Tensor, temperature: float) -> Tensor:
    """Labels (b, k) refined by predictions (b, k), by their chance (b,) of being right, and sharpened (equations 3, 4).

    >>> import torch
    >>> co_refined(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.5]), 1.0).tolist()
    [[0.5, 0.5]]
    """
    weight = clean[:, None]
    return sharpened(weight * labels + (1 - weight) * probs, temperature)


def imbalance(probs: Tensor) -> Tensor:
    """How far the mean prediction of a batch (b, k) is from even: ``sum_c pi_c log(pi_c / p_c)`` (equation 11).

    >>> import torch
    >>> abs(round(float(imbalance(torch.tensor([[0.9, 0.1], [0.1, 0.9]]))), 4))
    0.0
    """
    k = probs.shape[1]
    return -(probs.mean(dim=0).clamp(min=1e-7) * k).log().mean()


def ramped(epoch: int, start: int, over: float) -> float:
    """A weight that goes linearly from 0 at epoch ``start`` to 1, ``over`` epochs later.

    >>> [ramped(epoch, 10, 4) for epoch in (9, 10, 12, 20)]
    [0.0, 0.0, 0.5, 1.0]
    """
    return min(max((epoch - start) / max(over, 1e-9), 0.0), 1.0)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CoDivision(NetworkTrainer):
    """Two networks; after a warm-up each learns from labels that the other trusts, and from guesses for the rest.

    Attributes
    ----------
    warm_up
        The share of the epochs with plain cross-entropy on all labels before the first division.
    threshold
        The chance of a right label above which a row is trusted, tau of the paper.
    temperature
        Of sharpening, T.
    alpha
        Of the Beta distribution by which rows are mixed.
    unlabelled_weight
        The weight of the doubted rows' loss, lambda_u; 0 where few labels are wrong, more where many are.
    ramp
        The share of the epochs over which that weight rises from 0 after the warm-up.
    confidence_penalty
        The weight of the negative entropy in the warm-up; the paper takes 1 where labels are mistaken for one
        other class each, and 0 elsewhere.
    """

    answers_with: ClassVar[tuple[str, ...]] = PAIR

    warm_up: float = 0.2
    threshold: float = 0.5
    temperature: float = 0.5
    alpha: float = 4.0
    unlabelled_weight: float = 25.0
    ramp: float = 0.05
    confidence_penalty: float = 0.0

    @abstractmethod
    def divide(self, run: Run, name: str) -> Tensor:
        """The chance that each label is right in the eyes of one network, shape (n,); of no meaning without a label."""

    def beside(self, run: Run, name: str, labelled: Batch, views: tuple[Tensor, Tensor]) -> Tensor | float:
        """What a method adds to the loss of one network after the warm-up; two views of the trusted rows are given."""
        return 0.0

    def build(self, make: Callable[..., Any]) -> Nets:
        """Two networks with different random weights."""
        return {name: make() for name in PAIR}

    def begin(self, run: Run) -> None:
        """All labels are trusted at first."""
        import torch

        if not (0 < self.threshold < 1 and self.temperature > 0 and 0 <= self.warm_up < 1):
            raise DrossError("threshold, temperature or warm_up is out of range", fix="give shares between 0 and 1")
        run.state["clean"] = torch.ones(len(run.examples), 2, device=run.device)
        run.state["turn"] = torch.zeros((), dtype=torch.int64)

    def first_division(self, run: Run) -> int:
        """The epoch before which the rows are divided for the first time; at least the second."""
        return max(1, round(self.warm_up * run.settings.epochs))

    def epoch(self, run: Run) -> None:
        """Divide anew, each network in its turn."""
        import torch

        if run.epoch >= self.first_division(run):
            run.state["clean"] = torch.stack([self.divide(run, name).to(run.device) for name in PAIR], dim=1).float()

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """An epoch of the first network and then one of the second, each with the rows that the other trusts."""
        import torch

        for turn in (0, 1):
            run.state["turn"] = torch.tensor(turn)
            trusted, doubted = self.parts(run, turn)
            if run.epoch < self.first_division(run) or not len(doubted):
                for rows in run.shuffled(trusted):
                    yield (rows,)
            else:
                yield from zip(
                    run.shuffled(trusted), run.drawn(doubted, min(run.settings.batch_size, len(doubted))), strict=False
                )

    def parts(self, run: Run, turn: int) -> tuple[Rows, Rows]:
        """The rows that are trusted and those that are not, when it is the first (0) or second (1) network's turn."""
        if run.epoch < self.first_division(run):
            return run.labelled, run.unlabelled
        clean = run.state["clean"][:, 1 - turn].cpu().numpy()
        trusted = run.labelled[clean[run.labelled] > self.threshold]
        if not len(trusted):  # nothing to hold on to: then all labels, each by its weight
            trusted = run.labelled
        return trusted, np.setdiff1d(np.arange(len(run.examples)), trusted)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Cross-entropy in the warm-up; then MixMatch with refined and guessed labels."""
        turn = int(run.state["turn"])
        net, peer = run.nets[PAIR[turn]], run.nets[PAIR[1 - turn]]
        if run.epoch >= self.first_division(run):
            return self._semi_supervised(run, turn, net, peer, batches)
        (batch,) = batches
        logits = net(batch.x)
        if turn == 0:
            run.note(batch, logits)
        loss = supervised(logits, batch.y)
        if self.confidence_penalty:
            loss = loss - self.confidence_penalty * soft_cross_entropy(logits, logits.softmax(dim=1)).mean()
        return loss

    def _semi_supervised(self, run: Run, turn: int, net: Any, peer: Any, batches: tuple[Batch, ...]) -> Tensor:
        import torch
        from torch.nn.functional import one_hot

        labelled, doubted = batches[0], batches[1:]
        views = weak(labelled.x), weak(labelled.x)
        looks = [(weak(one.x), weak(one.x)) for one in doubted]
        with torch.no_grad():
            seen = [net(view) for view in views]
            probs = sum((logits.float().softmax(dim=1) for logits in seen), torch.zeros(())) / 2
            own = one_hot(labelled.y, run.examples.outputs).float()
            clean = run.state["clean"][labelled.rows, 1 - turn]
            targets = [co_refined(own, probs, clean, self.temperature)] * 2
            for pair in looks:
                guesses = [one(view).float().softmax(dim=1) for one in (net, peer) for view in pair]
                targets += [sharpened(torch.stack(guesses).mean(dim=0), self.temperature)] * 2
            if turn == 0:
                run.note(labelled, seen[0])
        x, y = torch.cat([*views, *(view for pair in looks for view in pair)]), torch.cat(targets)
        share = mixing_share(self.alpha, run.rng)
        share, order = max(share, 1 - share), torch.randperm(len(y), device=y.device)
        logits, goal = mixed_logits(net, x, x[order], share).float(), mixed(y, y[order], share)
        cut = 2 * len(labelled.y)
        loss = soft_cross_entropy(logits[:cut], goal[:cut]).mean() + imbalance(logits.softmax(dim=1))
        if doubted:
            weight = ramped(run.epoch, self.first_division(run), self.ramp * run.settings.epochs)
            away = (logits[cut:].softmax(dim=1) - goal[cut:]).square().mean()
            loss = loss + self.unlabelled_weight * weight * away
        return loss + self.beside(run, PAIR[turn], labelled, views)

    def answer(self, nets: Nets, x: Tensor, teaches: Teaches) -> Tensor:
        """The mean of the two networks' logits, as chances."""
        return activated((nets["net"](x) + nets["second"](x)) / 2, teaches)

    def beliefs(self, run: Run) -> Tensor:
        """The given labels refined by the predictions of both, by their chance of being right."""
        from torch.nn.functional import one_hot

        probs = run.over(lambda x: self.answer(run.nets, x, "class"))
        known = run.y >= 0
        weight = (run.state["clean"].mean(dim=1) * known)[:, None]
        return weight * one_hot(run.y.clamp(min=0), run.examples.outputs) + (1 - weight) * probs

    def report(self, run: Run) -> dict[str, Any]:
        """How many labels are doubted in the end."""
        clean = run.state["clean"].mean(dim=1)[run.y >= 0]
        return {"doubted": int((clean <= self.threshold).sum())}
