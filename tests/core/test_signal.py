from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import Role
from dross.core.signal import SHARD, RowSignal, Signal, Signals, read_value

CALLS: list[str] = []


@dataclass(frozen=True)
class Pair:
    values: npt.NDArray[np.float64]
    name: str
    share: float = 0.5


@dataclass(frozen=True)
class Doubled(Signal[Pair]):
    factor: int = 2
    reads: ClassVar[tuple[Role, ...]] = (Role.TARGET,)
    value: ClassVar[type] = Pair

    def compute(self, data: Dataset, signals: Signals) -> Pair:
        CALLS.append("doubled")
        return Pair(data.target * self.factor, "pair")


@dataclass(frozen=True)
class Rowwise(RowSignal):
    reads: ClassVar[tuple[Role, ...]] = (Role.TARGET,)

    def measure(self, batch: Dataset, signals: Signals) -> npt.NDArray[Any]:
        CALLS.append(f"rows {len(batch)}")
        if len(CALLS) == stop_at:
            raise KeyboardInterrupt
        return batch.target + 1


stop_at = -1


@pytest.fixture(autouse=True)
def _fresh() -> None:
    global stop_at  # noqa: PLW0603
    CALLS.clear()
    stop_at = -1


def numbers(n: int = 5) -> Dataset:
    return Dataset(pa.table({"t": np.arange(n, dtype=float), "other": ["a"] * n}), {Role.TARGET: ["t"]})


def test_computed_once_and_read_back_from_disk(tmp_path: Path) -> None:
    data = numbers()
    first = Signals(data, tmp_path)[Doubled()]
    again = Signals(data, tmp_path)[Doubled()]
    assert CALLS == ["doubled"]
    assert again.values.tolist() == first.values.tolist() == [0, 2, 4, 6, 8]
    assert (again.name, again.share) == ("pair", 0.5)
    assert Signals(data, tmp_path)[Doubled(3)].values[1] == 3


def test_an_edit_elsewhere_leaves_the_value_valid(tmp_path: Path) -> None:
    data = numbers()
    _ = Signals(data, tmp_path)[Doubled()]
    _ = Signals(data.with_column("other", pa.array(["b"] * 5)), tmp_path)[Doubled()]
    assert CALLS == ["doubled"]
    _ = Signals(data.with_column("t", pa.array(np.ones(5))), tmp_path)[Doubled()]
    assert len(CALLS) == 2


def test_an_interrupted_signal_resumes_with_the_batches_it_has(tmp_path: Path) -> None:
    global stop_at  # noqa: PLW0603
    data = numbers(SHARD * 2 + 10)
    stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        _ = Signals(data, tmp_path)[Rowwise()]
    CALLS.clear()
    stop_at = -1
    value = Signals(data, tmp_path)[Rowwise()]
    assert CALLS == ["rows 10"]
    assert np.array_equal(value, data.target + 1)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("junk", [b"junk", b"", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_measured_again(tmp_path: Path, junk: bytes) -> None:
    data = numbers()
    before = Signals(data, tmp_path)[Doubled()].values.copy()
    stored = next(tmp_path.glob("*/values.npy"))
    stored.unlink()  # the array above is mapped from it
    stored.write_bytes(junk)
    with pytest.raises(DrossError, match="delete that folder"):
        read_value(stored.parent, Doubled.value)
    CALLS.clear()
    assert np.array_equal(Signals(data, tmp_path)[Doubled()].values, before)
    assert CALLS
    assert np.array_equal(np.load(stored), before)


def test_derived_signals_take_over_what_no_edit_touched() -> None:
    data = numbers()
    parent = Signals(data)
    _ = parent[Doubled()], parent[Rowwise()]
    CALLS.clear()
    relabelled = parent.derive(data.with_column("other", pa.array(["b"] * 5)))
    _ = relabelled[Doubled()], relabelled[Rowwise()]
    assert CALLS == []
    edited = parent.derive(data.with_column("t", pa.array(np.ones(5))))
    assert edited[Doubled()].values.tolist() == [2] * 5
    carried = parent.derive(data.with_column("t", pa.array(np.ones(5))), carry=(Doubled,))
    assert carried[Doubled()].values.tolist() == [0, 2, 4, 6, 8]


def test_derived_signals_measure_appended_rows_alone() -> None:
    data = numbers()
    parent = Signals(data)
    _ = parent[Rowwise()]
    CALLS.clear()
    longer = data.append(pa.table({"t": [10.0], "other": ["a"]}))
    assert parent.derive(longer)[Rowwise()].tolist() == [1, 2, 3, 4, 5, 11]
    assert CALLS == ["rows 1"]
