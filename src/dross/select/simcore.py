"""SimCore: of a large open set, the rows that are near to a small target set, for pretraining on both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Rows, Selection
from dross.core.signal import Signals
from dross.models.aimed import Aimed, aimed
from dross.models.contrastive import unit
from dross.models.examples import unreadable
from dross.signals.embedding import Embedding

Vectors = npt.NDArray[np.float32]

MOST = 50
"""Rows taken at most where none is asked for, as a multiple of the target rows; so in the official code."""
LEAST = 4
"""Target rows without which no encoder is taught."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def centroids(target: Vectors, count: int, seed: int) -> Vectors:
    """Directions of k-means centres of the target rows, shape (at most count, d); the rows themselves where fewer.

    >>> centroids(np.array([[2.0, 0.0], [0.0, 1.0]], np.float32), 5, 0).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows = np.unique(unit(target), axis=0)[::-1]
    if len(rows) <= count:
        return np.ascontiguousarray(rows)
    from sklearn.cluster import KMeans

    found = KMeans(count, n_init=1, random_state=seed).fit(unit(target).astype(np.float64))
    return unit(found.cluster_centers_.astype(np.float32))


def nearest_in_turn(similarity: Vectors, most: int, stop: float) -> tuple[Rows, npt.NDArray[np.float32], list[float]]:
    """Rounds in which each centre takes the row most similar to it that no earlier round took (section 3.2).

    The union of a round's rows maximises the facility location function, the sum over centres of the similarity to the
    nearest row, among the rows that are left; rounds end when that value falls below ``stop`` times that of the first.

    Parameters
    ----------
    similarity
        Of centres and rows, shape (k, n).
    most
        Rows to take at most; of a last round that would be too many, those of highest similarity are taken.
    stop
        The threshold, in [0, 1]; 0 goes on until ``most``.

    Returns
    -------
    Rows in the order in which they were taken, within a round the most similar first, shape (m,); their similarity to
    the centre that took them, shape (m,); the mean similarity of each round. O(k n log n) time, O(k n) memory.

    Examples
    --------
    >>> rows, _, rounds = nearest_in_turn(np.array([[0.9, 0.8, 0.1], [0.7, 0.9, 0.0]], np.float32), 3, 0.5)
    >>> rows.tolist(), [round(value, 2) for value in rounds]
    ([0, 1], [0.9, 0.05])
    """
    k, n = similarity.shape
    order = np.argsort(-similarity, axis=1, kind="stable").astype(np.int32)
    place, gone = np.zeros(k, np.int64), np.zeros(n, bool)
    rows: list[int] = []
    alike: list[float] = []
    rounds: list[float] = []
    while len(rows) < min(most, n):
        for c in range(k):
            while gone[order[c, place[c]]]:
                place[c] += 1
        picked = order[np.arange(k), place]
        nearness = similarity[np.arange(k), picked]
        rounds.append(float(nearness.mean()))
        if rounds[-1] < stop * rounds[0]:
            break
        best = {int(row): float(value) for value, row in sorted(zip(nearness, picked, strict=True))}
        taken = sorted(best, key=lambda row: (-best[row], row))[: min(most, n) - len(rows)]
        gone[taken] = True
        rows += taken
        alike += [best[row] for row in taken]
    return np.array(rows, np.int64), np.array(alike, np.float32), rounds


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SimCore(Selector):
    """The rows of a large unlabelled open set that are near to the rows of a small target set; the nearest first.

    Kim, Bae, Yun, "Coreset Sampling from Open-Set for Fine-Grained Self-Supervised Learning", 2023. An encoder learns
    by contrast on the target rows alone; the target is summed up in k-means centres, and round by round each centre
    takes the open row nearest to it, until what is left is less like the target. Pretrain on the target together with
    the rows chosen, for instance by :class:`~dross.pretrain.simclrv2.SimCLRv2`.

    The target is a part of the data (role split), by default the one called ``target``, else the validation part; the
    open set is the training part. No labels are read.

    Attributes
    ----------
    target
        The name of the target part; empty looks for the names above.
    count
        How many rows to take at most; 0: fifty times as many as there are in the target, as the threshold decides.
    stop
        Rounds end when their mean similarity falls below this times that of the first round, in [0, 1]; the paper
        takes 0.95, and 0 takes ``count`` rows.
    centers
        How many centres sum up the target; the paper takes 100.
    epochs
        Passes over the target in which the encoder learns; 0 takes the embedding that all methods share.
    temperature
        Of the contrastive loss.
    network, batch_size, learning_rate, device
        Of the encoder; see :class:`~dross.models.trainer.NetworkTrainer`.
    seed
        Of the training and the centres.
    """

    paper: ClassVar = Paper(
        "Coreset Sampling from Open-Set for Fine-Grained Self-Supervised Learning", 2023, "2303.11101"
    )
    extra: ClassVar[str | None] = "torch"

    target: str = ""
    count: int = 0
    stop: float = 0.95
    centers: int = 100
    epochs: int = 100
    temperature: float = 0.1
    network: str = "auto"
    batch_size: int = 128
    learning_rate: float = 1e-3
    device: str = "auto"
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there is content that a network reads, and a target part."""
        missing = super().applies(data) or unreadable(data)
        if missing is None and not self.target and not len(aimed(data).target):
            return NotApplicable("needs a target: a part (role split) called target or validation")
        return missing

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Teach the encoder, sum up the target, take the nearest rows round by round."""
        self._check()
        missing = self.applies(data)
        if missing is not None:
            return missing
        parts = aimed(data, self.target)
        if len(parts.target) < LEAST or not len(parts.pool):
            return NotApplicable(f"{len(parts.target)} target rows and {len(parts.pool)} in the open set")
        open_rows, target = self.vectors(data, signals, parts)
        middle = centroids(target, self.centers, self.seed)
        most = self.count or MOST * len(parts.target)
        rows, alike, rounds = nearest_in_turn(middle @ unit(open_rows).T, most, self.stop)
        summary = {
            "open": len(parts.pool),
            "target": len(parts.target),
            "centers": len(middle),
            "taken": len(rows),
            "rounds": len(rounds),
            "similarity_of_the_first_round": round(rounds[0], 4),
            "similarity_of_the_last_round": round(rounds[-1], 4),
            "least_similarity_taken": round(float(alike.min()), 4),
        }
        return Selection(parts.pool[rows], summary=summary)

    def vectors(self, data: Dataset, signals: Signals, parts: Aimed) -> tuple[Vectors, Vectors]:
        """The vectors of the open and of the target rows, shapes (n, d) and (m, d)."""
        if not self.epochs:
            shared = np.asarray(signals[Embedding()], np.float32)
            return shared[parts.pool], shared[parts.target]
        from dross.models.devices import import_torch

        torch = import_torch()
        from dross.models.examples import Examples
        from dross.models.inputs import fit_encoder
        from dross.models.loop import Settings, fit, over
        from dross.models.networks import Maker
        from dross.models.nt_xent import Contrast

        encoder = fit_encoder(data, signals, self.network, parts.target)
        x, read = (torch.from_numpy(encoder(data.take(rows))) for rows in (parts.target, parts.pool))
        examples = Examples(x, torch.full((len(x),), -1), 1)
        chosen: dict[str, Any] = {
            name: getattr(self, name) for name in ("epochs", "batch_size", "learning_rate", "device", "seed")
        }
        run = fit(
            Contrast(self.temperature),
            Maker(self.network, encoder.kind, tuple(encoder.shape), 1),
            examples,
            Settings(**chosen),
            progress=lambda done, total: signals.progress("the target's encoder", done, total),
        )
        found = [over(run.nets, run.net.encode, part, run.device).cpu().numpy() for part in (read, x)]
        return found[0], found[1]

    def _check(self) -> None:
        if not 0 <= self.stop <= 1:
            raise DrossError(f"stop is {self.stop}", fix="give a number in [0, 1]")
        least = {"count": 0, "centers": 1, "epochs": 0, "batch_size": 2}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise DrossError(f"{name} is {getattr(self, name)}", fix=f"give {bound} or more")
        if self.temperature <= 0 or self.learning_rate <= 0:
            raise DrossError("temperature and learning_rate must be above 0", fix="leave them at their defaults")
