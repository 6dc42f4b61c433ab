"""Teach as you go: a person's decisions as labels for the combination of the detectors.

The chance that a finding is a true defect is a logistic regression whose prior is what the audit said:

    log odds = s + a + b·c(s) + w·z + g·x + u[given] + v[suggested] + t[given, suggested]

with ``s`` what the audit said (the log odds of the expected precision and of the combined score, weighed), ``z`` the
normal scores of what each method said, ``x`` the leading principal directions of the rows, and an effect of each label.
The unknowns have normal priors around 0 (:class:`Prior`) and are set to their posterior mode, so without decisions the
audit's order stands, a few decisions hardly move it, and many teach it.

Decisions are no random sample: they come from the top of the queue. What is decided next depends on the findings'
evidence and on earlier decisions only, and that evidence is in the model, so the likelihood of the decisions needs no
correction (the selection is ignorable: Rubin, "Inference and missing data", 1976). What the decisions cannot tell is
how the far end of the queue behaves. There the prior has to hold, by three means. The offset ``a`` alone answers for
the level of the decided rows (all other terms are taken less their mean over these), so labels of which nothing was
decided do not rise where the top of the queue is worse than promised. The corrections ``b`` act between the lowest and
the highest ``s`` that was decided and are constant beyond (``c`` is ``s`` held within that range), where the audit's
own slope stands. And ``z`` and ``x`` are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.calibrate.combine import normal_scores
from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.review.posterior import Effect, Prior, posterior_mode

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

DIRECTIONS = 16
"""Principal directions of the rows that are learnt from."""
SAMPLE = 10_000
"""Rows from which the directions are taken."""
SURE = 3e-3
"""Chances that the audit gives are taken to be at least this far from 0 and from 1."""
CERTAIN = 1e-4
"""The same for combined scores, which keep the order of what is hardly suspicious."""
FARTHEST = 3.0
"""Normal scores and directions, in standard deviations, are held within this."""
FAR = 15.0
"""Log odds are held within this."""


PRIOR = Prior()
LABELLED = pa.array([str(Issue.LABEL), str(Issue.CONFLICT)])
"""The issues whose findings suggest a label."""


@dataclass(frozen=True)
class Evidence:
    """What the audit knows about the n findings of one issue.

    Attributes
    ----------
    combined
        The finding's combined score, shape (n,), in [0, 1].
    expected
        The expected precision, shape (n,), in [0, 1]; NaN where the audit could not calibrate.
    scores
        What each method said, shape (n, j); NaN where it said nothing. Any increasing scale.
    given, suggested
        The given and the suggested label as class codes, shape (n,); -1 where there is none.
    vectors
        Principal coordinates of the rows, shape (n, d), the leading one first; d may be 0.
    names
        The name of each column of ``scores``.
    """

    combined: Floats
    expected: Floats
    scores: Matrix
    given: Codes
    suggested: Codes
    vectors: Matrix
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.combined)
        for name in ("expected", "scores", "given", "suggested", "vectors"):
            if len(getattr(self, name)) != n:
                raise DrossError(f"the evidence of {n} findings has {len(getattr(self, name))} entries in {name!r}")
        if n and not (self.combined.min() >= 0 and self.combined.max() <= 1):
            raise DrossError("combined scores must be numbers in [0, 1]")
        if not np.isfinite(self.vectors).all():
            raise DrossError("the vectors of the findings must be finite numbers")

    def __len__(self) -> int:
        return len(self.combined)

    @classmethod
    def of_table(
        cls,
        table: pa.Table,
        *,
        classes: Sequence[Any] = (),
        given: npt.NDArray[Any] | None = None,
        vectors: npt.NDArray[Any] | None = None,
    ) -> Evidence:
        """The evidence in a findings table (:func:`dross.job.table.tabulate`).

        Parameters
        ----------
        table
            The findings of one issue, n rows. Every ``evidence_…`` column of fractional numbers counts as a method.
        classes
            The classes of the dataset; suggested labels are looked up among them.
        given
            The label code of each finding's row, shape (n,); -1 where it is missing.
        vectors
            The embedding of each finding's row, shape (n, any): turned onto its leading directions here.

        Examples
        --------
        >>> import dross
        >>> from dross.testing.planted import blobs
        >>> data = blobs(200).data
        >>> found = dross.audit(data, only=["confident-learning"]).tables["label"]
        >>> evidence = Evidence.of_table(found, classes=data.classes, given=data.codes[found["row"].to_numpy()])
        >>> len(evidence), evidence.names
        (200, ('given_probability', 'suggested_probability'))
        """
        n = table.num_rows
        columns: dict[str, Floats] = {}
        for name in table.column_names:
            if name.startswith("evidence_") and pa.types.is_floating(table.schema.field(name).type):
                values = table.column(name).to_numpy().astype(np.float32)
                if not any(np.array_equal(values, other, equal_nan=True) for other in columns.values()):
                    columns[name.removeprefix("evidence_")] = values
        of_labels = pc.any(pc.is_in(table.column("issue").cast(pa.string()), LABELLED)).as_py()  # else a twin's row
        names = pa.array([str(value) for value in classes] if of_labels else [], pa.string())
        suggested = pc.fill_null(pc.index_in(table.column("suggestion"), names), -1)
        return cls(
            combined=table.column("score").to_numpy().astype(np.float32),
            expected=table.column("expected_precision").to_numpy().astype(np.float32),
            scores=np.column_stack(list(columns.values())) if columns else np.empty((n, 0), np.float32),
            given=np.full(n, -1, np.int32) if given is None else np.asarray(given, np.int32),
            suggested=suggested.to_numpy().astype(np.int32),
            vectors=np.empty((n, 0), np.float32) if vectors is None else leading_directions(vectors),
            names=tuple(columns),
        )

    @cached_property
    def plain(self) -> Floats:
        """The chance that the audit gave, shape (n,): the expected precision, or the score where it is not known."""
        return np.where(np.isnan(self.expected), self.combined, self.expected).astype(np.float32)

    @cached_property
    def base(self) -> Matrix:
        """The log odds of the chance that the audit gave and of the combined score, shape (n, 2)."""
        return np.column_stack([_log_odds(self.plain, SURE), _log_odds(self.combined, CERTAIN)])

    @cached_property
    def features(self) -> Matrix:
        """What is weighed, shape (n, j + d): the methods' normal scores, then the principal directions."""
        scale = np.sqrt(np.mean(self.vectors[:, :1] ** 2, dtype=np.float64)) if self.vectors.size else 0.0
        unit = self.vectors / np.float32(max(float(scale), 1e-12))
        return np.concatenate([standard_scores(self.scores), np.clip(unit, -FARTHEST, FARTHEST)], axis=1)

    @cached_property
    def pairs(self) -> Codes:
        """A number for each pair of given and suggested label, shape (n,); -1 where either is missing."""
        known = (self.given >= 0) & (self.suggested >= 0)
        code = self.given.astype(np.int64) * (int(self.suggested.max(initial=0)) + 1) + self.suggested
        out = np.full(len(self), -1, np.int32)
        out[known] = np.unique(code[known], return_inverse=True)[1]
        return out


