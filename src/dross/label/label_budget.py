"""Label budget: many cheap noisy labels, few expensive right ones, or some of both, tried out on the user's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Codes, Dataset
from dross.core.errors import DrossError
from dross.core.method import Evaluator
from dross.core.paper import Paper
from dross.core.results import Estimate, Metrics, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.kernel_ridge import gaussian, whitening, width
from dross.models.votes import votes_of
from dross.signals.principal import Principal

Values = npt.NDArray[np.float64]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the budget spent on right labels."""
PENALTIES = tuple(float(p) for p in 10.0 ** np.arange(-2, 3.01, 0.5))
LANDMARKS = 200
TESTED = 1 / 3
"""The share of the rows with right labels that every trial is judged on."""
LEAST_ROWS, LEAST_VOTES = 60, 20
CURVE = (0.1, 0.15, 0.25, 0.4, 0.65, 1.0)
"""Sizes of a learning curve as shares of the largest."""
_EXPONENTS = np.arange(0.1, 2.01, 0.1)


# ---- the mathematics ---------------------------------------------------------------------------------------------


def ridge_towards(Z: Values, Y: Values, prior: Values) -> Values:
    """Ridge regression of Y (n, k) on Z (n, d), shrunk towards the weights ``prior``, (d, k).

    The penalty is the one of least leave-one-out error, in closed form; an infinite one (the prior itself) is among
    the choices. Fitting a second set of labels from the weights of a first is training on the two in sequence.

    >>> Z, Y = np.eye(3), np.eye(3)
    >>> bool(np.allclose(ridge_towards(Z, Y, Y), Y))
    True
    """
    residual = Y - Z @ prior
    best, weights = float(np.square(residual).mean()) if len(Y) else 0.0, prior
    if not len(Y):
        return prior
    squares, V = np.linalg.eigh(Z.T @ Z)
    image = Z @ V  # its columns are the left singular vectors times the singular values, some of which are 0
    turned, leverages = image.T @ residual, np.square(image)
    for penalty in PENALTIES:
        solved = turned / (np.maximum(squares, 0) + penalty)[:, None]
        left = residual - image @ solved
        left /= np.maximum(1 - leverages @ (1 / (np.maximum(squares, 0) + penalty)), 1e-6)[:, None]
        loss = float(np.square(left).mean())
        if loss < best:
            best, weights = loss, prior + V @ solved
    return weights


def train(Z: Values, weak: Codes, right: Codes, shape: tuple[int, int], flipped: float) -> Values:
    """Weights (d, k) learnt from noisy labels, then from right ones; both (n,) class codes or -1 where none was bought.

    Noise that flips a share of the labels to any other class shrinks what is learnt by a known factor, which is undone
    before the right labels correct it.
    """
    k = shape[1]
    weights = np.zeros(shape)
    for codes, noisy in ((weak, True), (right, False)):
        rows = np.flatnonzero(codes >= 0)
        weights = ridge_towards(Z[rows], np.eye(k)[codes[rows]] - 1 / k, weights)
        if noisy:
            weights = weights / max(1 - flipped * k / (k - 1), 0.05)
    return weights


def corrupt(codes: Codes, confusion: Values, rng: np.random.Generator) -> Codes:
    """Labels a source with this confusion matrix (true class by given class, rows adding up to 1) would give, (n,).

    >>> corrupt(np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.random.default_rng(0)).tolist()
    [1, 0]
    """
    edges = confusion.cumsum(axis=1)[codes]
    drawn = (rng.random(len(codes))[:, None] > edges).sum(axis=1)
    return np.asarray(np.minimum(drawn, confusion.shape[1] - 1), np.int32)


def trial(
    Z: Values, codes: Codes, confusion: Values, plan: list[tuple[int, int]], rng: np.random.Generator
) -> list[float]:
    """The accuracy that each purchase of (noisy, right) labels reaches, all on the same held-out rows.

    Purchases share one random order of the rows: noisy labels are bought from its start, right ones from its end, so
    the two meet only where there are not rows enough for both.
    """
    order = rng.permutation(len(codes))
    held = order[: max(1, round(TESTED * len(codes)))]
    bought = order[len(held) :]
    noisy = corrupt(codes, confusion, rng)
    flipped = 1 - float(np.diag(confusion)[codes].mean())
    reached = []
    for weak_count, right_count in plan:
        weak, right = np.full(len(codes), -1, np.int32), np.full(len(codes), -1, np.int32)
        some = bought[:weak_count]
        weak[some] = noisy[some]
        some = bought[len(bought) - right_count :]
        right[some] = codes[some]
        weights = train(Z, weak, right, (Z.shape[1], len(confusion)), flipped)
        reached.append(float((Z[held] @ weights).argmax(axis=1).__eq__(codes[held]).mean()))
    return reached


