"""Signals: what has been measured about a dataset, computed once, kept on disk, used by all."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, get_type_hints

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.hashing import digest
from dross.core.roles import Role

V = TypeVar("V")
Progress = Callable[[str, int, int], None]
SHARD = 16_384


def silent(what: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@dataclasses.dataclass(frozen=True)
class Signal(ABC, Generic[V]):
    """One thing to measure. The fields are its identity; ``compute`` gives its value.

    The value is an array, or a frozen dataclass of arrays and plain JSON values. ``reads`` names the roles it depends
    on: an edit to any other column leaves the stored value valid.
    """

    reads: ClassVar[tuple[Role, ...]] = ()
    version: ClassVar[int] = 1
    value: ClassVar[type] = np.ndarray

    @abstractmethod
    def compute(self, data: Dataset, signals: Signals) -> V:
        """Measure the dataset."""

    def given(self, data: Dataset) -> V | None:
        """The value when the user brought it with the data, else None; it is then neither computed nor stored."""
        return None

    def extend(self, value: V, data: Dataset, signals: Signals) -> V:
        """The value for ``data``, whose first rows are those that ``value`` describes, each new row measured alone.

        Planted rows are scored this way: as if each were the only one added. The default computes afresh.
        """
        return self.compute(data, signals)

    @classmethod
    def title(cls) -> str:
        """The signal's name for people: its class name in words."""
        return "".join(" " + c.lower() if c.isupper() else c for c in cls.__name__).strip()


@dataclasses.dataclass(frozen=True)
class RowSignal(Signal[npt.NDArray[Any]]):
    """A signal whose value at a row depends on that row alone: measured batch by batch, resumed by batch."""

    @abstractmethod
    def measure(self, batch: Dataset, signals: Signals) -> npt.NDArray[Any]:
        """The values of one batch, shape (rows, …)."""

    def compute(self, data: Dataset, signals: Signals) -> npt.NDArray[Any]:
        """Measure every batch, in order, keeping each on disk until all are there."""
        return signals.by_batch(self, data)

    def extend(self, value: npt.NDArray[Any], data: Dataset, signals: Signals) -> npt.NDArray[Any]:
        """Measure the new rows only."""
        added = data.slice(len(value), len(data))
        return np.concatenate([value, self.measure(added, signals)]) if len(added) else value


