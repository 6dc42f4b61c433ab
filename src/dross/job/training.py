"""Train: fit one method, compare several on the same splits, or choose one by cross-validation."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.hashing import Hashes
from dross.core.registry import method as method_named
from dross.core.registry import method_files
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Progress, Signals, silent
from dross.core.splits import splits_of
from dross.job.paired import Estimated, Measured, Numbers, Scored, classification_scores, regression_scores
from dross.models.folds import folds_of
from dross.models.lesson import Outcome, outcome_of
from dross.models.trained import Trained
from dross.models.trainer import NetworkTrainer
from dross.signals.content_hash import ContentHash

AUTO = "auto"
BASELINE = "cross-entropy"
METRICS = {
    "class": ("accuracy", "macro-F1", "log-loss", "worst group"),
    "labels": ("mean average precision", "right labels"),
    "number": ("R²", "mean absolute error"),
}
"""What is measured, by what is taught; the first decides."""
PARTS = 4
"""A comparison trains on all parts but one, and judges on that one."""
CHOICE_SPLITS, CHOICE_ROWS = 3, 5000
"""Splits, and labelled rows at most, on which ``auto`` compares methods."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Several methods on the same splits.

    Attributes
    ----------
    methods, metrics
        Their names; the first metric decides, and is better when higher.
    measured
        Every score in every split, shape (J, q) by method.
    seconds
        Mean training time of each.
    baseline
        What the others are compared with.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    measured: Measured
    seconds: Mapping[str, float]
    baseline: str

    def level(self, method: str, metric: int = 0) -> Estimated | None:
        """The mean of one metric with its interval; None where it is not defined in some split."""
        return self.measured.level(method, metric)

    def change(self, method: str, metric: int = 0) -> Estimated | None:
        """The mean paired difference to the baseline with its corrected interval."""
        return self.measured.change(method, self.baseline, metric)

    def winner(self) -> str:
        """The best method by the first metric, but the baseline unless the difference is more than chance explains."""
        best = max(self.methods, key=lambda name: float(np.mean(self.measured.values[name][:, 0])))
        change = self.change(best)
        return best if best != self.baseline and change is not None and change.low > 0 else self.baseline

    def likely(self) -> str:
        """The best method by the first metric, but the baseline where it is within one standard error of that.

        A choice has to be made, so the bar is lower than :meth:`winner`'s, which makes a claim (Breiman et al., 1984).
        """
        best = max(self.methods, key=lambda name: float(np.mean(self.measured.values[name][:, 0])))
        gains = self.measured.values[best][:, 0] - self.measured.values[self.baseline][:, 0]
        return best if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)) else self.baseline

    def verdict(self) -> str:
        """One plain sentence."""
        best, metric = self.winner(), self.metrics[0]
        if best == self.baseline:
            return f"No method is better than {self.baseline} by more than chance explains: it is the honest choice."
        change = self.change(best)
        assert change is not None
        by = f"{change.estimate:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
        return f"{best} is better than {self.baseline}: {metric} {by}."

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        table = {
            name: {
                "seconds": round(self.seconds[name], 3),
                **{m: _plain(self.level(name, q)) for q, m in enumerate(self.metrics)},
                f"{self.metrics[0]} over {self.baseline}": _plain(self.change(name)),
            }
            for name in self.methods
        }
        return {"winner": self.winner(), "verdict": self.verdict(), "baseline": self.baseline, "methods": table}


def _plain(found: Estimated | None) -> dict[str, float] | None:
    return None if found is None else found.to_json()


def trainer(method: str | NetworkTrainer, **options: Any) -> NetworkTrainer:
    """The trainer of that name or alias with its fields set, or the given one with some of them changed.

    >>> trainer("elr", epochs=5).epochs
    5
    """
    known: Any = type(method) if isinstance(method, NetworkTrainer) else method_named(method)
    if not issubclass(known, NetworkTrainer):
        names = sorted(name for name in trainer_names())
        raise DrossError(f"{method!r} trains no model", fix=nearest(str(method), names))
    fields = [field.name for field in dataclasses.fields(known)]
    unknown = [name for name in options if name not in fields]
    if unknown:
        raise DrossError(f"{known.name()} has no setting {unknown[0]!r}", fix=nearest(unknown[0], fields))
    if isinstance(method, NetworkTrainer):
        return dataclasses.replace(method, **options)
    made: NetworkTrainer = known(**options)
    return made


def trainer_names() -> list[str]:
    """The names of all methods that train a model.

    >>> "cross-entropy" in trainer_names()
    True
    """
    own = [name for name, module in method_files().items() if module.split(".")[1] in {"train", "pretrain"}]
    return sorted(own)


