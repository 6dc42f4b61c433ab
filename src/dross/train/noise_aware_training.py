"""Noise-aware training: labels count by how likely they are right, as judged by networks that did not learn them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.roles import Role
from dross.models.examples import Batch
from dross.models.lesson import Lesson
from dross.models.loop import Objective, Run
from dross.models.trainer import NetworkTrainer
from dross.models.votes import majority, votes_of

if TYPE_CHECKING:
    from torch import Tensor

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_LEAST = 1e-4
_JUDGED = 20
"""Rows with both a person's label and votes from which on confidences are calibrated."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def margins(probs: Tensor, labels: Tensor) -> Tensor:
    """How far each label is ahead of its strongest rival, ``log p_label - log max p_other``, shape (n,).

    >>> import torch
    >>> margins(torch.tensor([[0.75, 0.25]]), torch.tensor([0])).exp().round(decimals=2).tolist()
    [3.0]
    """
    logs = probs.clamp(min=_LEAST).log()
    own = logs.gather(1, labels[:, None]).squeeze(1)
    if probs.shape[1] < 2:
        return own
    rival = logs.scatter(1, labels[:, None], -float("inf")).amax(dim=1)
    return own - rival


def platt(scores: npt.NDArray[Any], right: Mask, ridge: float = 1.0) -> tuple[float, float]:
    """Slope and offset of ``sigmoid(slope s + offset)``, the chance that a label with margin ``s`` is right.

    Newton's method on the log-loss plus ``ridge`` times half the squared distance from slope 1 and offset 0, which is
    what comes out where nothing was judged. The slope is at least 0.

    >>> platt(np.empty(0), np.empty(0, bool))
    (1.0, 0.0)
    """
    design = np.stack([scores, np.ones(len(scores))], axis=1).astype(np.float64)
    prior = np.array([1.0, 0.0])
    w = prior.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ w, -30, 30)))
        slope = design.T @ (p - right) + ridge * (w - prior)
        bend = (design * (p * (1 - p))[:, None]).T @ design + ridge * np.eye(2)
        step = np.linalg.solve(bend, slope)
        w = w - step / max(1.0, float(np.abs(step).max()))
    return max(0.0, float(w[0])), float(w[1])


def weighted_cross_entropy(logits: Tensor, labels: Tensor, confidence: Tensor) -> Tensor:
    """Cross-entropy in which each row counts by the confidence in its label, over the sum of these.

    >>> import torch
    >>> logits = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    >>> float(weighted_cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([1.0, 0.0])).round(decimals=3))
    0.6930000185966492
    """
    from torch.nn import functional

    losses = functional.cross_entropy(logits, labels, reduction="none")
    return (confidence * losses).sum() / confidence.sum().clamp(min=1e-6)


