"""MultilabelProbabilities: out-of-fold probabilities of each label where a row may have several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals
from dross.models.calibration import calibrate_labels, judging_rows
from dross.models.cross_validation import Problem
from dross.models.learner import Target
from dross.signals.model_choice import MOST_PROBABILITIES

Probs = npt.NDArray[np.float32]


@dataclass(frozen=True)
class GivenLabels:
    """The labels of each row.

    Attributes
    ----------
    matrix
        Shape (n, k), bool: which labels each row has.
    names
        The labels, sorted.
    known
        Whether the row was labelled at all, shape (n,): a null list is not, an empty one is.
    """

    matrix: npt.NDArray[np.bool_]
    names: list[Any]
    known: npt.NDArray[np.bool_]


def given_labels(data: Dataset) -> GivenLabels:
    """Read the lists of labels; nulls inside a list are left out, repeated labels count once.

    >>> data = Dataset(pa.table({"y": [["b", "a"], [], None]}), {Role.LABELS: ["y"]})
    >>> found = given_labels(data); found.matrix.tolist(), found.names, found.known.tolist()
    ([[True, True], [False, False], [False, False]], ['a', 'b'], [True, True, False])
    """
    name = data.name_of(Role.LABELS)
    column = data.table.column(name)
    if not any(check(column.type) for check in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        raise DrossError(
            f"the labels are {column.type}, not lists",
            where=f"column {name!r}",
            fix="give each row a list of its labels",
        )
    whole = pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    rows = pc.list_parent_indices(whole).to_numpy(zero_copy_only=False)
    values = pc.list_flatten(whole)
    values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    encoded = values.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    names = encoded.dictionary.to_pylist()
    if len(data) * len(names) > MOST_PROBABILITIES:
        raise DrossError(
            f"{len(names):,} labels for {len(data):,} rows are too many", where=f"column {name!r}",
            fix="name the column that holds the labels; free text is none",
        )  # fmt: skip
    order = sorted(range(len(names)), key=lambda i: _rank(names[i]))
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    matrix = np.zeros((len(data), len(names)), bool)
    there = codes >= 0
    matrix[rows[there], place[codes[there]]] = True
    known = np.asarray(whole.is_valid().to_numpy(zero_copy_only=False), bool)
    return GivenLabels(matrix, [names[i] for i in order], known)


def _rank(name: Any) -> tuple[int, float, str]:
    """Numbers before texts, each in its own order, as classes are sorted."""
    return (0, float(name), "") if isinstance(name, bool | int | float) else (1, 0.0, str(name))


@dataclass(frozen=True)
class MultilabelProbabilities(Signal[Probs]):
    """Out-of-fold probability of each label, shape (n, k), float32; columns follow ``given_labels(data).names``.

    Each label is a question of its own, so rows do not sum to one. Folds are as for
    :class:`~dross.signals.probabilities.Probabilities`, spread evenly over each row's rarest label; the model is kernel
    ridge regression on the embedding or, where there is text, a logistic model on n-grams, whichever has the lower
    log-loss on a sample; each label is calibrated by Platt scaling.

    >>> rng = np.random.default_rng(0); x = rng.normal(size=(200, 2)).astype(np.float32)
    >>> labels = [[name for name, v in zip("ab", row) if v > 0] for row in x]
    >>> vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 2)
    >>> data = Dataset(pa.table({"x": vectors, "y": labels}), {Role.FEATURES: ["x"], Role.LABELS: ["y"]})
    >>> P = Signals(data)[MultilabelProbabilities()]; bool(((P > 0.5) == (x > 0)).mean() > 0.9)
    True
    """

    folds: int = 5
    seed: int = 0
    reads: ClassVar[tuple[Role, ...]] = (*CONTENT, Role.LABELS, Role.PROBS, Role.GROUP)

    def given(self, data: Dataset) -> Probs | None:
        """The user's own ``pred_probs``."""
        return data.matrix(Role.PROBS) if data.has(Role.PROBS) else None

    def compute(self, data: Dataset, signals: Signals) -> Probs:
        """Cross-validate the better model and calibrate each label."""
        problem = multilabel(data, signals, self.folds, self.seed)
        scores = problem.scores(problem.choose(), self.title())
        rows = judging_rows(np.flatnonzero(problem.known), scores.shape[1])
        return calibrate_labels(scores[rows], problem.target.matrix[rows]).labels(scores)

    def extend(self, value: Probs, data: Dataset, signals: Signals) -> Probs:
        """New rows are predicted by the model that left out the first fold, calibrated on that fold."""
        problem = multilabel(data.slice(0, len(value)), signals, self.folds, self.seed)
        if problem.target.width != value.shape[1]:
            return self.compute(data, signals)
        held, scores, added = problem.scores_of_added(problem.choose(), data)
        return np.concatenate([value, calibrate_labels(scores, problem.target.matrix[held]).labels(added)])


def multilabel(data: Dataset, signals: Signals, folds: int, seed: int) -> Problem:
    """The problem of predicting a row's labels."""
    from scipy.sparse import csr_matrix

    given = given_labels(data)
    if not given.matrix.any():
        raise DrossError("no row has a label", where=f"column {data.name_of(Role.LABELS)!r}")
    counts = given.matrix.sum(axis=0)
    rarity = np.where(given.matrix, -counts, np.iinfo(np.int64).min)
    rarest = np.where(given.matrix.any(axis=1), rarity.argmax(axis=1), given.matrix.shape[1])
    classes = np.where(given.known, rarest, -1).astype(np.int32)
    target = Target(csr_matrix(given.matrix, dtype=np.float32), "labels")
    return Problem(data, signals, target, given.known, classes, folds, seed)
