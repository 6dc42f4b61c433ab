"""TrainingDynamics: what a network saw of each row while it learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals

if TYPE_CHECKING:
    from torch import Tensor

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Dynamics:
    """How each row fared, epoch by epoch, each time just before it was learnt from.

    Rows without a label, and rows of other splits than the training split, are NaN and -1.

    Attributes
    ----------
    loss
        The cross-entropy of the given label, shape (n, epochs), float32.
    margin
        The logit of the given label less the largest other one, shape (n, epochs), float32.
    forgotten
        How often a row that was answered right was answered wrong the next time, shape (n,), int32.
    never_learnt
        Whether the given label was never the answer, shape (n,), bool.
    """

    loss: Values
    margin: Values
    forgotten: npt.NDArray[np.int32]
    never_learnt: npt.NDArray[np.bool_]

    @property
    def area_under_margin(self) -> Values:
        """The mean margin over the epochs, shape (n,): low where the label was learnt late or by heart."""
        found: Values = self.margin.mean(axis=1)
        return found


def forgetting_events(right: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """How often each row went from right to wrong between two epochs, shape (n,); ``right`` is of shape (n, epochs).

    Toneva, Sordoni, Tachet des Combes, Trischler, Bengio, Gordon, "An Empirical Study of Example Forgetting during Deep
    Neural Network Learning", 2019, section 3.

    >>> forgetting_events(np.array([[1, 0, 1, 0], [0, 1, 1, 1]], bool)).tolist()
    [2, 0]
    """
    return np.asarray((right[:, :-1] & ~right[:, 1:]).sum(axis=1), np.int32)


@dataclass(frozen=True)
class TrainingDynamics(Signal[Dynamics]):
    """Loss, margin and forgetting of each row during a plain training; needs the extra ``torch``.

    The margin's mean is the area under the margin (Pleiss, Zhang, Elenberg, Weinberger, "Identifying Mislabeled Data
    using the Area Under the Margin Ranking", 2020, equation 2).

    >>> from dross.testing.planted import blobs
    >>> planted = blobs(300, flipped=0.1); seen = Signals(planted.data)[TrainingDynamics(epochs=10)]
    >>> wrong = np.isin(np.arange(300), planted.rows)
    >>> seen.loss.shape, bool(seen.area_under_margin[wrong].mean() < seen.area_under_margin[~wrong].mean())
    ((300, 10), True)
    """

    network: str = "auto"
    epochs: int = 20
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (*CONTENT, Role.LABEL, Role.SPLIT)
    value: ClassVar[type] = Dynamics

    def compute(self, data: Dataset, signals: Signals) -> Dynamics:
        """Train by cross-entropy and keep what each row's logits were."""
        from dataclasses import replace

        from dross.models.lesson import lesson_of
        from dross.train.cross_entropy import CrossEntropy

        method = CrossEntropy(network=self.network, epochs=self.epochs, seed=self.seed)
        lesson = lesson_of(method, data, signals)
        n = len(data)
        loss = np.full((n, self.epochs), np.nan, np.float32)
        margin = np.full((n, self.epochs), np.nan, np.float32)

        def note(run: Any, batch: Any, logits: Tensor) -> None:
            import torch

            own = logits.float().gather(1, batch.y[:, None]).squeeze(1)
            others = logits.float().scatter(1, batch.y[:, None], -torch.inf)
            rows = lesson.rows[batch.rows.cpu().numpy()]
            loss[rows, run.epoch] = (logits.float().logsumexp(dim=1) - own).cpu().numpy()
            best = others.amax(dim=1) if others.shape[1] > 1 else torch.zeros_like(own)
            margin[rows, run.epoch] = (own - best).cpu().numpy()

        # A signal is stored whole: a checkpoint would bring back the networks, but not what was noted before.
        method.learn(replace(lesson, folder=None, noted=note))
        with np.errstate(invalid="ignore"):
            right = margin > 0
        seen = np.isfinite(margin[:, 0])
        return Dynamics(
            loss,
            margin,
            np.where(seen, forgetting_events(right), -1).astype(np.int32),
            seen & ~right.any(axis=1),
        )