def fit(
    data: Dataset,
    method: str | NetworkTrainer = AUTO,
    *,
    workspace: str | Path | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Trained:
    """Train a model on the rows of the training split.

    Parameters
    ----------
    data
        What to learn from; rows without a label are used by the methods that can.
    method
        A name or alias (``dross methods`` lists them), a configured trainer, or ``auto``: a few methods are compared by
        cross-validation, and the summary of the model says which and what each reached.
    workspace
        Where checkpoints are kept, so that a training that was killed goes on; None keeps none.
    progress
        Called as ``progress(what, done, total)``.
    **options
        Fields of the method, such as ``epochs=50`` or ``network="cnn"``.

    Raises
    ------
    DrossError
        When the method or an option is unknown, the method has nothing to work on, or the training fails.

    Examples
    --------
    >>> from dross.testing.planted import blobs
    >>> fit(blobs(100).data, "elr", epochs=3)
    Trained(early-learning-regularization, auto, 4 classes)
    """
    signals = Signals(data, None if workspace is None else Path(workspace) / "signals", progress)
    chosen: dict[str, Any] = {}
    if method == AUTO:
        method, chosen = choose(data, signals, options)
    model = trainer(method, **options).run(data, signals)
    if isinstance(model, NotApplicable):
        raise DrossError(f"the method does not apply to these rows: {model.reason}")
    return dataclasses.replace(model, summary={**model.summary, **chosen}) if chosen else model


def choose(data: Dataset, signals: Signals, options: Mapping[str, Any]) -> tuple[NetworkTrainer, dict[str, Any]]:
    """The trainer that does best on rows it has not seen, and what was tried.

    Held-out labels are as noisy as the training labels. Their accuracy still ranks models as the true one does, as long
    as each class is more often right than any one confusion (Chen, Ye, Chen, Zhao, Heng, "Robustness of Accuracy Metric
    and its Inspirations in Learning with Noisy Labels", 2021, theorem 1): it needs no clean rows. Plain cross-entropy
    is taken where it is within a standard error of the best.
    """
    if outcome_of(data).teaches != "class":
        return trainer(BASELINE, **options), {"auto": {"chosen": BASELINE}}
    few = _few_labels(data)
    names = [BASELINE, *(name for name in trainer_names() if name != BASELINE and few in _auto_for(name))]
    able = [one for one in (_able(name, options) for name in names) if one.applies(data) is None]
    codes, sample = np.asarray(data.codes), data
    labelled = np.flatnonzero(codes >= 0)
    if len(labelled) > CHOICE_ROWS:
        kept = np.random.default_rng(0).choice(labelled, CHOICE_ROWS, replace=False)
        sample = data.take(np.sort(np.concatenate([kept, np.flatnonzero(codes < 0)[: 4 * CHOICE_ROWS]])))
    found = compare(sample, able, repeats=CHOICE_SPLITS, progress=signals.progress)
    best = next(one for one in able if one.name() == found.likely())
    return best, {"auto": {"chosen": best.name(), "rows": len(sample), **found.to_json()}}


def _able(name: str, options: Mapping[str, Any]) -> NetworkTrainer:
    """A trainer with those options that it has."""
    known: Any = method_named(name)
    fields = {field.name for field in dataclasses.fields(known)}
    return trainer(name, **{key: value for key, value in options.items() if key in fields})


def _auto_for(name: str) -> tuple[str, ...]:
    known: Any = method_named(name)
    return tuple(known.auto_for)


def _few_labels(data: Dataset) -> str:
    """``few`` where most training rows have no label, else ``many``."""
    if not data.has(Role.LABEL):
        return "many"
    rows = splits_of(data).training
    return "few" if (np.asarray(data.codes)[rows] < 0).mean() > 0.5 else "many"


def compare(
    data: Dataset,
    methods: Sequence[str | NetworkTrainer],
    *,
    test: Dataset | None = None,
    repeats: int = 5,
    seed: int = 0,
    progress: Progress = silent,
    **options: Any,
) -> Comparison:
    """Train several methods on the same random splits and compare them pairwise.

    Each repeat holds a quarter of the labelled rows out (copies and groups on one side, classes spread evenly) and
    judges every method on them, or on ``test``, clean rows of your own, whose labels are never trained on. Intervals
    are Nadeau and Bengio's, which know that splits share rows. The first method is the baseline.

    Raises
    ------
    DrossError
        When fewer than two repeats are asked for, a method is unknown or cannot be used on these rows.

    Examples
    --------
    >>> from dross.testing.planted import blobs
    >>> found = compare(blobs(120).data, ["cross-entropy", "elr"], repeats=2, epochs=3)
    >>> found.methods, found.metrics[0]
    (('cross-entropy', 'early-learning-regularization'), 'accuracy')
    """
    trainers = [trainer(one, **options) for one in methods]
    names = tuple(one.name() for one in trainers)
    if repeats < 2:
        raise DrossError(f"{repeats} repeats give no interval", fix="ask for 2 or more")
    if len(set(names)) < len(names):
        raise DrossError("a method is named twice", fix="name each once")
    outcome = outcome_of(data)
    values: dict[str, list[Numbers]] = {name: [] for name in names}
    seconds = dict.fromkeys(names, 0.0)
    done, total = 0, repeats * len(trainers)
    hashes = np.asarray(Signals(data)[ContentHash()])
    for repeat in range(repeats):
        train, held = _split(data, hashes, outcome, seed + repeat)
        rows, judged = data.take(train), data.take(held) if test is None else test
        for one in trainers:
            started = time.perf_counter()
            model = dataclasses.replace(one, seed=one.seed + repeat).run(rows, Signals(rows))
            if isinstance(model, NotApplicable):
                raise DrossError(f"{one.name()} does not apply to these rows: {model.reason}")
            seconds[one.name()] += (time.perf_counter() - started) / repeats
            values[one.name()].append(scores(model, judged))
            done += 1
            progress("comparing", done, total)
    # With test rows of one's own the training rows still overlap from split to split, so the correction is the same.
    measured = Measured({name: np.array(found) for name, found in values.items()}, None, 1 / (PARTS - 1))
    return Comparison(names, METRICS[outcome.teaches], measured, seconds, names[0])


def _split(data: Dataset, hashes: Hashes, outcome: Outcome, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Positions to train on, and labelled training rows held out; rows without a label are all trained on."""
    y = outcome.y
    labels = y if outcome.teaches == "class" else np.where(np.isfinite(y.reshape(len(y), -1)).all(axis=1), 0, -1)
    codes = labels.astype(np.int32)
    parts = folds_of(data, hashes, codes, PARTS, seed)
    mine = splits_of(data).training
    held = (parts.of == 0) & (codes >= 0) & mine
    return np.flatnonzero(mine & ~held), np.flatnonzero(held)


def scores(model: Trained, rows: Dataset) -> Numbers:
    """The metrics of a model on some rows, shape (q,), in the order of :data:`METRICS`."""
    probs = model.predict_proba(rows).astype(np.float64)
    none = np.full(len(rows), -1, np.int64)
    if model.outcome.teaches == "number":
        known = np.isfinite(rows.target)
        return regression_scores(Scored(rows.target[known], probs[known, 0], np.ones(known.sum()), none[known]))
    if model.outcome.teaches == "labels":
        return _label_scores(model, probs, rows)
    place = {value: i for i, value in enumerate(model.classes)}
    unseen = [value for value in rows.classes if value not in place]
    place |= {value: len(place) + i for i, value in enumerate(unseen)}
    truth = np.array([place[value] for value in rows.classes] + [-1], np.int64)[rows.codes]
    known, k = truth >= 0, len(place)
    wide = np.concatenate([probs, np.zeros((len(probs), len(unseen)))], axis=1)[known]
    wide = (wide + 1e-6) / (1 + k * 1e-6)
    own = wide[np.arange(len(wide)), truth[known]]
    group = _groups(rows)[known]
    return classification_scores(Scored(truth[known], wide.argmax(axis=1), own, group), k)[:4]


def _label_scores(model: Trained, probs: Numbers, rows: Dataset) -> Numbers:
    from sklearn.metrics import average_precision_score

    truth = outcome_of(rows)
    place = {value: i for i, value in enumerate(truth.classes)}
    known = np.isfinite(truth.y).all(axis=1)
    given = np.zeros((len(rows), len(model.classes)), bool)
    for j, value in enumerate(model.classes):
        if value in place:
            given[:, j] = truth.y[:, place[value]] > 0.5
    there = given[known].any(axis=0)
    mean = average_precision_score(given[known][:, there], probs[known][:, there], average="macro")
    return np.array([mean, ((probs > 0.5) == given)[known].mean()])


def _groups(rows: Dataset) -> npt.NDArray[np.int64]:
    """The combined value of domain and groups, -1 where there are none."""
    columns = [*rows.roles.get(Role.DOMAIN, ()), *rows.roles.get(Role.GROUP, ())]
    if not columns:
        return np.full(len(rows), -1, np.int64)
    codes = np.stack([rows.hashes(name) for name in columns], axis=1)
    return np.asarray(np.unique(codes, axis=0, return_inverse=True)[1], np.int64).ravel()
