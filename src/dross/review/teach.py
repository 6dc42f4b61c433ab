"""Teach as you go: a person's decisions as labels for the combination of the detectors.

The chance that a finding is a true defect is a logistic regression whose prior is what the audit said:

    log odds = e + a + b·c(e) + w·z + u[given] + v[suggested] + g·x

with ``e`` the log odds that the audit gave the finding, ``z`` the normal scores of what each method said, ``x`` the
leading principal directions of the rows, and effects of the given and of the suggested label. All the unknowns have
normal priors around 0 (:class:`Prior`) and are set to their posterior mode, so without decisions the audit's order
stands, a few decisions hardly move it, and many teach it.

Decisions are no random sample: they come from the top of the queue. What is decided next depends on the findings'
evidence and on earlier decisions only, and all of that evidence is in the model, so the likelihood of the decisions
needs no correction (the selection is ignorable: Rubin, "Inference and missing data", 1976). What the decisions cannot
tell is how the far end of the queue behaves, and there the prior has to hold: the correction ``b`` of the slope acts
between the lowest and the highest ``e`` that was decided (``c`` is ``e`` less its decided mean, held within that range)
and is constant beyond, where the audit's own slope stands; ``z`` and ``x`` are bounded. So a run of false alarms at the
top lowers the rest with it, instead of turning the slope and lifting rows that nobody has looked at.
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

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

DIRECTIONS = 16
"""Principal directions of the rows that are learnt from."""
SAMPLE = 10_000
"""Rows from which the directions are taken."""
SURE = 1e-3
"""Chances that the audit gives are taken to be at least this far from 0 and from 1."""
FARTHEST = 3.0
"""Normal scores and directions, in standard deviations, are held within this."""
FAR = 15.0
"""Log odds are held within this."""


@dataclass(frozen=True)
class Prior:
    """Standard deviations, in log odds, of what decisions may teach; measured on planted and rule-made wrong labels.

    Attributes
    ----------
    offset
        Of the offset ``a``: how far off the audit's chances are as a whole.
    slope
        Of the correction ``b`` of the audit's slope.
    method
        Of the weight of each method, for one standard deviation of its score.
    label
        Of the effect of each given and of each suggested label.
    pair
        Of the effect of each pair of them, beside their own.
    direction
        Of the weight of the first principal direction, for one standard deviation; later ones in proportion to theirs.
    tie
        The weight of the combined score among findings of equal chance (not learnt), for one standard deviation.
    """

    offset: float = 2.0
    slope: float = 0.3
    method: float = 0.3
    label: float = 0.5
    pair: float = 0.5
    direction: float = 0.3
    tie: float = 0.2


PRIOR = Prior()


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
            The classes of the dataset; suggestions are looked up among them.
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
        names = pa.array([str(value) for value in classes], pa.string())
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
    def rank(self) -> Floats:
        """The normal score of the combined score, shape (n,)."""
        return standard_scores(self.combined[:, None])[:, 0]

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
    """The chance that each finding is a true defect, after what a person decided about some.

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

    Notes
    -----
    Time O(n (j + d)) and, for the fit, some dozen passes over the m decided rows.

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
    >>> bool(chances.p[40] > 0.5 > chances.p[41])
    True
    """
    rows, truth = _checked(evidence, decided, defect)
    j = evidence.scores.shape[1]
    if not len(rows):
        return Chances(evidence.plain, _log_odds(evidence.plain, 0.0), evidence.combined, np.zeros(j), 0.0)
    start = _log_odds(evidence.plain, SURE) + np.float32(prior.tie) * evidence.rank
    middle = float(start[rows].mean(dtype=np.float64))
    reach = np.clip(start - middle, start[rows].min() - middle, start[rows].max() - middle)
    spread = np.full(evidence.features.shape[1], prior.method)
    spread[j:] = prior.direction
    dense = np.column_stack([reach[rows], evidence.features[rows]])
    deviations = (prior.label, prior.label, prior.pair)
    labels = (evidence.given, evidence.suggested, evidence.pairs)
    effects = [Effect.of(codes, rows, s) for codes, s in zip(labels, deviations, strict=True)]
    offset, weights, shift = posterior_mode(
        start[rows].astype(np.float64), prior.offset, dense, np.r_[prior.slope, spread], effects, truth
    )
    q = dense.shape[1]
    log_odds = start + evidence.features @ weights[1:q].astype(np.float32) + np.float32(weights[0]) * reach
    log_odds += np.float32(offset - shift)
    at = q
    for effect in effects:
        log_odds += effect.everywhere(weights[at : at + effect.levels])
        at += effect.levels
    log_odds = np.clip(log_odds, -FAR, FAR)
    p = 1 / (1 + np.exp(-log_odds))
    return Chances(p, log_odds, evidence.combined, weights[1 : 1 + j], offset)


@dataclass(frozen=True)
class Effect:
    """An unknown for each label that occurs among the decided rows.

    Attributes
    ----------
    codes
        The label of each of the n findings, shape (n,); -1 where there is none.
    table
        The unknown that each label stands for, shape (largest code + 2,); ``levels`` for labels nothing is known of,
        and for -1.
    at
        The unknown of each decided row, shape (m,).
    levels
        The number of unknowns.
    deviation
        The standard deviation of their prior.
    """

    codes: Codes
    table: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    levels: int
    deviation: float

    @classmethod
    def of(cls, codes: Codes, rows: Rows, deviation: float) -> Effect:
        """The effect of these labels, taught by the decided rows."""
        own = codes[rows]
        seen = np.unique(own[own >= 0])
        table = np.full(int(codes.max(initial=-1)) + 2, len(seen))
        table[seen] = np.arange(len(seen))
        return cls(codes, table, table[own], len(seen), deviation)

    def everywhere(self, weights: Vector) -> Floats:
        """What the effect adds to each finding's log odds, shape (n,)."""
        values: Floats = np.append(weights, 0.0).astype(np.float32)[self.table][self.codes]
        return values