def extrapolate(sizes: Values, errors: Values, size: float) -> float:
    """The error at a size, by the best-fitting curve ``a + b * size ** -c`` with a and b of at least 0.

    >>> sizes = np.array([10.0, 20.0, 40.0, 80.0]); round(extrapolate(sizes, 0.1 + sizes**-0.5, 160), 3)
    0.179
    """
    from scipy.optimize import nnls

    fits = []
    for c in _EXPONENTS:
        A = np.stack([np.ones_like(sizes), (sizes / sizes[0]) ** -c], axis=1)
        (a, b), left = nnls(A, errors)
        fits.append((left, c, float(a + b * (size / sizes[0]) ** -c)))
    return float(np.clip(min(fits)[2], 0.0, 1.0))


def resampled_interval(values: Values, tested: float = TESTED) -> Estimate:
    """Mean and 95 % interval over random splits of the same rows, widened for their overlap (Nadeau, Bengio, 2003).

    >>> [round(v, 3) for v in resampled_interval(np.array([0.5, 0.6, 0.7]))]
    [0.6, 0.207, 0.993]
    """
    from scipy.stats import t

    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    spread = np.sqrt((1 / len(values) + tested / (1 - tested)) * values.var(ddof=1))
    half = float(t.ppf(0.975, len(values) - 1) * spread)
    return mean, mean - half, mean + half


# ---- the method --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelBudget(Evaluator):
    """How to spend a labelling budget: on many noisy labels, on few right ones, or first on the one, then the other.

    Mallen, Belrose, "Balancing Label Quantity and Quality for Scalable Elicitation", 2024: there are three regimes
    (quantity, quality, mixed), and which one holds depends on the noise, the two prices and the budget. This plays the
    purchases through on the rows that have right labels: noisy labels are simulated at the noise that the weak source
    (columns of votes) shows on those rows, or at the noise given; a classifier (ridge regression on kernel features) is
    trained on the noisy labels and then, starting from there, on the right ones, and judged on held-out right labels.

    Where the budget buys more labels than there are rows to try it on, the two pure purchases are extrapolated along
    their learning curves (``extrapolated`` in the summary), and mixing is judged at the largest budget that could be
    tried. The paper finetunes language models; with those the borders between regimes lie elsewhere.

    Attributes
    ----------
    budget
        In prices of one noisy label; 0 for what labels all rows of a trial noisily.
    cost_ratio
        What a right label costs, in noisy ones.
    noise
        The share of noisy labels that are wrong, in (0, 1); 0 to measure it from the votes.
    repeats
        Random trials.
    seed
        Of the random numbers.
    """

    paper: ClassVar = Paper("Balancing Label Quantity and Quality for Scalable Elicitation", 2024, "2410.13215")
    alias: ClassVar = "label-quantity-quality"
    needs: ClassVar = (Role.LABEL, Principal)

    budget: float = 0.0
    cost_ratio: float = 10.0
    noise: float = 0.0
    repeats: int = 12
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Metrics | NotApplicable:
        """The accuracy each way of spending reaches, with intervals; the summary names the regime and the purchase."""
        if not (self.cost_ratio >= 1 and self.budget >= 0 and 0 <= self.noise < 1 and self.repeats >= 4):
            raise DrossError("cost_ratio must be at least 1, budget at least 0, noise in [0, 1), repeats at least 4")
        rows, k = np.flatnonzero(data.codes >= 0), len(data.classes)
        if k < 2 or len(rows) < LEAST_ROWS:
            return NotApplicable(f"{len(rows)} rows of {k} classes have labels; a trial needs {LEAST_ROWS} of two")
        confusion = self._confusion(data, rows)
        if isinstance(confusion, NotApplicable):
            return confusion
        codes = data.codes[rows]
        Z = kernel_features(np.asarray(signals[Principal()][rows], np.float32))
        room = len(rows) - max(1, round(TESTED * len(rows)))
        wanted = self.budget or float(room)
        tried = min(wanted, float(room))
        plan = [purchase(tried, self.cost_ratio, share) for share in SHARES]
        if plan[-1][1] < 2:
            return NotApplicable(
                f"the budget of {wanted:g} buys fewer than two right labels at {self.cost_ratio:g} each"
            )
        rng = np.random.default_rng(self.seed)
        runs = np.array([trial(Z, codes, confusion, plan, rng) for _ in range(self.repeats)])
        far = self._far(Z, codes, confusion, wanted, room) if wanted > tried else None
        return self._report(runs, plan, confusion, wanted, tried, far)

    def _confusion(self, data: Dataset, rows: npt.NDArray[np.int64]) -> Values | NotApplicable:
        k = len(data.classes)
        if self.noise:
            confusion = np.full((k, k), self.noise / (k - 1))
            np.fill_diagonal(confusion, 1 - self.noise)
            return confusion
        role = next((role for role in (Role.VOTES, Role.ANNOTATIONS) if data.has(role)), None)
        if role is None:
            return NotApplicable("needs a noise rate, or columns of votes to measure it from")
        votes = votes_of(data, role)
        position = {str(value): i for i, value in enumerate(data.classes)}
        given = np.array([position.get(str(value), -1) for value in votes.classes])[votes.labels]
        true = data.codes[votes.rows]
        both = (given >= 0) & (true >= 0)
        if both.sum() < LEAST_VOTES:
            return NotApplicable(f"{int(both.sum())} votes on rows with a label are too few to measure the noise")
        counts = np.zeros((k, k))
        np.add.at(counts, (true[both], given[both]), 1)
        counts += np.eye(k) * counts.trace() / counts.sum() + 1e-3  # one vote's worth of the average for rare classes
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))

    def _far(self, Z: Values, codes: Codes, confusion: Values, wanted: float, room: int) -> tuple[float, float]:
        """The accuracies of the two pure purchases at a budget beyond what can be tried."""
        sizes = np.unique([max(4, round(c * room)) for c in CURVE]).astype(np.int64)
        plan = [(int(size), 0) for size in sizes] + [(0, int(size)) for size in sizes]
        rng = np.random.default_rng(self.seed + 1)
        error = 1 - np.mean([trial(Z, codes, confusion, plan, rng) for _ in range(self.repeats)], axis=0)
        asked = (wanted, wanted / self.cost_ratio)
        halves = error[: len(sizes)], error[len(sizes) :]
        quantity, quality = (
            1 - extrapolate(sizes.astype(np.float64), half, size) for half, size in zip(halves, asked, strict=True)
        )
        return quantity, quality

    def _report(
        self,
        runs: Values,
        plan: list[tuple[int, int]],
        confusion: Values,
        wanted: float,
        tried: float,
        far: tuple[float, float] | None,
    ) -> Metrics:
        names = [f"accuracy, {share:.0%} on right labels" for share in SHARES]
        values = {name: resampled_interval(column) for name, column in zip(names, runs.T, strict=True)}
        values["quantity over quality"] = lead = resampled_interval(runs[:, 0] - runs[:, -1])
        values["mixing over the better of the two"] = mixing = mixing_gain(runs)
        best = 1 + int(runs[:, 1:-1].mean(axis=0).argmax())
        alone = "quantity" if (lead[0] >= 0 if far is None else far[0] >= far[1]) else "quality"
        regime = "mixed" if mixing[1] > 0 else alone
        share = {"mixed": SHARES[best], "quantity": 0.0, "quality": 1.0}[regime]
        weak, right = purchase(wanted, self.cost_ratio, share)
        summary: dict[str, Any] = {
            "regime": regime,
            "better_alone": alone,
            "clear": bool(lead[1] > 0 or lead[2] < 0),
            "mixing_helps": bool(mixing[1] > 0),
            "noisy_labels": weak,
            "right_labels": right,
            "budget": wanted,
            "budget_tried": tried,
            "cost_ratio": self.cost_ratio,
            "noise": round(1 - float(np.diag(confusion).mean()), 4),
            "tried": [{"noisy_labels": w, "right_labels": r} for w, r in plan],
        }
        if far is not None:
            summary["extrapolated"] = {"quantity": round(far[0], 4), "quality": round(far[1], 4)}
        return Metrics(values, summary)