class Signals:
    """The measurements of one dataset, asked for by value: ``signals[Embedding()]``.

    Parameters
    ----------
    data
        The dataset measured.
    store
        Folder to keep values in; None keeps them in memory only.
    progress
        Called as ``progress(what, done, total)`` during long work.
    """

    def __init__(self, data: Dataset, store: Path | None = None, progress: Progress = silent) -> None:
        self.data, self.store, self.progress = data, store, progress
        self.seconds: dict[str, float] = {}
        self._values: dict[Signal[Any], Any] = {}
        self._parent: Signals | None = None
        self._carried: tuple[type[Signal[Any]], ...] = ()

    def __getitem__(self, signal: Signal[V]) -> V:
        """The signal's value: from memory, from the data itself, from disk, or computed now."""
        if signal not in self._values:
            given = signal.given(self.data)
            self._values[signal] = self._obtain(signal) if given is None else given
        value: V = self._values[signal]
        return value

    def __contains__(self, signal: Signal[Any]) -> bool:
        return signal in self._values or signal.given(self.data) is not None or self._path(signal) is not None

    def used(self) -> set[type[Signal[Any]]]:
        """The kinds of signal that have been asked for."""
        return {type(signal) for signal in self._values}

    def derive(self, data: Dataset, *, carry: tuple[type[Signal[Any]], ...] = ()) -> Signals:
        """Signals of a planted variant of the data: the same rows first, some columns edited, rows perhaps appended.

        A signal that reads no edited column is taken over (and extended to the new rows); so is every signal whose
        class is in ``carry``, whatever was edited. The rest is computed afresh, and nothing is written to disk.
        """
        child = Signals(data, None, self.progress)
        child._parent, child._carried = self, carry
        return child

    # ---- computing --------------------------------------------------------------------------------------------------

    def _obtain(self, signal: Signal[V]) -> V:
        inherited = self._inherit(signal)
        if inherited is not None:
            return inherited
        kept = self._path(signal)
        if kept is not None:
            try:
                return read_value(kept, signal.value)  # type: ignore[no-any-return]
            except DrossError:
                shutil.rmtree(kept)  # damaged; it is measured again
        started = time.perf_counter()
        self.progress(signal.title(), 0, 1)
        value = signal.compute(self.data, self)
        self.seconds[signal.title()] = time.perf_counter() - started
        self.progress(signal.title(), 1, 1)
        if self.store is None:
            return value
        target = self.store / self._name(signal)
        write_value(target, value)
        shutil.rmtree(target.with_suffix(".part"), ignore_errors=True)
        return read_value(target, signal.value)  # type: ignore[no-any-return]

    def _inherit(self, signal: Signal[V]) -> V | None:
        parent = self._parent
        if parent is None:
            return None
        n = len(parent.data)
        grown = len(self.data) > n
        if not isinstance(signal, self._carried):
            before = parent.data if not grown else self.data.slice(0, n)
            if grown and any(
                self.data.table.column(c).slice(0, n) != parent.data.table.column(c) for c in self._reads(signal)
            ):
                return None
            if not grown and before.fingerprint(*signal.reads) != self.data.fingerprint(*signal.reads):
                return None
        value = parent[signal]
        return signal.extend(value, self.data, self) if grown else value

    def _reads(self, signal: Signal[Any]) -> list[str]:
        return [c for role, columns in self.data.roles.items() if role in signal.reads for c in columns]

    def by_batch(self, signal: RowSignal, data: Dataset) -> npt.NDArray[Any]:
        """Measure batch after batch, resuming with the batches that are on disk already."""
        done = []
        total = -(-len(data) // SHARD)
        folder = self.store / (self._name(signal) + ".part") if self.store and total > 1 else None
        for i, batch in enumerate(data.batches(SHARD)):
            part = folder / f"{i:06d}.npy" if folder else None
            if part is not None and part.exists():
                done.append(np.load(part))
            else:
                done.append(signal.measure(batch, self))
                if part is not None:
                    save_array(part, done[-1])
            self.progress(signal.title(), i + 1, total)
        return np.concatenate(done) if done else signal.measure(data, self)

    # ---- disk -------------------------------------------------------------------------------------------------------

    def _name(self, signal: Signal[Any]) -> str:
        fields = json.dumps(dataclasses.asdict(signal), sort_keys=True, default=str)
        key = digest(self.data.fingerprint(*signal.reads), type(signal).__name__, fields, str(signal.version))
        return f"{type(signal).__name__.lower()}-{key[:16]}"

    def _path(self, signal: Signal[Any]) -> Path | None:
        if self.store is None:
            return None
        path = self.store / self._name(signal)
        return path if (path / "value.json").exists() else None


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write one array so that a crash leaves either nothing or all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    with temporary.open("wb") as out:
        np.save(out, array, allow_pickle=False)
    temporary.replace(path)


def write_value(folder: Path, value: Any) -> None:
    """Write an array or a dataclass of arrays as a folder that appears at once or not at all."""
    temporary = folder.with_name(f".{uuid.uuid4().hex}.tmp")
    temporary.mkdir(parents=True)
    plain = {}
    for name, item in _items(value):
        if isinstance(item, np.ndarray):
            np.save(temporary / f"{name}.npy", item, allow_pickle=False)
        else:
            plain[name] = item
    (temporary / "value.json").write_text(json.dumps(plain))
    if folder.exists():
        shutil.rmtree(folder)
    temporary.rename(folder)


def read_value(folder: Path, kind: type) -> Any:
    """Read back what :func:`write_value` wrote; arrays are memory-mapped. Raises DrossError where it is damaged."""
    try:
        arrays = {f.stem: np.load(f, mmap_mode="r", allow_pickle=False) for f in folder.glob("*.npy")}
        plain = json.loads((folder / "value.json").read_text())
    except (OSError, ValueError, EOFError) as error:
        raise DrossError("a stored signal is damaged", where=str(folder), fix="delete that folder") from error
    if kind is np.ndarray:
        return arrays["value"]
    names = get_type_hints(kind)
    return kind(**{name: arrays.get(name, plain.get(name)) for name in names})


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, np.ndarray):
        yield "value", value
    else:
        for field in dataclasses.fields(value):
            yield field.name, getattr(value, field.name)