def standard_scores(values: npt.NDArray[Any]) -> Matrix:
    """The normal scores of each column, shape (n, j), of mean 0 and variance 1; 0 where a value is NaN or all are one.

    >>> standard_scores(np.array([[1.0], [2.0], [9.0], [np.nan]]))[:, 0].astype(float).round(2).tolist()
    [-1.22, 0.0, 1.22, 0.0]
    """
    out = np.zeros(values.shape, np.float32)
    for c in range(values.shape[1]):
        known = np.flatnonzero(~np.isnan(values[:, c]))
        column = values[known, c]
        z = normal_scores(column, column)
        spread = float(z.std()) if len(z) else 0.0
        if spread > 1e-6:
            out[known, c] = np.clip((z - z.mean()) / spread, -FARTHEST, FARTHEST)
    return out


def leading_directions(vectors: npt.NDArray[Any], most: int = DIRECTIONS) -> Matrix:
    """Vectors, centred, along their first principal directions: shape (n, at most ``most``), float32.

    >>> leading_directions(np.array([[1.0, 1.0], [3.0, 1.0], [8.0, 1.0]]), 1).tolist()
    [[-3.0], [-1.0], [4.0]]
    """
    X = np.asarray(vectors, np.float32)
    if not len(X):
        return np.empty((0, 0), np.float32)
    some = X[:: -(-len(X) // SAMPLE)]
    middle = some.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, axes = np.linalg.eigh((some - middle).T @ (some - middle))
    main = axes[:, ::-1][:, :most]
    main = main * np.where(main.sum(axis=0) < 0, -1, 1)  # a direction's sign is arbitrary: settle it
    turned: Matrix = X @ main - middle @ main
    return turned


@dataclass(frozen=True)
class Chances:
    """What the decisions taught.

    Attributes
    ----------
    p
        The chance that each finding is a true defect, shape (n,), float32, in [0, 1].
    log_odds
        The same as log odds, shape (n,), float32.
    combined
        The audit's combined score, shape (n,), which orders findings of equal chance.
    weights
        Log odds that each method (:attr:`Evidence.names`) adds for one standard deviation of its score, shape (j,).
    offset
        By how much the audit's log odds were off as a whole; below 0 where it promised too much.
    """

    p: Floats
    log_odds: Floats
    combined: Floats
    weights: Vector
    offset: float

    def order(self) -> Rows:
        """The findings, the likeliest first, shape (n,); of equals the higher combined score, then the earlier one."""
        return np.lexsort((-self.combined, -self.log_odds))


def rescore(evidence: Evidence, decided: npt.NDArray[Any], defect: npt.NDArray[Any], prior: Prior = PRIOR) -> Chances:
    """The chance that each finding is a true defect, after what a person decided about some; O(n (j + d)).

    Parameters
    ----------
    evidence
        The n findings. It keeps what it computes, so hold on to it between batches.
    decided
        The findings decided on, positions in [0, n), shape (m,); one may stand more than once (several people).
    defect
        Whether each of them was found to be a true defect, shape (m,).
    prior
        How far decisions may move the audit's order.

    Raises
    ------
    DrossError
        Where ``decided`` and ``defect`` do not match each other or the findings.

    Examples
    --------
    Every finding that suggests class 1 turns out to be a false alarm, so those that are left go down the queue:

    >>> n = 300
    >>> score = np.linspace(1, 0, n, dtype=np.float32)
    >>> suggested = np.arange(n, dtype=np.int32) % 2
    >>> none = np.empty((n, 0), np.float32)
    >>> evidence = Evidence(score, score, none, np.zeros(n, np.int32), suggested, none)
    >>> decided = np.arange(40)
    >>> chances = rescore(evidence, decided, suggested[decided] == 0)
    >>> queue = chances.order()
    >>> suggested[queue[~np.isin(queue, decided)][:10]].tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    """
    rows, truth = _checked(evidence, decided, defect)
    j = evidence.scores.shape[1]
    if not len(rows):
        return Chances(evidence.plain, _log_odds(evidence.plain, 0.0), evidence.combined, np.zeros(j), 0.0)
    base = evidence.base
    held = np.clip(base, base[rows].min(axis=0), base[rows].max(axis=0))
    start = base @ np.array([prior.expected, prior.combined], np.float32)
    start += (base[rows, 0] - start[rows]).mean()  # the decided rows start at the level that the audit promised
    spread = np.full(evidence.features.shape[1], prior.method)
    spread[j:] = prior.direction
    dense = np.column_stack([held[rows], evidence.features[rows]])
    deviations = (prior.label, prior.label, prior.pair)
    labels = (evidence.given, evidence.suggested, evidence.pairs)
    effects = [Effect.of(codes, rows, s) for codes, s in zip(labels, deviations, strict=True)]
    offset, weights, shift = posterior_mode(
        start[rows].astype(np.float64), prior, dense, np.r_[prior.slope, prior.slope, spread], effects, truth
    )
    q = dense.shape[1]
    log_odds = start + evidence.features @ weights[2:q].astype(np.float32) + held @ weights[:2].astype(np.float32)
    log_odds += np.float32(offset - shift)
    for effect, own in zip(effects, np.split(weights[q:], np.cumsum([e.levels for e in effects])), strict=False):
        log_odds += effect.everywhere(own)
    log_odds = np.clip(log_odds, -FAR, FAR)
    p = 1 / (1 + np.exp(-log_odds))
    return Chances(p, log_odds, evidence.combined, weights[2 : 2 + j], offset)


def _log_odds(p: Floats, least: float) -> Floats:
    """Log odds of chances held ``least`` away from 0 and 1, and within :data:`FAR`."""
    far = max(least, 1 / (1 + np.exp(FAR)))
    held = np.clip(p.astype(np.float64), far, 1 - far)
    return np.log(held / (1 - held)).astype(np.float32)


def _checked(evidence: Evidence, decided: npt.NDArray[Any], defect: npt.NDArray[Any]) -> tuple[Rows, Vector]:
    rows, truth = np.asarray(decided), np.asarray(defect)
    if rows.shape != truth.shape or rows.ndim != 1:
        raise DrossError(f"{rows.shape} decided findings do not match {truth.shape} decisions")
    if len(rows) and (rows.min() < 0 or rows.max() >= len(evidence)):
        raise DrossError(f"decided findings must be positions from 0 to {len(evidence) - 1}")
    return rows.astype(np.int64), truth.astype(bool).astype(np.float64)
