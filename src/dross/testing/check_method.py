"""check_method: what every method must withstand, whatever it does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import (
    HOW,
    PARENTS,
    Detector,
    Evaluator,
    Inferer,
    Labeler,
    Method,
    Repairer,
    Selector,
    Synthesizer,
    Trainer,
)
from dross.core.model import Model
from dross.core.registry import VERBS
from dross.core.results import Edits, Findings, Labels, Metrics, NotApplicable, Predictions, Selection
from dross.core.roles import Role
from dross.core.signal import Signal, Signals
from dross.core.step import Step
from dross.testing.check_step import step_checks
from dross.testing.crowds import crowd
from dross.testing.planted import blobs, texts_with_copies

Check = Callable[[Detector], None]
Short = TypeVar("Short", Trainer, Synthesizer)
Answerer = Labeler | Selector | Inferer | Evaluator
Answer = Labels | Selection | Predictions | Metrics | NotApplicable


def check_method(method: type[Method]) -> None:
    """Raise AssertionError, naming the check, when a method breaks the contract.

    >>> from dross.detect.exact_duplicates import ExactDuplicates
    >>> check_method(ExactDuplicates)
    """
    for name, check in checks(method):
        try:
            check()
        except AssertionError as broken:
            raise AssertionError(f"{method.name()}: {name}: {broken}") from broken


def checks(method: type[Method]) -> Iterator[tuple[str, Callable[[], None]]]:
    """The named checks that apply to a method."""
    yield "is described", lambda: _described(method)
    if issubclass(method, Detector):
        for name, check in _DETECTOR_CHECKS.items():
            yield name, lambda check=check: check(method())  # type: ignore[misc]
    elif issubclass(method, Labeler | Selector | Inferer | Evaluator):
        yield "answers fit the data", lambda: _fits(method())
        yield "same seed, same answer", lambda: _same(method(), lambda data: data)
        yield "chunks do not show", lambda: _same(method(), _chunked)
    elif issubclass(method, Step):
        yield from step_checks(method)
    elif issubclass(method, Repairer):
        yield "edits fit the data", lambda: _mends(method())
        yield "same seed, same edits", lambda: _mends_alike(method(), lambda data: data)
        yield "chunks do not show", lambda: _mends_alike(method(), _chunked)
    elif issubclass(method, Trainer):
        yield "models fit the data", lambda: _teaches(_short(method()))
        yield "same seed, same model", lambda: _teaches_alike(_short(method()))
        yield "a model is saved and read back", lambda: _is_kept(_short(method()))
    elif issubclass(method, Synthesizer):
        yield "new rows have parents and the roles of the data", lambda: _descends(_short(method()))
        yield "same seed, same rows", lambda: _made_alike(_short(method()))


def examples() -> dict[str, Dataset]:
    """The datasets every method is tried on: it must score them or say that it does not apply."""
    plain = blobs(120, k=3, seed=1).data
    one = plain.table.set_column(1, "label", pa.array(["a"] * len(plain)))
    return {
        "vectors": plain,
        "texts": texts_with_copies(80, copies=6, seed=1).data,
        "labelled texts": _labelled_texts(),
        "annotated": crowd(60, annotators=4).data,
        "voted": _voted(),
        "one class": Dataset(one, plain.roles),
        "one row": plain.slice(0, 1),
        "two rows": plain.slice(0, 2),
        "no rows": plain.slice(0, 0),
        "missing labels": Dataset(
            plain.table.set_column(1, "label", pa.array([None if i % 5 == 0 else f"c{i % 3}" for i in range(120)])),
            plain.roles,
        ),
        "constant vectors": Dataset(
            plain.table.set_column(0, "x", pa.array([[1.0] * 8] * 120, pa.list_(pa.float32(), 8))),
            plain.roles,
        ),
    }


def _labelled_texts() -> Dataset:
    data = texts_with_copies(90, copies=6, seed=2).data
    table = data.table.append_column("label", pa.array([f"c{i % 3}" for i in range(90)]))
    split = pa.array(["train" if i < 60 else "test" for i in range(90)])
    roles = {**data.roles, Role.LABEL: ["label"], Role.SPLIT: ["split"]}
    return Dataset(table.append_column("split", split), roles)


def _voted() -> Dataset:
    data = crowd(80, annotators=5, seed=3).data
    names = list(data.roles[Role.ANNOTATIONS])
    return Dataset(data.table.select(names), {Role.VOTES: names})


def _described(method: type[Method]) -> None:
    assert method.__doc__, "has a docstring"
    assert method.__module__.split(".")[-2] in VERBS or not method.__module__.startswith("dross."), "stands in a verb"
    method()  # every field has a default


def _outcomes(detector: Detector) -> Iterator[tuple[str, Dataset, Findings | NotApplicable]]:
    for name, data in examples().items():
        missing = detector.applies(data)
        try:
            outcome = missing or detector.run(data, Signals(data))
        except DrossError:
            if len(data) >= 3:
                raise
            continue
        yield name, data, outcome


def _in_range(detector: Detector) -> None:
    for name, data, found in _outcomes(detector):
        if isinstance(found, Findings):
            assert found.issue == detector.finds, f"{name}: finds {found.issue}, declares {detector.finds}"
            assert not len(found) or found.rows.max() < len(data), f"{name}: a row that is not there"
            assert not len(found) or found.rows.min() >= 0, f"{name}: a row that is not there"


def _deterministic(detector: Detector) -> None:
    for (name, _, first), (_, _, again) in zip(_outcomes(detector), _outcomes(detector), strict=True):
        if isinstance(first, Findings) and isinstance(again, Findings):
            assert np.array_equal(first.rows, again.rows), f"{name}: other rows at the second run"
            assert np.array_equal(first.scores, again.scores), f"{name}: other scores at the second run"


def _sharded(detector: Detector) -> None:
    """Chunks of the Arrow table must not show in the answer."""
    for name, data in examples().items():
        if detector.applies(data) or len(data) < 3:
            continue
        split = _chunked(data)
        whole, parts = detector.run(data, Signals(data)), detector.run(split, Signals(split))
        if isinstance(whole, Findings) and isinstance(parts, Findings):
            assert np.array_equal(whole.dense(len(data)), parts.dense(len(data))), f"{name}: chunking shows"


def _declared(detector: Detector) -> None:
    """Signals asked for directly must be among the declared needs (or be needed by one of those)."""
    declared = {need for need in detector.needs if isinstance(need, type)}
    for name, data in examples().items():
        if detector.applies(data) or len(data) < 3:
            continue
        asked = _Asked(data)
        detector.run(data, asked)
        assert asked.direct <= declared, f"{name}: uses {asked.direct - declared} without declaring it in needs"


class _Asked(Signals):
    """Signals that note what the method itself asks for, not what those ask for in turn."""

    def __init__(self, data: Dataset) -> None:
        super().__init__(data)
        self.direct: set[type] = set()
        self._depth = 0

    def __getitem__(self, signal: Signal[object]) -> object:  # type: ignore[override]
        if self._depth == 0:
            self.direct.add(type(signal))
        self._depth += 1
        try:
            return super().__getitem__(signal)
        finally:
            self._depth -= 1


def _chunked(data: Dataset) -> Dataset:
    return Dataset(pa.concat_tables([data.table.slice(i, 17) for i in range(0, len(data), 17)]), data.roles)


# ---- methods of the other verbs -------------------------------------------------------------------------------------


def _answers(method: Answerer, change: Callable[[Dataset], Dataset]) -> Iterator[tuple[str, Dataset, Answer]]:
    for name, data in examples().items():
        if len(data) < 3:
            with suppress(DrossError):  # so few rows may be refused, but not with any other error
                yield name, data, method.applies(data) or method.run(data, Signals(data))
        else:
            changed = change(data)
            yield name, data, method.applies(changed) or method.run(changed, Signals(changed))


def _fits(method: Answerer) -> None:
    for name, data, answer in _answers(method, lambda data: data):
        if isinstance(answer, Labels | Predictions):
            assert len(answer) == len(data), f"{name}: answers for {len(answer)} of {len(data)} rows"
            known = answer.probs[~np.isnan(answer.probs).any(axis=1)]
            assert ((known >= 0) & (known <= 1 + 1e-6)).all(), f"{name}: probabilities out of range"
        elif isinstance(answer, Selection):
            assert not len(answer) or (answer.rows.min() >= 0 and answer.rows.max() < len(data)), f"{name}: no such row"
        elif isinstance(answer, Metrics):
            assert all(len(value) == 3 for value in answer.values.values()), f"{name}: a number without its interval"


def _same(method: Answerer, change: Callable[[Dataset], Dataset]) -> None:
    for (name, _, first), (_, _, again) in zip(
        _answers(method, lambda data: data), _answers(method, change), strict=True
    ):
        assert type(first) is type(again), f"{name}: {first} and then {again}"
        for field in fields(first):
            one, two = getattr(first, field.name), getattr(again, field.name)
            if isinstance(one, np.ndarray):
                assert np.array_equal(one, two, equal_nan=one.dtype.kind == "f"), f"{name}: another {field.name}"


# ---- repairers ------------------------------------------------------------------------------------------------------


def _sessions() -> Dataset:
    """Queries in sessions of two turns: the first fails, and is said again in other words."""
    pairs = [(f"plei song {i % 3}", f"play song {i % 3}") for i in range(30)]
    columns = {
        "session": [i for i, _ in enumerate(pairs) for _ in range(2)],
        "query": [text for pair in pairs for text in pair],
        "outcome": ["failure", "success"] * len(pairs),
    }
    return Dataset(pa.table(columns), {Role.GROUP: ["session"], Role.TEXT: ["query"], Role.LABEL: ["outcome"]})


def _mended(method: Repairer, change: Callable[[Dataset], Dataset]) -> Iterator[tuple[str, Dataset, Edits]]:
    for name, data in {**examples(), "sessions": _sessions()}.items():
        changed = change(data) if len(data) >= 3 else data
        try:
            edits = method.applies(changed) or method.run(changed, Signals(changed))
        except DrossError:
            assert len(data) < 3, f"{name}: refused"
            continue
        if isinstance(edits, Edits):
            yield name, data, edits


def _mends(method: Repairer) -> None:
    for name, data, edits in _mended(method, lambda data: data):
        assert edits.field in data.table.column_names, f"{name}: no column {edits.field}"
        assert edits.reason, f"{name}: edits without a reason"
        assert np.isin(edits.rows, np.arange(len(data))).all(), f"{name}: no such row"
        assert ((edits.confidence >= 0) & (edits.confidence <= 1)).all(), f"{name}: confidence out of range"
        given = data.table.column(edits.field).take(pa.array(edits.rows)).to_pylist()
        assert list(edits.before) == given, f"{name}: other values stood there before"
        assert not any(a == b for a, b in zip(edits.before, edits.after, strict=True)), f"{name}: an edit of nothing"


def _mends_alike(method: Repairer, change: Callable[[Dataset], Dataset]) -> None:
    for (name, _, first), (_, _, again) in zip(
        _mended(method, lambda data: data), _mended(method, change), strict=True
    ):
        assert np.array_equal(first.rows, again.rows), f"{name}: other rows at the second run"
        assert first.after == again.after, f"{name}: other values at the second run"
        assert np.array_equal(first.confidence, again.confidence), f"{name}: other confidences at the second run"


# ---- trainers -------------------------------------------------------------------------------------------------------


def _short(method: Short) -> Short:
    """The method with its trainings cut to two epochs: what is checked does not hang on how good the model is."""
    cut = ("epochs", "iterations")
    return replace(method, **{f.name: 2 for f in fields(method) if f.name.endswith(cut) and f.type == "int"})


def _other_outcomes() -> dict[str, Dataset]:
    """The datasets that teach something else than one class a row."""
    plain = blobs(120, k=3, seed=1).data
    vectors, classes = plain.table.column(0), np.asarray(plain.codes)
    numbers = pa.array([None if i % 10 == 0 else float(c) + i / 120 for i, c in enumerate(classes)])
    sets = [None if i % 10 == 0 else [f"c{c}", "even"][: 1 + (i % 2 == 0)] for i, c in enumerate(classes)]
    roles = {Role.EMBEDDING: ["x"]}
    return {
        "numbers": Dataset(pa.table({"x": vectors, "y": numbers}), {**roles, Role.TARGET: ["y"]}),
        "label sets": Dataset(pa.table({"x": vectors, "y": pa.array(sets)}), {**roles, Role.LABELS: ["y"]}),
    }


def _models(method: Trainer, names: set[str] | None = None) -> Iterator[tuple[str, Dataset, Model]]:
    for name, data in {**examples(), **_other_outcomes()}.items():
        if names is not None and name not in names:
            continue
        try:
            model = method.applies(data) or method.run(data, Signals(data))
        except DrossError:
            assert len(data) < 3 or name == "one class", f"{name}: refused"
            continue
        if isinstance(model, Model):
            yield name, data, model


def _teaches(method: Trainer) -> None:
    for name, data, model in _models(method):
        found = model.predict_proba(data)
        assert found.shape == (len(data), max(1, len(model.classes))), f"{name}: answers of shape {found.shape}"
        assert np.isfinite(found).all(), f"{name}: answers that are no numbers"
        assert not model.classes or (found.min() >= 0 and found.max() <= 1 + 1e-5), f"{name}: chances out of range"
        assert len(model.embed(data)) == len(data), f"{name}: vectors for other rows"
        assert model.edits is None or not len(model.edits) or model.edits.rows.max() < len(data), f"{name}: no such row"


_FEW = {"vectors", "missing labels", "labelled texts", "numbers", "label sets"}


def _teaches_alike(method: Trainer) -> None:
    for (name, data, first), (_, _, again) in zip(_models(method, _FEW), _models(method, _FEW), strict=True):
        assert np.array_equal(first.predict_proba(data), again.predict_proba(data)), f"{name}: another model"


def _is_kept(method: Trainer) -> None:
    from dross.models.trained import load

    for name, data, model in _models(method, {"vectors", "numbers", "label sets"}):
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model")
            again = load(Path(folder) / "model").predict_proba(data)
        assert np.array_equal(model.predict_proba(data), again), f"{name}: other answers after saving and loading"


# ---- synthesizers ---------------------------------------------------------------------------------------------------


def _made(method: Synthesizer) -> Iterator[tuple[str, Dataset, Dataset]]:
    for name, data in {**examples(), **_other_outcomes()}.items():
        try:
            made = method.applies(data) or method.run(data, Signals(data))
        except DrossError:
            assert len(data) < 3 or name == "one class", f"{name}: refused"
            continue
        if isinstance(made, Dataset):
            yield name, data, made


def _descends(method: Synthesizer) -> None:
    for name, data, made in _made(method):
        assert made.roles.items() >= data.roles.items(), f"{name}: other roles"
        assert {PARENTS, HOW} <= set(made.table.column_names), f"{name}: where the rows came from is not told"
        parents = made.table.column(PARENTS).to_pylist()
        assert all(found and min(found) >= 0 and max(found) < len(data) for found in parents), f"{name}: no such parent"
        assert made.table.column(HOW).null_count == 0, f"{name}: rows made by nothing"
        for column in {c for columns in data.roles.values() for c in columns}:
            before, after = data.table.column(column).type, made.table.column(column).type
            assert before == after, f"{name}: {column} is {after}, not {before}"


def _made_alike(method: Synthesizer) -> None:
    for (name, _, first), (_, _, again) in zip(_made(method), _made(method), strict=True):
        assert first.table.equals(again.table), f"{name}: other rows at the second run"


_DETECTOR_CHECKS: dict[str, Check] = {
    "scores are in range": _in_range,
    "same seed, same answer": _deterministic,
    "chunks do not show": _sharded,
    "declared needs are the needs used": _declared,
}
