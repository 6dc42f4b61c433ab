"""LaSO: new vectors whose labels are the union, the intersection or the difference of those of two rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import HOW, PARENTS, Synthesizer
from dross.core.paper import Paper
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.devices import import_torch
from dross.models.examples import Batch, Examples
from dross.models.loop import Nets, Objective, Run, Settings, fit, over
from dross.signals.multilabel_probabilities import GivenLabels, given_labels

if TYPE_CHECKING:
    from torch import Tensor

Rows = npt.NDArray[np.int64]
Sets = npt.NDArray[np.bool_]
OPERATIONS = ("union", "intersection", "difference")
_TRIES = 20


# ---- the mathematics ---------------------------------------------------------------------------------------------


def combined(name: str, a: Any, b: Any) -> Any:
    """What an operation makes of label sets given as 0 and 1, arrays or tensors of one shape.

    >>> [combined(name, np.array([1, 1, 0]), np.array([1, 0, 0])).tolist() for name in OPERATIONS]
    [[1, 1, 0], [1, 0, 0], [0, 1, 0]]
    """
    if name == "union":
        return a + b - a * b
    return a * b if name == "intersection" else a * (1 - b)


def partners(sets: Sets, rng: np.random.Generator) -> Rows:
    """Another row for each row: for half of them, drawn at random, one that shares a label, shape (n,).

    >>> sets = np.array([[True, False], [False, True], [True, False], [False, False]])
    >>> partners(sets, np.random.default_rng(0)).shape
    (4,)
    """
    n = len(sets)
    found = rng.permutation(n)
    labels, rows = np.nonzero(sets.T)
    starts = np.searchsorted(labels, np.arange(sets.shape[1] + 1))
    own = np.where(sets, rng.random(sets.shape), -1.0).argmax(axis=1)  # one of the labels of each row, at random
    drawn = starts[own] + (rng.random(n) * np.diff(starts)[own]).astype(np.int64)
    chosen = sets.any(axis=1) & (rng.random(n) < 0.5)
    return np.where(chosen, rows[np.minimum(drawn, len(rows) - 1)], found) if len(rows) else found


# ---- the networks ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Operations(Objective):
    """A classifier of vectors and one network for each operation, with the losses of sections 3.1 and 3.2."""

    sets: Sets
    dimensions: int
    width: int
    reconstruction: float

    def build(self, make: Callable[..., Any]) -> Nets:
        """The networks; each operation reads two vectors side by side."""
        from torch import nn

        def operation() -> Any:
            layers: list[Any] = [nn.Linear(2 * self.dimensions, self.width), nn.LeakyReLU(0.2)]
            layers += [nn.Linear(self.width, self.width), nn.LayerNorm(self.width), nn.LeakyReLU(0.2)]
            return nn.Sequential(*layers, nn.Linear(self.width, self.dimensions))

        return {"net": nn.Linear(self.dimensions, self.sets.shape[1]), **{name: operation() for name in OPERATIONS}}

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """Pairs of rows."""
        import torch

        others = torch.from_numpy(run.labelled[partners(self.sets[run.labelled], run.rng)])
        place = torch.full((len(run.examples),), -1, dtype=torch.int64)
        place[torch.from_numpy(run.labelled)] = others
        for rows in run.shuffled(run.labelled):
            yield rows, place[rows]

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """Real and made vectors must be classified right; operations must commute, and give back what they were given.

        The last of these, ``a = (a without b) + (a and b)``, keeps the made vectors as varied as the real ones.
        """
        from torch.nn import functional

        classify, bce, mse = run.net, functional.binary_cross_entropy_with_logits, functional.mse_loss
        (a, ya), (b, yb) = ((batch.x, batch.y) for batch in batches)
        total = bce(classify(a), ya) + bce(classify(b), yb)
        made = {name: (self._apply(run, name, a, b), self._apply(run, name, b, a)) for name in OPERATIONS}
        for name, (ab, ba) in made.items():
            total = total + bce(classify(ab), combined(name, ya, yb)) + bce(classify(ba), combined(name, yb, ya))
            if name != "difference":
                total = total + self.reconstruction * mse(ab, ba)
        both = made["intersection"]
        for vector, y, without, shared in zip((a, b), (ya, yb), made["difference"], both, strict=True):
            again = self._apply(run, "union", without, shared)
            total = total + bce(classify(again), y) + self.reconstruction * mse(again, vector)
        return total

    @staticmethod
    def _apply(run: Run, name: str, a: Tensor, b: Tensor) -> Tensor:
        import torch

        found: Tensor = run.nets[name](torch.cat([a, b], dim=1))
        return found


# ---- the synthesizer ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelSetOperations(Synthesizer):
    """Learn operations on label sets, and make new vectors with them for labels that few rows have.

    Alfassy, Karlinsky, Aides, Shtok, Harary, Feris, Giryes, Bronstein, "LaSO: Label-Set Operations networks for
    multi-label few-shot learning", 2019. Three networks read two vectors and answer with one whose labels are the
    union, the intersection or the difference of theirs. They learn from the rows without rare labels, and are then
    applied to pairs of those that have one (to all, where no label is rare); no new row has an empty label set. The
    vectors are those of an embedding column; other columns of new rows are null. Layer normalisation stands where the
    paper's code has batch normalisation, and the embedding is not trained further.

    Attributes
    ----------
    count
        How many new rows to make; 0: as many as there are. Fewer are made where too few pairs have a label left.
    operations
        Which operations, in turn.
    rare
        A label is rare that at most so many rows have.
    epochs, batch_size, learning_rate, weight_decay, seed, device
        Of the training, as for trainers.
    width
        Of the hidden layers.
    reconstruction
        The weight of the terms that compare vectors.
    """

    paper: ClassVar = Paper("LaSO: Label-Set Operations networks for multi-label few-shot learning", 2019, "1902.09811")
    alias: ClassVar = "laso"
    extra: ClassVar = "torch"
    needs: ClassVar = (Role.EMBEDDING, Role.LABELS)

    count: int = 0
    operations: tuple[str, ...] = OPERATIONS
    rare: int = 20
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0
    device: str = "auto"
    width: int = 256
    reconstruction: float = 1.0

    def run(self, data: Dataset, signals: Signals) -> Dataset | NotApplicable:
        """Train the networks and make new rows."""
        import_torch()
        self._check()
        missing = self.applies(data)
        if missing:
            return missing
        given = given_labels(data)
        if int(given.known.sum()) < 2 or not given.matrix.any():
            return NotApplicable("fewer than two rows have labels")
        x, centre, scale = _standardised(data, given)
        run = self._trained(x, given)
        pairs, how = self._pairs(given)
        return _rows(data, given, pairs, how, _made(run, x, pairs, how) * scale + centre)

    def _trained(self, x: npt.NDArray[np.float32], given: GivenLabels) -> Run:
        import torch

        plain = given.known & ~self._few(given)
        learnt = plain if plain.sum() >= 2 else given.known
        y = np.where(learnt[:, None], given.matrix, np.nan).astype(np.float32)
        examples = Examples(torch.from_numpy(x), torch.from_numpy(y), len(given.names), "labels")
        objective = _Operations(given.matrix, x.shape[1], self.width, self.reconstruction)
        settings = Settings(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, self.seed, self.device)
        return fit(objective, lambda: None, examples, settings)

    def _few(self, given: GivenLabels) -> npt.NDArray[np.bool_]:
        """Which rows have a rare label, shape (n,)."""
        counts = given.matrix[given.known].sum(axis=0)
        return np.asarray(given.matrix[:, (counts > 0) & (counts <= self.rare)].any(axis=1))

    def _pairs(self, given: GivenLabels) -> tuple[Rows, npt.NDArray[np.int64]]:
        """Rows to combine, shape (m, 2), and the position of the operation of each, shape (m,)."""
        rng = np.random.default_rng((self.seed, 13))
        known = np.flatnonzero(given.known)
        few = self._few(given)[known]
        first = known[few] if few.any() else known
        count = self.count or len(given.matrix)
        pairs, how = np.empty((0, 2), np.int64), np.empty(0, np.int64)
        for _ in range(_TRIES):
            if len(pairs) >= count:
                break
            one = rng.choice(first, count)
            two = rng.choice(first if len(first) > 1 else known, count)
            which = (len(how) + np.arange(count)) % len(self.operations)
            sets = _sets(given, np.stack([one, two], axis=1), which, self.operations)
            fits = sets.any(axis=1) & (one != two)
            pairs = np.concatenate([pairs, np.stack([one, two], axis=1)[fits]])
            how = np.concatenate([how, which[fits]])
        names = np.array([OPERATIONS.index(name) for name in self.operations])
        return pairs[:count], names[how[:count]]

    def _check(self) -> None:
        wrong = [name for name in self.operations if name not in OPERATIONS]
        if wrong or not self.operations:
            raise DrossError(
                f"no operation is called {', '.join(map(repr, wrong)) or 'nothing'}",
                fix=f"give {', '.join(OPERATIONS)}",
            )
        for name, least in {"count": 0, "rare": 0, "epochs": 1, "batch_size": 1, "width": 1}.items():
            if getattr(self, name) < least:
                raise DrossError(f"{name} is {getattr(self, name)}", fix=f"give {least} or more")


def _standardised(data: Dataset, given: GivenLabels) -> tuple[npt.NDArray[np.float32], Any, Any]:
    """Vectors with mean 0 and standard deviation 1 in each dimension, and what undoes that.

    Numbers that are none stand at the mean. A dimension that never varies has the scale 0, so that it does not vary in
    new rows either.
    """
    raw = data.matrix(Role.EMBEDDING).astype(np.float64)
    raw = np.where(np.isfinite(raw), raw, np.nan)
    seen = raw[given.known]
    counted = np.maximum((~np.isnan(seen)).sum(axis=0), 1)
    centre = np.nansum(seen, axis=0) / counted
    scale = np.sqrt(np.nansum(np.square(seen - centre), axis=0) / counted)
    scale = np.where(scale > 1e-9 * max(1.0, float(np.abs(centre).max(initial=0))), scale, 0.0)
    return np.nan_to_num((raw - centre) / np.where(scale > 0, scale, 1.0)).astype(np.float32), centre, scale


def _sets(given: GivenLabels, pairs: Rows, how: npt.NDArray[np.int64], names: tuple[str, ...]) -> Sets:
    a, b = given.matrix[pairs[:, 0]].astype(np.int8), given.matrix[pairs[:, 1]].astype(np.int8)
    out = np.zeros(a.shape, bool)
    for position, name in enumerate(names):
        mine = how == position
        out[mine] = combined(name, a[mine], b[mine]) > 0
    return out


def _made(run: Run, x: npt.NDArray[np.float32], pairs: Rows, how: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The new vectors on the scale of the networks, shape (m, d)."""
    import torch

    out = np.zeros((len(pairs), x.shape[1]))
    for position, name in enumerate(OPERATIONS):
        mine = np.flatnonzero(how == position)
        if len(mine):
            both = torch.from_numpy(np.concatenate([x[pairs[mine, 0]], x[pairs[mine, 1]]], axis=1))
            out[mine] = over(run.nets, run.nets[name], both, run.device).cpu().numpy()
    return out


def _rows(data: Dataset, given: GivenLabels, pairs: Rows, how: npt.NDArray[np.int64], vectors: Any) -> Dataset:
    """The new rows as a dataset with the columns of the old one."""
    sets = _sets(given, pairs, how, OPERATIONS)
    names = np.array([*given.names, None], object)
    lists = [names[:-1][row].tolist() for row in sets]
    columns: dict[str, Any] = {}
    for field in data.table.schema:
        if field.name == data.name_of(Role.EMBEDDING):
            columns[field.name] = pa.array(list(vectors.astype(np.float32)), field.type)
        elif field.name == data.name_of(Role.LABELS):
            columns[field.name] = pa.array(lists, field.type)
        else:
            columns[field.name] = pa.nulls(len(pairs), field.type)
    columns[PARENTS] = pa.array(pairs.tolist(), pa.list_(pa.int64()))
    columns[HOW] = pa.array([f"{OPERATIONS[i]} of label sets" for i in how.tolist()], pa.string())
    return Dataset(pa.table(columns), data.roles)