def purchase(budget: float, cost_ratio: float, share: float) -> tuple[int, int]:
    """How many noisy and right labels the budget buys when a share of it goes to right ones.

    >>> purchase(100, 10, 0.5)
    (50, 5)
    """
    return int((1 - share) * budget + 1e-9), int(share * budget / cost_ratio + 1e-9)


def mixing_gain(runs: Values) -> Estimate:
    """By how much the best mix beats the better pure purchase; each is picked on one half of the trials and judged on
    the other, so that having had three mixes to pick from is no advantage.
    """
    gains = np.empty(len(runs))
    for judged in (slice(0, None, 2), slice(1, None, 2)):
        chosen = np.delete(runs, np.arange(len(runs))[judged], axis=0).mean(axis=0)
        mix = 1 + int(chosen[1:-1].argmax())
        pure = 0 if chosen[0] >= chosen[-1] else len(chosen) - 1
        gains[judged] = runs[judged, mix] - runs[judged, pure]
    return resampled_interval(gains)


def kernel_features(X: npt.NDArray[np.float32]) -> Values:
    """Nyström features of a Gaussian kernel and a constant, shape (n, at most 201); evenly spaced landmarks."""
    marks = X[np.unique(np.linspace(0, len(X) - 1, min(LANDMARKS, len(X))).round().astype(np.int64))]
    scale = width(marks)
    Z = gaussian(X, marks, scale) @ whitening(gaussian(marks, marks, scale))
    return np.concatenate([Z, np.ones((len(Z), 1))], axis=1).astype(np.float64)
