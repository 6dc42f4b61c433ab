"""Quality-quantity tradeoff: laws of how fast each pool of data wears out tell which pools suit a compute budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.splits import shuffled, splits_of
from dross.models.examples import unreadable
from dross.models.lesson import VALIDATION

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
_LEAST = 8


# ---- the mathematics ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Laws:
    """How the error falls with the rows seen, for p pools.

    Attributes
    ----------
    utilities
        b of each pool, shape (p,), below 0: the more so, the faster the error falls.
    half_lives
        tau of each pool, shape (p,): after so many repetitions a row is worth half.
    pace, floor
        a and d, which all pools share: how many rows count as one, and the error that remains.
    """

    utilities: Values
    half_lives: Values
    pace: float
    floor: float

    def error(self, seen: npt.ArrayLike, sizes: Sequence[int], pools: Sequence[int]) -> Values:
        """The error after so many rows seen, shape (m,), training on some pools of these sizes together.

        Theorem 1 of the paper, for pools of any size: the utility in each pass is the mean of the pools' utilities
        weighted by their sizes, and a pool that is a share w of the whole wears out at its half-life over w.
        """
        of = np.asarray([sizes[i] for i in pools], np.float64)
        share = of / of.sum()
        b, tau = self.utilities[list(pools)], self.half_lives[list(pools)] / share
        return np.array([predicted(n, of.sum(), share, b, tau, self.pace, self.floor) for n in np.atleast_1d(seen)])


def predicted(
    seen: float, size: float, shares: Values, utilities: Values, half_lives: Values, pace: float, floor: float
) -> float:
    """The error after ``seen`` rows of a whole of ``size`` rows (equation 3 of the paper).

    (a n_1)^b_1 times, for each later pass k, (n_k / n_(k-1))^b_k, plus the floor, where n_k rows have been seen after
    pass k and b_k is the mean of the pools' utilities halved every half-life.

    >>> one = np.ones(1)
    >>> round(predicted(100, 100, one, np.array([-0.5]), np.array([4.0]), 1.0, 0.1), 4)
    0.2
    >>> round(predicted(200, 100, one, np.array([-0.5]), np.array([1.0]), 1.0, 0.0), 4)  # 0.1 * 2 ** -0.25
    0.0841
    """
    passes = int(np.ceil(seen / size - 1e-9))
    after = np.minimum(size * np.arange(1, passes + 1), seen)
    worth = (shares * utilities * 0.5 ** (np.arange(passes)[:, None] / half_lives)).sum(axis=1)
    steps = np.log(np.concatenate([[pace * after[0]], after[1:] / after[:-1]]))
    return float(np.exp((worth * steps).sum()) + floor)


def fit_laws(seen: Sequence[Values], errors: Sequence[Values], sizes: Sequence[int]) -> Laws:
    """The laws of p pools from measured errors: ``errors[i]`` after ``seen[i]`` rows of pool ``i`` alone.

    Least squares over utilities, half-lives, pace and floor together, from several starts, the best of which counts.

    >>> truth = Laws(np.array([-0.5, -0.3]), np.array([3.0, 6.0]), 0.05, 0.02)
    >>> seen = [100.0 * 2 ** np.arange(7)] * 2
    >>> found = fit_laws(seen, [truth.error(seen[i], [100, 100], [i]) for i in (0, 1)], [100, 100])
    >>> found.utilities.round(2).tolist(), found.half_lives.round(1).tolist(), round(found.floor, 2)
    ([-0.5, -0.3], [3.0, 6.0], 0.02)
    """
    from scipy.optimize import least_squares

    p, first = len(sizes), min(float(each.min()) for each in seen)
    least = min(float(each.min()) for each in errors)

    def laws(z: Values) -> Laws:
        return Laws(-np.exp(z[:p]), np.exp(z[p : 2 * p]), float(np.exp(z[-2])), float(z[-1]))

    def away(z: Values) -> Values:
        found = laws(z)
        return np.concatenate([found.error(seen[i], sizes, [i]) - errors[i] for i in range(p)])

    low = np.r_[np.full(p, np.log(1e-3)), np.full(p, np.log(0.2)), np.log(1e-2 / first), 0.0]
    high = np.r_[np.full(p, np.log(3.0)), np.full(p, np.log(200.0)), np.log(20 / first), max(least, 1e-6)]
    fits = []
    for b in (0.2, 0.6):
        for tau in (2.0, 10.0):
            start = np.r_[np.full(p, np.log(b)), np.full(p, np.log(tau)), np.log(2 / first), high[-1] / 2]
            fits.append(least_squares(away, start, bounds=(low, high), x_scale="jac"))
    return laws(min(fits, key=lambda fit: fit.cost).x)


def best_unions(laws: Laws, sizes: Sequence[int], budget: float) -> tuple[list[int], Values]:
    """The pools, the most useful first, and the error to expect of the first, the first two, … for a budget.

    >>> laws = Laws(np.array([-0.4, -0.5]), np.array([5.0, 2.0]), 1.0, 0.0)
    >>> order, expected = best_unions(laws, [100, 100], 100); order, int(expected.argmin())
    ([1, 0], 0)
    >>> int(best_unions(laws, [100, 100], 10_000)[1].argmin())
    1
    """
    order = np.argsort(laws.utilities, kind="stable").tolist()
    return order, np.array([float(laws.error(budget, sizes, order[: j + 1])[0]) for j in range(len(order))])


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QqtScaling(Selector):
    """The pools to train on for a compute budget: few good rows for a small one, more and worse for a large one.

    Goyal, Maini, Lipton, Raghunathan, Kolter, "Scaling Laws for Data Filtering: Data Curation cannot be Compute
    Agnostic", 2024. Every pool has a utility, the rate at which it lowers the error, and a half-life, the number of
    repetitions that halves its worth. Both are fitted on small trainings on each pool alone; from them the error of
    any union of pools follows for any number of rows seen, without training on it, and with it the best union for the
    budget: the best pool, the best two, … by utility.

    Pools are the values of the column with the role domain, or equal parts of the rows by a score. The error is
    measured on a validation part (role split).

    Attributes
    ----------
    budget
        Rows that the training is going to see, repetitions counted; 0 takes as many as the longest trial saw.
    score, pools
        A column of numbers, higher is better, and into how many equal parts to cut the rows by it; an empty score
        takes the domain column.
    target
        The name of the part to measure on; empty takes the validation part.
    passes
        After how many passes over each pool its error is measured, each by a training of its own.
    repeats
        Trainings, from other random weights, that each error is the mean of.
    network, batch_size, learning_rate, device
        Of the trials; see :class:`~dross.models.trainer.NetworkTrainer`.
    seed
        Of the trainings.
    """

    paper: ClassVar = Paper(
        "Scaling Laws for Data Filtering: Data Curation cannot be Compute Agnostic", 2024, "2404.07177"
    )
    needs: ClassVar = (Role.LABEL,)
    extra: ClassVar[str | None] = "torch"

    budget: int = 0
    score: str = ""
    pools: int = 4
    target: str = ""
    passes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    repeats: int = 2
    network: str = "auto"
    batch_size: int = 32
    learning_rate: float = 3e-3
    device: str = "auto"
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where labelled rows stand in pools, and others say how good a model is."""
        missing = super().applies(data) or unreadable(data)
        if missing is None and not self.score and not data.has(Role.DOMAIN):
            return NotApplicable("needs pools: a column with the role domain, or a score")
        if missing is None and not self._aims(data):
            return NotApplicable("needs a validation part (role split) to measure errors on")
        return missing

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Measure each pool alone, fit the laws, and take the union that they expect to be best."""
        self._check(data)
        missing = self.applies(data)
        if missing is not None:
            return missing
        names, pools = self.pools_of(data)
        if len(pools) < 2 or min(len(rows) for rows in pools) < _LEAST:
            return NotApplicable(f"{len(pools)} pools: two of at least {_LEAST} labelled rows are needed")
        sizes = [len(rows) for rows in pools]
        laws, errors = self.laws(data, signals, pools)
        budget = self.budget or max(sizes) * max(self.passes)
        order, expected = best_unions(laws, sizes, budget)
        best = order[: int(np.argmin(expected)) + 1]
        summary = {
            "budget": budget,
            "pools": [
                {
                    "name": names[i],
                    "rows": sizes[i],
                    "utility": round(float(laws.utilities[i]), 4),
                    "half_life": round(float(laws.half_lives[i]), 3),
                    "errors": {str(k): round(float(e), 4) for k, e in zip(self.passes, errors[i], strict=True)},
                }
                for i in order
            ],
            "pace": laws.pace,
            "floor": round(laws.floor, 4),
            "expected_errors": {
                " + ".join(names[i] for i in order[: j + 1]): round(float(e), 4) for j, e in enumerate(expected)
            },
            "chosen": [names[i] for i in best],
        }
        return Selection(np.concatenate([pools[i] for i in best]), None, summary)

    def laws(self, data: Dataset, signals: Signals, pools: Sequence[Rows]) -> tuple[Laws, list[Values]]:
        """The laws of some pools, and the errors after :attr:`passes` over each alone that they were fitted on."""
        errors = [self.errors(data, signals, rows, self.passes) for rows in pools]
        seen = [np.array([len(rows) * k for k in self.passes], np.float64) for rows in pools]
        return fit_laws(seen, errors, [len(rows) for rows in pools]), errors

    def pools_of(self, data: Dataset) -> tuple[list[str], list[Rows]]:
        """The names of the pools, sorted or the best first, and the labelled training rows of each."""
        order = shuffled(data, self.seed)
        order = order[((splits_of(data).codes == 0) & (np.asarray(data.codes) >= 0))[order]]
        if self.score:
            values = data.numbers(self.score)[order]
            order, values = order[np.isfinite(values)], values[np.isfinite(values)]
            parts = np.array_split(order[np.argsort(-values, kind="stable")], self.pools)
            return [f"{self.score} {j + 1}/{self.pools}" for j in range(self.pools)], parts
        domains = [str(value) for value in data.column(Role.DOMAIN).to_pylist()]
        own = np.array(domains, object)[order]
        names = sorted(set(own.tolist()))
        return names, [order[own == name] for name in names]

    def errors(self, data: Dataset, signals: Signals, rows: Rows, passes: Sequence[float]) -> Values:
        """The share of wrong answers on the target after so many passes over some rows, each trained anew, shape (m,).

        Less than one pass is one over so many random rows.
        """
        import torch

        from dross.models.lesson import lesson_of
        from dross.models.loop import Objective, over
        from dross.models.trainer import NetworkTrainer

        held = np.flatnonzero(np.isin(splits_of(data).codes, self._aims(data)) & (np.asarray(data.codes) >= 0))
        chosen = NetworkTrainer(
            network=self.network, batch_size=self.batch_size, learning_rate=self.learning_rate, device=self.device
        )
        bare = Dataset(data.table, {r: c for r, c in data.roles.items() if r is not Role.SPLIT}, source=data.source)
        lesson = lesson_of(chosen, bare, Signals(bare, None, signals.progress))
        x, y = lesson.examples.x, lesson.examples.y
        asked, truth = x[torch.from_numpy(held)], y[torch.from_numpy(held)].numpy()
        out = np.zeros((len(passes), self.repeats))
        for (i, again), _ in np.ndenumerate(out):
            k, seed = passes[i], self.seed + 1000 * again
            mixed = np.random.default_rng((seed, 9)).permutation(rows)
            part = torch.from_numpy(mixed[: max(1, round(k * len(rows)))] if k < 1 else rows)
            learnt = replace(lesson.examples, x=x[part], y=y[part])
            stage = f"{len(part)} rows, {k} passes, {again}"
            run = lesson.fit(Objective(), stage=stage, examples=learnt, epochs=max(1, round(k)), seed=seed)
            guess = over(run.nets, run.net, asked, run.device).argmax(dim=1).cpu().numpy()
            out[i, again] = (guess != truth).mean()
        return np.asarray(out.mean(axis=1))

    def _aims(self, data: Dataset) -> list[int]:
        names = splits_of(data).names
        if self.target:
            if self.target not in names[1:]:
                told = f"no part of the data besides the training part is called {self.target!r}"
                raise DrossError(told, fix=nearest(self.target, names[1:]) if names[1:] else "name a column split=…")
            return [names.index(self.target)]
        return [i for i, name in enumerate(names) if i and name.strip().lower() in VALIDATION]

    def _check(self, data: Dataset) -> None:
        if self.score and self.score not in data.table.column_names:
            raise DrossError(f"no column {self.score!r}", fix=nearest(self.score, data.table.column_names))
        if len(self.passes) < 4 or min(self.passes) < 1 or list(self.passes) != sorted(set(self.passes)):
            raise DrossError(
                f"passes is {self.passes}", fix="give at least four numbers of passes, ascending from 1 on"
            )
        for name, bound in {"budget": 0, "pools": 2, "repeats": 1, "batch_size": 1}.items():
            if getattr(self, name) < bound:
                raise DrossError(f"{name} is {getattr(self, name)}", fix=f"give {bound} or more")
        if self.learning_rate <= 0:
            raise DrossError(f"learning_rate is {self.learning_rate}", fix="give a number above 0")
