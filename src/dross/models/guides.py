"""Guides: fixed, stronger embeddings that read the same inputs as the network that is being trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dross.core.errors import DrossError
from dross.models.augment import strong
from dross.models.devices import seeded
from dross.models.directions import main_directions
from dross.models.lesson import Lesson
from dross.models.loop import Objective, frozen
from dross.models.trained import ABOUT, load

Matrix = npt.NDArray[np.float32]
MAIN = 128
"""Directions of the inputs that discriminant analysis looks at, at most."""
VIEWS = 4
"""Changed copies of each labelled row that it is fitted on too: it is views that it will be asked about."""


def discriminants(X: Matrix, labels: npt.NDArray[Any], seed: int = 0) -> tuple[Matrix, Matrix]:
    """Linear discriminant analysis as an affine map: the centre (m,), and the directions (m, r), r < k classes.

    Rao, "The Utilization of Multiple Measurements in Problems of Biological Classification", 1948: ``(X - centre) @
    directions`` holds the classes apart while the spread within them is 1. It is fitted in the main directions of the
    inputs, at most :data:`MAIN`, with the covariance shrunk as Ledoit and Wolf have it.

    >>> X = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]], np.float32)
    >>> centre, directions = discriminants(X, np.array([0, 0, 1, 1]))
    >>> found = (X - centre) @ directions; bool(abs(found[0] - found[1]) < 0.01 * abs(found[0] - found[2]))
    True
    """
    from scipy.linalg import eigh
    from sklearn.covariance import ledoit_wolf

    centre = X.mean(axis=0)
    V, _ = main_directions(np.ascontiguousarray(X - centre), MAIN, seed=seed)
    Z = ((X - centre) @ V).astype(np.float64)
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), Z.shape[1]))
    np.add.at(means, codes, Z)
    means /= counts[:, None]
    within = ledoit_wolf(Z - means[codes], assume_centered=True)[0]
    within += 1e-6 * max(float(np.square(Z).mean()), 1e-12) * np.eye(len(within))  # where each class is a single point
    between = (means.T * counts) @ means / len(Z)
    turn = eigh(between, within)[1][:, ::-1]
    return centre, np.asarray(V @ turn[:, : len(counts) - 1], np.float32)


class Fixed(nn.Module):
    """An embedding that no optimizer trains, always in evaluation mode: inputs times ``scale`` plus ``shift``, read."""

    shift: Tensor
    scale: Tensor

    def __init__(self, reads: nn.Module, shift: Matrix | None = None, scale: Matrix | None = None) -> None:
        super().__init__()
        self.reads = frozen(reads)
        self.plain = shift is None
        self.register_buffer("shift", torch.from_numpy(np.zeros(1, np.float32) if shift is None else shift))
        self.register_buffer("scale", torch.from_numpy(np.ones(1, np.float32) if scale is None else scale))
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Never."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """The vectors of a batch, shape (b, d)."""
        read = x if self.plain else (x.flatten(1) * self.scale + self.shift).reshape(x.shape)
        encode = getattr(self.reads, "encode", self.reads)
        found: Tensor = encode(read)
        return found


def taught_guide(lesson: Lesson) -> Fixed:
    """What the labelled rows teach: the discriminant analysis of vectors and images; of texts a network of its own."""
    known = lesson.examples.known.numpy()
    if not lesson.examples.x.is_floating_point():
        return Fixed(lesson.fit(Objective(), stage="guide").net)
    x = lesson.examples.x[torch.from_numpy(known)]
    with seeded(lesson.settings.seed, 2):
        seen = torch.cat([x, *(strong(x) for _ in range(VIEWS))]).flatten(1).numpy()
    labels = np.tile(lesson.examples.y.numpy()[known], 1 + VIEWS)
    centre, directions = discriminants(seen, labels, lesson.settings.seed)
    linear = nn.Linear(*directions.shape)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(directions.T.copy()))
        linear.bias.copy_(torch.from_numpy(-centre @ directions))
    return Fixed(nn.Sequential(nn.Flatten(), linear))


def stored_guide(folder: str, lesson: Lesson) -> Fixed:
    """A model that dross trained and saved. Raises DrossError where it is none, or reads other inputs."""
    if not (Path(folder) / ABOUT).is_file():
        raise DrossError(f"no guide is called {folder!r}", fix="auto, labels, embedding, none, or a model's folder")
    model, own = load(folder), lesson.encoder
    theirs = model.encoder
    if (theirs.kind, list(theirs.shape), theirs.folder) != (own.kind, list(own.shape), own.folder):
        raise DrossError(
            f"the guide reads {theirs.kind}s of shape {list(theirs.shape)}, and the network {own.kind}s of shape "
            f"{list(own.shape)}",
            where=folder,
            fix="choose a network that reads the same",
        )
    if own.kind == "tokens":
        return Fixed(model.nets["net"])
    scale = np.asarray(own.scale / theirs.scale, np.float32)
    return Fixed(model.nets["net"], np.asarray((own.centre - theirs.centre) / theirs.scale, np.float32), scale)
