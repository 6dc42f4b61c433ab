"""Distiller: what methods share that distil a dataset into a few rows by matching trajectories."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import CLASSES, Dataset
from dross.core.errors import DrossError
from dross.core.method import HOW, PARENTS, Synthesizer
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import splits_of
from dross.models.devices import import_torch
from dross.models.examples import Examples
from dross.models.loop import Settings
from dross.models.trajectories import Descent, Distilled, Matching, expert_trajectories, match

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dross.models.inputs import Encoder

Rows = npt.NDArray[np.int64]
PROBS, STEP = "dross_probs", "dross_step_size"
"""Columns of distilled rows: learnt soft labels (the role probs), and the step size of SGD to train on them with."""
INPUTS = 64
"""Inputs of the rows that the learning rates are for."""
CERTAIN = 200.0
"""The logit of a class that is certain: in float32 the softmax gives it all, and the others nothing."""


@dataclass(frozen=True)
class Stage:
    """What a distillation works on.

    Attributes
    ----------
    examples
        The labelled training rows as the network reads them.
    rows
        Their positions in the dataset, shape (n,).
    encoder
        How rows became inputs.
    net
        A network of the experts' kind.
    paths
        The weights of the experts, shape (experts, epochs + 1, p).
    """

    examples: Examples
    rows: Rows
    encoder: Encoder
    net: nn.Module
    paths: Tensor

    @property
    def codes(self) -> Rows:
        """The class of each row, shape (n,)."""
        found: Rows = self.examples.y.numpy()
        return found


@dataclass(frozen=True)
class Distiller(Synthesizer):
    """A method that learns a few rows on which a network moves as on all of them.

    It reads an image column that holds bytes, or else an embedding column (flattened pixels, vectors); the new rows
    have the same. Inputs that never vary among the training rows do not vary in new ones. Train a network of the same
    kind on them by SGD with about the step size in the column ``dross_step_size``.

    Attributes
    ----------
    per_class
        New rows of each class; fewer where a class has fewer rows.
    iterations
        Updates of the new rows; each trains a student for ``steps`` steps.
    experts, expert_epochs
        How many networks are trained on all rows, and how long. Their weights after each epoch are kept in memory:
        4 bytes times experts times epochs times parameters.
    network
        ``auto`` or one of :data:`dross.models.networks.BODIES` that reads vectors or images.
    span, steps
        A student's steps stand for so many epochs of the expert.
    learning_rate, batch_size
        Of the experts; the student's step size begins there and is learnt.
    student_batch
        New rows in a step of the student; 0: all.
    input_rate, step_rate
        Learning rates of the new rows, on the scale of standardised inputs, and of the step size. That of the rows is
        for rows of 64 inputs and in proportion to their number: the more there are, the less each of them is felt.
    seed, device
        As for trainers.
    """

    needs: ClassVar = (Role.LABEL,)
    extra: ClassVar = "torch"

    per_class: int = 10
    iterations: int = 100
    experts: int = 5
    expert_epochs: int = 20
    network: str = "auto"
    span: int = 2
    steps: int = 20
    learning_rate: float = 0.05
    batch_size: int = 64
    student_batch: int = 0
    input_rate: float = 10.0
    step_rate: float = 1e-4
    seed: int = 0
    device: str = "auto"

    # ---- what a method adds --------------------------------------------------------------------------------------

    def descent(self) -> Descent:
        """How experts are trained."""
        return Descent()

    def settings(self) -> Settings:
        """How long and how fast experts are trained."""
        return Settings(self.expert_epochs, self.batch_size, self.learning_rate, 0.0, self.seed, self.device)

    def chosen(self, stage: Stage) -> Rows:
        """The rows to begin with, as positions in the stage, grouped by class."""
        raise NotImplementedError

    def labels(self, stage: Stage, rows: Rows) -> Tensor:
        """The logits of their labels to begin with, shape (m, k); by default the class, and certain."""
        return certain(stage.codes[rows], stage.examples.outputs)

    def matching(self) -> Matching:
        """How the rows are learnt."""
        return Matching(
            self.iterations,
            min(self.span, self.expert_epochs),
            self.steps,
            self.student_batch,
            self.input_rate,
            step_rate=self.step_rate,
            seed=self.seed,
        )

    def window(self, stage: Stage) -> Callable[[int], tuple[int, int]]:
        """From the iteration to the first epoch a student may start from, and the one after the last."""
        raise NotImplementedError

    def factor(self, epoch: int) -> float:
        """What the student's loss is multiplied by when it starts from an epoch."""
        return 1.0

    def told(self, stage: Stage) -> str:
        """How the rows came about, in a few words."""
        raise NotImplementedError

    # ---- the work ------------------------------------------------------------------------------------------------

    def run(self, data: Dataset, signals: Signals) -> Dataset | NotApplicable:
        """Train experts, then learn the rows."""
        import_torch()
        self._check()
        missing = self.applies(data) or _unreadable(data, self.network)
        if missing:
            return missing
        if len(np.unique(data.codes[_learnt(data)])) < 2:
            return NotApplicable("the labelled training rows have fewer than two classes")
        stage = self.prepared(data, signals)
        made, rows = self.distil(stage, signals)
        soft = self.matching().label_rate > 0
        return _rows(data, stage, made, stage.rows[rows], self.told(stage), soft=soft)

    def distil(self, stage: Stage, signals: Signals) -> tuple[Distilled, Rows]:
        """The learnt rows, and the positions in the stage of those they began as."""
        import torch

        rows = self.chosen(stage)
        x = stage.examples.x
        how = self.matching()
        begun = Distilled(x[rows], self.labels(stage, rows), torch.tensor(self.learning_rate))
        made = match(
            begun,
            stage.net,
            stage.paths,
            replace(how, input_rate=how.input_rate * x[0].numel() / INPUTS),
            self.window(stage),
            varies=(x != x[:1]).any(dim=0),
            factor=self.factor,
            progress=lambda done, total: signals.progress("distilling", done, total),
        )
        return made, rows

    def prepared(self, data: Dataset, signals: Signals) -> Stage:
        """The rows as the network reads them, and the trained experts."""
        import torch

        from dross.models.inputs import fit_encoder
        from dross.models.networks import Maker

        role, known = _content(data, self.network), _learnt(data)
        read = Dataset(data.table, {role: data.roles[role]}, source=data.source)
        encoder = fit_encoder(read, signals, self.network, known)
        examples = Examples(
            torch.from_numpy(encoder(read.take(known))),
            torch.from_numpy(data.codes[known].astype(np.int64)),
            len(data.classes),
        )
        make = Maker(self.network, encoder.kind, tuple(encoder.shape), len(data.classes))
        paths, net = expert_trajectories(
            self.descent(),
            make,
            examples,
            self.settings(),
            self.experts,
            progress=lambda done, total: signals.progress("training experts", done, total),
        )
        return Stage(examples, known, encoder, net, paths)

    def _check(self) -> None:
        from dross.models.networks import kind_read, pretrained_folder

        for name in ("per_class", "iterations", "experts", "expert_epochs", "span", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise DrossError(f"{name} is {getattr(self, name)}", fix="give 1 or more")
        for name in ("learning_rate", "input_rate"):
            if not getattr(self, name) > 0:
                raise DrossError(f"{name} is {getattr(self, name)}", fix="give a number above 0")
        from dross.models.borrowed import Borrowed

        if pretrained_folder(self.network) or Borrowed.of(self.network) or kind_read(self.network) == "tokens":
            raise DrossError(
                f"rows cannot be distilled through the network {self.network!r}",
                fix="name a small network that reads vectors or images, such as mlp or cnn",
            )


def certain(codes: Rows, k: int) -> Tensor:
    """Logits of classes that are certain, shape (m, k).

    >>> certain(np.array([1, 0]), 2).softmax(dim=1).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    import torch
    from torch.nn import functional

    hot: Tensor = CERTAIN * functional.one_hot(torch.from_numpy(codes), k).float()
    return hot


def some_of_each(codes: Rows, count: int, pick: Callable[[Rows, int], Rows]) -> Rows:
    """So many rows of each class that occurs, as ``pick(rows of the class, count)`` chooses them, classes in order.

    >>> some_of_each(np.array([1, 0, 1, 1]), 2, lambda rows, count: rows[:count]).tolist()
    [1, 0, 2]
    """
    return np.concatenate([pick(np.flatnonzero(codes == c), count) for c in np.unique(codes)])


# ---- rows in, rows out -------------------------------------------------------------------------------------------


def _learnt(data: Dataset) -> Rows:
    """The labelled rows of the training split."""
    return np.flatnonzero(splits_of(data).training & (data.codes >= 0))


def _content(data: Dataset, network: str) -> Role:
    """The role that is read and written: an image of bytes, unless there are vectors and the network is for those."""
    from dross.models.networks import kind_read

    if data.has(Role.EMBEDDING) and kind_read(network) == "vector":
        return Role.EMBEDDING
    if data.has(Role.IMAGE) and _holds_bytes(data.column(Role.IMAGE).type):
        return Role.IMAGE
    return Role.EMBEDDING


def _holds_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _unreadable(data: Dataset, network: str) -> NotApplicable | None:
    if data.has(Role.EMBEDDING) or _content(data, network) is Role.IMAGE:
        return None
    if data.has(Role.IMAGE):
        return NotApplicable("the image column names files, and new rows have none: load the images as bytes or arrays")
    return NotApplicable("no column holds images or vectors, the only rows that can be learnt")


def _rows(data: Dataset, stage: Stage, made: Distilled, parents: Rows, told: str, *, soft: bool) -> Dataset:
    """The learnt rows as a dataset with the columns of the old one; label and split are those of the parent."""
    m, at = len(parents), pa.array(parents)
    copied = {data.name_of(role) for role in (Role.LABEL, Role.SPLIT) if data.has(role)}
    role = Role(stage.encoder.roles[0])
    roles = dict(data.roles)
    columns: dict[str, Any] = {}
    for field in data.table.schema:
        if field.name in copied:
            columns[field.name] = data.table.column(field.name).take(at)
        elif field.name == data.name_of(role):
            columns[field.name] = _contents(stage.encoder, made, role, field.type)
        else:
            columns[field.name] = pa.nulls(m, field.type)
    if data.has(Role.ID):
        columns[data.name_of(Role.ID)] = _ids(data, m)
    metadata: dict[bytes, bytes] = {}
    if soft:
        name = data.name_of(Role.PROBS) if data.has(Role.PROBS) else PROBS
        roles[Role.PROBS] = (name,)
        probs = made.logits.softmax(dim=1).numpy()
        flat = pa.FixedSizeListArray.from_arrays(pa.array(probs.ravel()), probs.shape[1])
        columns[name] = flat.cast(data.table.column(name).type) if data.has(Role.PROBS) else flat
        metadata = {CLASSES: json.dumps(data.classes, default=str).encode()}
    columns[STEP] = pa.array(np.full(m, float(made.rate), np.float32))
    columns[PARENTS] = pa.array(parents[:, None].tolist(), pa.list_(pa.int64()))
    columns[HOW] = pa.array([told] * m, pa.string())
    return Dataset(pa.table(columns).replace_schema_metadata(metadata), roles)


def _contents(encoder: Encoder, made: Distilled, role: Role, kind: pa.DataType) -> pa.Array:
    """Inputs as the network reads them, back on the scale of the column."""
    raw = made.x.flatten(1).numpy().astype(np.float64) * encoder.scale + encoder.centre
    if role is Role.IMAGE:
        from dross.io.images import encode

        pixels = np.clip(np.rint(raw), 0, 255).astype(np.uint8).reshape(-1, *encoder.shape)
        return pc.cast(encode(pixels[:, 0] if encoder.shape[0] == 1 else np.moveaxis(pixels, 1, 3)), kind)
    flat = pa.array(np.rint(raw).ravel() if pa.types.is_integer(kind.value_type) else raw.ravel())
    return pa.FixedSizeListArray.from_arrays(pc.cast(flat, kind.value_type), kind.list_size).cast(kind)


def _ids(data: Dataset, m: int) -> pa.Array:
    """New keys that no row has."""
    column = data.column(Role.ID)
    if pa.types.is_integer(column.type):
        last = pc.max(column).as_py() or 0
        return pa.array(np.arange(last + 1, last + 1 + m), column.type)
    return pc.cast(pa.array([f"distilled-{data.fingerprint()[:8]}-{i}" for i in range(m)]), column.type)
