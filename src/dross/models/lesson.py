"""Lesson: a dataset made ready for networks, and the stages of a training on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.hashing import digest
from dross.core.roles import Role
from dross.core.signal import Progress, Signals, silent
from dross.core.splits import splits_of
from dross.models.checkpoint import Keeper
from dross.models.devices import import_torch
from dross.models.examples import Batch, Examples, Teaches
from dross.models.loop import Nets, Objective, Run, Settings, fit

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.inputs import Encoder
    from dross.models.networks import Maker
    from dross.models.trainer import NetworkTrainer

Rows = npt.NDArray[np.int64]
VALIDATION = ("validation", "valid", "val", "dev")
"""Names of the split that early stopping looks at, in lower case."""


@dataclass(frozen=True)
class Outcome:
    """What is to be predicted: class codes, labels or numbers as ``Examples`` has them, and how to read them back.

    A number is centred and divided by its standard deviation; ``centre`` and ``scale`` undo that.
    """

    y: npt.NDArray[Any]
    classes: list[Any]
    teaches: Teaches
    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Lesson:
    """Training rows as tensors, with all that turns other rows into the same.

    Attributes
    ----------
    rows
        The positions of the training rows in the dataset, shape (n,).
    examples, held
        The training rows; the validation rows, None where early stopping is not asked for.
    outcome
        What is to be predicted of every row of the dataset.
    encoder, make
        How rows become inputs; what makes networks for them.
    settings
        The trainer's own.
    folder
        Where checkpoints are kept; None keeps none.
    noted
        Is shown the logits of labelled rows as they are computed.
    signals
        What is measured of the dataset, for methods that learn from a signal; None where the lesson was made without.
    """

    data: Dataset
    rows: Rows
    examples: Examples
    held: Examples | None
    outcome: Outcome
    encoder: Encoder
    make: Maker
    settings: Settings
    folder: Path | None = None
    progress: Progress = silent
    noted: Callable[[Run, Batch, Tensor], None] | None = None
    signals: Signals | None = None

    def fit(
        self,
        objective: Objective,
        *,
        stage: str = "training",
        nets: Nets | None = None,
        examples: Examples | None = None,
        **changes: Any,
    ) -> Run:
        """Run the loop once, as one stage of a training.

        ``nets`` are trained further where given; ``examples`` stand in for the training rows; ``changes`` are those of
        the settings (``epochs=5``). A finished stage is read back when an interrupted training is run again, so each
        needs a name of its own.
        """
        return fit(
            objective,
            self.make,
            self.examples if examples is None else examples,
            replace(self.settings, **changes),
            nets=nets,
            held=self.held,
            keeper=None if self.folder is None else Keeper(self.folder / stage.replace(" ", "-")),
            noted=self.noted,
            progress=lambda done, total: self.progress(stage, done, total),
        )

    def finished(self) -> None:
        """Delete the checkpoints."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def lesson_of(method: NetworkTrainer, data: Dataset, signals: Signals) -> Lesson:
    """Make a dataset ready for a trainer.

    Rows of the training split (all where there are none) are learnt from, those without a label too. Early stopping
    looks at the validation split, or else at a share of the labelled rows that is then not learnt from.
    """
    torch = import_torch()
    from dross.models.inputs import fit_encoder
    from dross.models.networks import Maker

    outcome = outcome_of(data)
    rows, held = _sides(method, data, outcome)
    encoder = fit_encoder(data, signals, method.network, rows)
    outcome = _scaled(outcome, rows)
    k = max(1, len(outcome.classes))

    def examples(chosen: Rows) -> Examples:
        whole = len(chosen) == len(data)
        x = encoder(data if whole else data.take(chosen))
        return Examples(torch.from_numpy(x), torch.from_numpy(outcome.y[chosen]), k, outcome.teaches)

    return Lesson(
        data,
        rows,
        examples(rows),
        examples(held) if len(held) else None,
        outcome,
        encoder,
        Maker(method.network, encoder.kind, tuple(encoder.shape), k),
        method,
        checkpoints(method, data, signals),
        signals.progress,
        signals=signals,
    )


def checkpoints(method: NetworkTrainer, data: Dataset, signals: Signals) -> Path | None:
    """The folder for the checkpoints of a training, named by all it depends on; None where nothing is kept."""
    if signals.store is None:
        return None
    config = json.dumps(asdict(method), sort_keys=True, default=str)
    return signals.store.parent / "training" / f"{method.name()}-{digest(data.fingerprint(), config)[:16]}"


def outcome_of(data: Dataset) -> Outcome:
    """The labels, label sets or numbers of a dataset. Raises DrossError where it has none, or as many as rows."""
    if data.has(Role.LABEL):
        known = int((data.codes >= 0).sum())
        if not data.classes:
            raise DrossError("no row has a label", where=f"column {data.name_of(Role.LABEL)!r}")
        if len(data.classes) >= known > 1:
            raise DrossError(
                f"there are as many classes as labelled rows: {known:,}, so that nothing repeats",
                where=f"column {data.name_of(Role.LABEL)!r}",
                fix="name the column that holds the label; this one looks like an id",
            )
        return Outcome(data.codes.astype(np.int64), list(data.classes), "class")
    if data.has(Role.LABELS):
        from dross.signals.multilabel_probabilities import given_labels

        given = given_labels(data)
        y = np.where(given.known[:, None], given.matrix, np.nan).astype(np.float32)
        return Outcome(y, given.names, "labels")
    if data.has(Role.TARGET):
        return Outcome(data.target.astype(np.float32), [], "number")
    raise DrossError("there is nothing to learn: no label, labels or target", fix="name one when loading")


def _scaled(outcome: Outcome, rows: Rows) -> Outcome:
    if outcome.teaches != "number":
        return outcome
    known = outcome.y[rows][np.isfinite(outcome.y[rows])].astype(np.float64)
    if not len(known):
        raise DrossError("no training row has a target")
    centre, scale = float(known.mean()), float(known.std()) or 1.0
    return replace(outcome, y=((outcome.y - centre) / scale).astype(np.float32), centre=centre, scale=scale)


def _sides(method: NetworkTrainer, data: Dataset, outcome: Outcome) -> tuple[Rows, Rows]:
    """Positions of training and validation rows."""
    parts = splits_of(data)
    rows = np.flatnonzero(parts.training)
    known = outcome.y >= 0 if outcome.teaches == "class" else np.isfinite(outcome.y.reshape(len(data), -1)).all(axis=1)
    if not known[rows].any():
        raise DrossError("no training row has a label", fix="label some rows, or name the training split 'train'")
    if not method.patience:
        return rows, np.empty(0, np.int64)
    named = [i for i, name in enumerate(parts.names) if name.strip().lower() in VALIDATION]
    held = np.flatnonzero(np.isin(parts.codes, named) & known)
    if len(held):
        return rows, held
    labelled = rows[known[rows]]
    count = max(1, round(method.validation * len(labelled)))
    held = np.sort(np.random.default_rng((method.seed, 7)).permutation(labelled)[:count])
    return rows[~np.isin(rows, held)], held