# ---- the stages --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Weighted(Objective):
    """Weighted cross-entropy on weakly labelled rows; beside them, as many rows that a person labelled, if any.

    ``confidence``, shape (n,), is how much each row counts; ``human``, shape (n,), which rows a person labelled.
    """

    confidence: npt.NDArray[np.float32]
    human: Mask
    noted: bool = False

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """A batch of weak rows; with it half as many of a person's rows, again and again."""
        weak = run.labelled[~self.human[run.labelled]]
        sure = run.labelled[self.human[run.labelled]]
        if not len(weak) or not len(sure):
            yield from super().batches(run)
            return
        beside = run.drawn(sure, max(1, run.settings.batch_size // 2))
        for rows in run.shuffled(weak):
            yield rows, next(beside)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The weighted loss of both batches together."""
        import torch

        logits = [run.net(batch.x) for batch in batches]
        if self.noted:
            run.note(batches[0], logits[0])
        counts = torch.from_numpy(self.confidence).to(run.device)
        weights = torch.cat([counts[batch.rows] for batch in batches])
        return weighted_cross_entropy(torch.cat(logits), torch.cat([batch.y for batch in batches]), weights)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoiseAwareTraining(NetworkTrainer):
    """Train on weak labels, each weighted by the estimated chance that it is right.

    Sarkhel, Ren, Costa, Su, Perot, Xie, Koukoumidis, Nandi, "Noise-Aware Training of Layout-Aware Language Models",
    2024. Where there are votes (rules, models), rows with a label were labelled by a person and count in full; the
    others take the label most of their votes name. Where there are none, every label is weak. Networks that did not
    see a row judge its label; a person's labels, where they meet votes, calibrate that judgement. The paper starts
    from a pretrained model (``network="hf:FOLDER"``) and ends with a round on synthetic documents, which is left to
    the user here.

    Attributes
    ----------
    folds
        Into how many parts the rows are cut for judging; each is judged by a network trained on the others.
    rater_epochs
        Passes of each of these networks.
    strength
        The power that confidences are raised to; 0 counts all labels in full.
    """

    paper: ClassVar = Paper("Noise-Aware Training of Layout-Aware Language Models", 2024, "2404.00488")
    alias: ClassVar = "nat"

    folds: int = 3
    rater_epochs: int = 10
    strength: float = 1.0

    def learn(self, lesson: Lesson) -> Run:
        """Judge the labels, then train with weights."""
        import torch

        y, voted, human = _labels(lesson)
        probs = self._rated(lesson, y, human)
        scores = margins(probs, torch.from_numpy(np.maximum(voted, 0))).numpy()
        known = human & (voted >= 0)
        right = voted == y
        enough = known.sum() >= _JUDGED
        slope, offset = platt(scores[known], right[known]) if enough else (1.0, 0.0)
        chances = 1 / (1 + np.exp(-(slope * scores + offset)))
        confidence = np.where(human, 1.0, np.where(y >= 0, chances, 0.0)) ** self.strength
        examples = replace(lesson.examples, y=torch.from_numpy(y))
        objective = _Weighted(confidence.astype(np.float32), human, noted=True)
        run = lesson.fit(objective, stage="training", examples=examples)
        sure = torch.from_numpy(human)
        probs[sure] = torch.nn.functional.one_hot(torch.from_numpy(y[human]), probs.shape[1]).float()
        run.state["confidence"], run.state["rated"] = torch.from_numpy(confidence.astype(np.float32)), probs
        return run

    def _rated(self, lesson: Lesson, y: Codes, human: Mask) -> Tensor:
        """What networks that did not learn from a row say of it, shape (n, k); all 1 where there are too few rows."""
        import torch

        rows = np.flatnonzero(y >= 0)
        probs = torch.full((len(y), lesson.examples.outputs), 1.0 / max(1, lesson.examples.outputs))
        order = np.random.default_rng((self.seed, 11)).permutation(rows)
        if len(rows) < 2 * self.folds:
            return probs
        plain = np.ones(len(y), np.float32)
        for number in range(self.folds):
            left = np.sort(order[number :: self.folds])
            others = y.copy()
            others[left] = -1
            examples = replace(lesson.examples, y=torch.from_numpy(others))
            stage = f"judge {number + 1} of {self.folds}"
            run = lesson.fit(_Weighted(plain, human), stage=stage, examples=examples, epochs=self.rater_epochs)
            probs[torch.from_numpy(left)] = run.probs(rows=left).cpu()
        return probs

    def beliefs(self, run: Run) -> Tensor | None:
        """What the networks that did not learn a row's label say of it; a person's labels are not questioned."""
        return run.state["rated"]

    def report(self, run: Run) -> dict[str, Any]:
        """The mean confidence in the labels learnt from."""
        known = run.examples.known.cpu()
        return {"mean confidence": round(float(run.state["confidence"][known].mean()), 4)}

    def _check(self) -> None:
        super()._check()
        if self.folds < 2:
            raise DrossError(f"folds is {self.folds}", fix="give 2 or more")
        if self.strength < 0:
            raise DrossError(f"strength is {self.strength}", fix="give 0 or more")


def _labels(lesson: Lesson) -> tuple[Codes, Codes, Mask]:
    """The label to learn of each training row, what its votes say (-1: nothing), and whether a person labelled it."""
    given = lesson.outcome.y[lesson.rows].astype(np.int64)
    if not lesson.data.has(Role.VOTES):
        return given, given, np.zeros(len(given), bool)
    votes = votes_of(lesson.data, Role.VOTES)
    place = {str(value): code for code, value in enumerate(lesson.outcome.classes)}
    codes = np.array([place.get(str(value), -1) for value in votes.classes] + [-1])
    best = majority(votes).argmax(axis=1) if votes.classes else np.full(len(votes), -1)
    silent = np.diff(votes.starts) == 0
    voted = np.where(silent, -1, codes[best])[lesson.rows].astype(np.int64)
    human = given >= 0
    return np.where(human, given, voted), voted, human