def posterior_mode(
    start: Vector,
    level: float,
    dense: npt.NDArray[Any],
    deviations: Vector,
    effects: Sequence[Effect],
    truth: Vector,
) -> tuple[float, Vector, float]:
    """The unknowns that are likeliest after the decisions: the offset, the weights, and the mean of what they add.

    What the weights add is taken less its mean over the decided rows. So the offset alone answers for the level of the
    decided rows, and labels and regions of which nothing was decided do not float up where the level is below what the
    audit promised.

    Parameters
    ----------
    start
        Log odds before, shape (m,).
    level
        The prior standard deviation of the offset.
    dense
        Shape (m, q); the first column is the slope's correction, which stays above -1 so that the order never turns.
    deviations
        Prior standard deviations of the columns' weights, shape (q,).
    effects
        One further weight for each label.
    truth
        Whether the row is a defect, shape (m,), 0 or 1.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    # unknowns in units of their deviations: the penalty is a plain sum of squares
    scaled = dense * deviations
    q = scaled.shape[1]
    ends = np.cumsum([q, *(effect.levels for effect in effects)])
    total = int(ends[-1])

    def added(v: Vector) -> Vector:
        t = scaled @ v[:q]
        for effect, first in zip(effects, ends, strict=False):
            t += effect.deviation * np.append(v[first : first + effect.levels], 0.0)[effect.at]
        return np.asarray(t)

    def loss(v: Vector) -> tuple[float, Vector]:
        own = added(v)
        t = start + level * v[total] + own - own.mean()
        value = np.logaddexp(0, t).sum() - truth @ t + 0.5 * (v @ v)
        residual = expit(t) - truth
        centred = residual - residual.mean()
        slope = [e.deviation * np.bincount(e.at, centred, e.levels + 1)[: e.levels] for e in effects]
        return float(value), np.concatenate([scaled.T @ centred, *slope, [level * residual.sum()]]) + v

    free: list[tuple[float | None, None]] = [(None, None)] * (total + 1)
    free[0] = (-1 / deviations[0], None)
    found = minimize(
        loss, np.zeros(total + 1), jac=True, method="L-BFGS-B", bounds=free, options={"maxiter": 500, "gtol": 1e-6}
    )
    units = np.concatenate([deviations, *(np.full(effect.levels, effect.deviation) for effect in effects)])
    mode: Vector = found.x[:total] * units
    return float(level * found.x[total]), mode, float(added(found.x).mean())


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
