"""A training method as the model of a proof: whether repairing helps it, and whether it makes repairing unnecessary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.job.arms import Arm, Material
from dross.job.learner import answered, scale_of, tempered
from dross.job.paired import Numbers, Scored
from dross.job.training import BASELINE, trainer

if TYPE_CHECKING:
    from dross.models.trainer import NetworkTrainer

MOST_ROWS = 5_000


@dataclass(frozen=True)
class Network:
    """A method of ``train`` on the embedding.

    Examples
    --------
    >>> Network.of("elr", epochs=5).name(3)
    'early-learning-regularization, the network auto on the embedding, 5 epochs'
    """

    trainer: NetworkTrainer

    @classmethod
    def of(cls, method: str, **options: Any) -> Network:
        """The method of that name or alias with its fields set; it must be one that reads vectors."""
        return cls(trainer(method, **options))

    @property
    def plain(self) -> Network | None:
        """Plain training of the same network for as long; None where this is it."""
        if self.trainer.name() == BASELINE:
            return None
        own = self.trainer
        same = {"epochs": own.epochs, "batch_size": own.batch_size, "learning_rate": own.learning_rate}
        return Network.of(BASELINE, network=own.network, seed=own.seed, device=own.device, **same)

    def name(self, k: int | None) -> str:
        """What was trained."""
        return (
            f"{self.trainer.name()}, the network {self.trainer.network} on the embedding, {self.trainer.epochs} epochs"
        )

    def most_rows(self, width: int, k: int) -> int:
        """Networks learn slowly."""
        return MOST_ROWS

    def tuned(self, arm: Arm, k: int | None, seed: int) -> Self:
        """Nothing is chosen: the settings are the same in all arms."""
        return replace(self, trainer=replace(self.trainer, seed=seed))

    def score(self, arm: Arm, material: Material, held: npt.NDArray[np.int64]) -> Scored:
        """Train and answer. Raises DrossError for weights other than 0 and 1, which these methods do not take."""
        if not np.isin(arm.weight, (0.0, 1.0)).all():
            raise DrossError("these edits give rows weights, and training methods take none", fix="leave out --trainer")
        kept = arm.weight > 0
        scale = scale_of(arm.X)
        classes = material.changes.classes
        train = _rows(arm.X[kept] * scale, arm.y[kept], None if classes is None else len(classes))
        model = self.trainer.run(train, Signals(train))
        if isinstance(model, NotApplicable):
            raise DrossError(f"{self.trainer.name()} does not apply to these rows: {model.reason}")
        said = model.predict_proba(_rows(material.vectors[held] * scale)).astype(np.float64)
        if classes is None:
            return answered(material, held, said[:, 0])
        probs = np.zeros((len(held), len(classes)))
        probs[:, np.array(model.classes, np.int64)] = said
        return answered(material, held, tempered(probs, int(kept.sum())))


def _rows(X: npt.NDArray[np.float32], y: Numbers | None = None, k: int | None = None) -> Dataset:
    """Vectors as a dataset, with what is to be predicted where it is given: class codes, or numbers (k is None)."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(X, np.float32).ravel()), X.shape[1])
    if y is None:
        return Dataset(pa.table({"x": vectors}), {Role.EMBEDDING: ["x"]})
    role = Role.TARGET if k is None else Role.LABEL
    values = pa.array(y if k is None else y.astype(np.int64))
    return Dataset(pa.table({"x": vectors, "y": values}), {Role.EMBEDDING: ["x"], role: ["y"]})
