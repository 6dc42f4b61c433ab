"""Trained: a trained network with all it needs to answer for new rows; saved without pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.model import Model
from dross.core.paths import expanded
from dross.core.registry import method
from dross.core.results import Edits
from dross.core.roles import Role
from dross.models.checkpoint import read_tensors, write_tensors
from dross.models.devices import device_of, import_torch, seeded
from dross.models.lesson import Outcome, outcome_of
from dross.models.loop import Nets, over

if TYPE_CHECKING:
    from dross.models.inputs import Encoder
    from dross.models.networks import Maker
    from dross.models.trainer import NetworkTrainer

Matrix = npt.NDArray[np.float32]
TOGETHER = 16_384
"""Rows that are encoded at a time."""
FORMAT = 1
ABOUT, WEIGHTS = "model.json", "weights.safetensors"


@dataclass(frozen=True, eq=False)
class Trained(Model):
    """A trained model.

    Attributes
    ----------
    method
        The trainer, with its configuration.
    nets
        The networks that answer.
    encoder, make
        How rows become inputs, and what made the networks.
    outcome
        What was learnt: the classes, or the scale of a number.
    summary
        How it was trained; plain JSON values.
    edits
        What it learnt about wrong labels of its training rows.
    """

    method: NetworkTrainer
    nets: Nets
    encoder: Encoder
    make: Maker
    outcome: Outcome
    summary: Mapping[str, Any]
    edits: Edits | None = None

    @property
    def classes(self) -> list[Any]:  # type: ignore[override]
        """The answers it can give."""
        return self.outcome.classes

    def __repr__(self) -> str:
        return f"Trained({self.method.name()}, {self.make.name}, {len(self.classes)} classes)"

    def predict_proba(self, data: Dataset) -> Matrix:
        """The chance of each class on each row, shape (n, k), float32; for a number its prediction, shape (n, 1)."""
        found = self._over(data, lambda x: self.method.answer(self.nets, x, self.outcome.teaches))
        if self.outcome.teaches == "number":
            found = found * np.float32(self.outcome.scale) + np.float32(self.outcome.centre)
        return found

    def predict(self, data: Dataset) -> list[Any]:
        """The likeliest class of each row, the labels more likely than not, or the number."""
        found = self.predict_proba(data)
        if self.outcome.teaches == "number":
            return [float(value) for value in found[:, 0]]
        if self.outcome.teaches == "labels":
            return [[self.classes[j] for j in np.flatnonzero(row > 0.5)] for row in found]
        return [self.classes[c] for c in found.argmax(axis=1)]

    def embed(self, data: Dataset) -> Matrix:
        """The vector of each row before the last layer, shape (n, d), float32."""
        return self._over(data, self.nets["net"].encode)

    def score(self, data: Dataset) -> float:
        """The share of rows with a known label that are predicted right; R² for a number.

        Rows whose label the model never saw count as wrong.
        """
        truth = outcome_of(data) if not data.has(Role.LABEL) else None
        found = self.predict_proba(data)
        if truth is None:
            place = {value: i for i, value in enumerate(self.classes)}
            own = np.array([place.get(value, len(place)) for value in data.classes] + [-1])[data.codes]
            known = data.codes >= 0
            return float((found.argmax(axis=1) == own)[known].mean()) if known.any() else float("nan")
        if truth.teaches == "labels":
            known = np.isfinite(truth.y).all(axis=1)
            if truth.classes != self.classes:
                raise DrossError("these rows have other labels than the model learnt")
            return float(((found > 0.5) == (truth.y > 0.5))[known].mean())
        known = np.isfinite(truth.y)
        away, spread = truth.y[known] - found[known, 0], truth.y[known] - truth.y[known].mean()
        return float(1 - np.square(away).sum() / max(float(np.square(spread).sum()), 1e-300))

    def _over(self, data: Dataset, function: Any) -> Matrix:
        torch = import_torch()
        device = device_of(self.method.device)
        for net in self.nets.values():
            net.to(device)
        parts = [
            over(self.nets, function, torch.from_numpy(self.encoder(piece)), device).cpu().numpy()
            for piece in _pieces(data)
        ]
        return np.concatenate(parts).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """Write it to a new folder: ``model.json``, the weights as safetensors, the encoder. Raises where it exists."""
        folder = expanded(path)
        if folder.exists():
            raise DrossError("there is something already", where=str(folder), fix="name a new folder")
        tensors = {f"{name}/{key}": v for name, net in self.nets.items() for key, v in net.state_dict().items()}
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise DrossError(f"cannot write: {error.strerror}", where=str(folder)) from error
        self.encoder.save(folder)
        about = {
            "format": FORMAT,
            "method": self.method.name(),
            "settings": asdict(self.method),
            "outputs": self.make.outputs,
            "classes": self.classes,
            "teaches": self.outcome.teaches,
            "centre": self.outcome.centre,
            "scale": self.outcome.scale,
            "summary": dict(self.summary),
        }
        write_tensors(folder / WEIGHTS, tensors, {})
        (folder / ABOUT).write_text(json.dumps(about, indent=1, default=str, ensure_ascii=False), encoding="utf-8")

    def __reduce__(self) -> NoReturn:
        raise DrossError("a trained model is not pickled", fix="use save(FOLDER) and dross.train.load(FOLDER)")


def load(path: str | Path) -> Trained:
    """Read a model that was saved. Raises DrossError where the folder holds none, or one of a newer version."""
    import_torch()
    from dross.models.borrowed import architecture
    from dross.models.inputs import read_encoder
    from dross.models.networks import Maker

    folder = expanded(path)
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DrossError("no saved model stands there", where=str(folder)) from error
    if about["format"] > FORMAT:
        raise DrossError("the model was saved by a newer dross", where=str(folder), fix="pip install -U dross")
    known: Any = method(about["method"])
    settings = {name: tuple(v) if isinstance(v, list) else v for name, v in about["settings"].items()}
    trainer: NetworkTrainer = known(**settings)
    encoder = read_encoder(folder)
    make = Maker(architecture(trainer.network), encoder.kind, tuple(encoder.shape), about["outputs"])
    with seeded(0):
        nets = {name: net for name, net in trainer.build(make).items() if name in trainer.answers_with}
    weights, _ = read_tensors(folder / WEIGHTS)
    for name, net in nets.items():
        own = {key.removeprefix(f"{name}/"): v for key, v in weights.items() if key.startswith(f"{name}/")}
        net.load_state_dict(own)
    nothing = np.empty(0, np.int64)
    outcome = Outcome(nothing, about["classes"], about["teaches"], about["centre"], about["scale"])
    return trainer.model(nets, encoder, make, outcome, about["summary"])


def _pieces(data: Dataset) -> Iterator[Dataset]:
    """The rows in pieces, one of them even where there are none."""
    yield from data.batches(TOGETHER) if len(data) else [data]
