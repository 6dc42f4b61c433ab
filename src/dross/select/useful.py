"""USEFUL: rows that are not learnt early are shown twice, so that easy features do not crowd out the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.examples import unreadable

Values = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


# ---- the mathematics ---------------------------------------------------------------------------------------------


def two_clusters(outputs: Values, seed: int) -> npt.NDArray[np.bool_]:
    """Which of two clusters (k-means) each output, (n, k), belongs to, shape (n,); all in one where all are alike.

    O(n k) per round.

    >>> two_clusters(np.array([[0.0], [0.1], [5.0]], np.float32), 0).tolist() in ([0, 0, 1], [1, 1, 0])
    True
    """
    from sklearn.cluster import KMeans

    if len(outputs) < 2 or not np.ptp(outputs, axis=0).max(initial=0) > 0:
        return np.zeros(len(outputs), bool)
    found = KMeans(2, n_init=10, random_state=seed).fit(outputs.astype(np.float64))
    return np.asarray(found.labels_ == 1)


def learnt_late(outputs: Values, losses: Values, labels: Codes, seed: int) -> npt.NDArray[np.bool_]:
    """Of the two clusters of each class's outputs, the one of higher mean loss, shape (n,) (figure 7 of the paper).

    >>> outputs = np.array([[4.0, 0.0], [4.1, 0.0], [1.0, 0.5], [0.0, 3.0]], np.float32)
    >>> losses = np.array([0.1, 0.1, 0.6, 0.1], np.float32)
    >>> learnt_late(outputs, losses, np.array([0, 0, 0, 1]), 0).tolist()
    [False, False, True, False]
    """
    late = np.zeros(len(labels), bool)
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        second = two_clusters(outputs[rows], seed)
        if second.any():
            worse = second if losses[rows][second].mean() > losses[rows][~second].mean() else ~second
            late[rows[worse]] = True
    return late


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Useful(Selector):
    """All labelled rows, those that are learnt late weighing twice; they come first.

    Nguyen, Haddad, Gan, Mirzasoleiman, "Changing the Training Data Distribution to Reduce Simplicity Bias Improves
    In-distribution Generalization", 2024. A network that has trained for a few epochs knows the rows that carry an easy
    feature; its outputs for the others of a class lie apart and have a higher loss. Repeat each row as often as it
    weighs and train anew, from nothing. Where labels may be wrong, clean them first: wrong ones are learnt late too.

    Attributes
    ----------
    early_epochs
        Passes of the first network over the rows: 5 to 10 % of what the final training takes, in the paper.
    factor
        What rows that are learnt late weigh, above 1; the paper takes 2.
    network, batch_size, learning_rate, device
        Of the first network; see :class:`~dross.models.trainer.NetworkTrainer`.
    seed
        Of the training and the clusters.
    """

    paper: ClassVar = Paper(
        "Changing the Training Data Distribution to Reduce Simplicity Bias Improves In-distribution Generalization",
        2024,
        "2404.17768",
    )
    needs: ClassVar = (Role.LABEL,)
    extra: ClassVar[str | None] = "torch"

    early_epochs: int = 8
    factor: float = 2.0
    network: str = "auto"
    batch_size: int = 64
    learning_rate: float = 1e-3
    device: str = "auto"
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there are labels, and content that a network reads."""
        return super().applies(data) or unreadable(data)

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Train for a few epochs, cluster what the network says of each class, weigh."""
        from dross.models.lesson import lesson_of
        from dross.models.loop import Objective
        from dross.models.trainer import NetworkTrainer

        if not (self.early_epochs >= 1 and self.factor > 1):
            told = f"early_epochs is {self.early_epochs}, factor {self.factor}"
            raise DrossError(told, fix="give at least one epoch and a factor above 1")
        missing = self.applies(data)
        if missing is not None:
            return missing
        chosen: dict[str, Any] = {
            name: getattr(self, name) for name in ("network", "batch_size", "learning_rate", "device", "seed")
        }
        lesson = lesson_of(NetworkTrainer(epochs=self.early_epochs, **chosen), data, signals)
        run = lesson.fit(Objective(), stage="looking early")
        lesson.finished()
        losses = run.losses().cpu().numpy()[run.labelled]
        outputs = run.over(run.net, run.labelled).cpu().numpy()
        late = learnt_late(outputs, losses, lesson.outcome.y[lesson.rows[run.labelled]], self.seed)
        order = np.lexsort([-losses, ~late])
        weights = np.where(late, self.factor, 1.0).astype(np.float32)
        summary = {
            "labelled": len(late),
            "learnt_late": int(late.sum()),
            "loss_of_those": round(float(losses[late].mean()), 4) if late.any() else None,
            "loss_of_others": round(float(losses[~late].mean()), 4) if not late.all() else None,
        }
        return Selection(lesson.rows[run.labelled][order], weights[order], summary)
