"""Robust active distillation: which rows to ask a fallible teacher about, when its mistakes may fall anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Rows, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.probabilities import Probabilities

Values = npt.NDArray[np.float64]

LEAST_GAIN = 1e-6


# ---- the mathematics ---------------------------------------------------------------------------------------------


def gains(probs: npt.NDArray[Any]) -> Values:
    """What a right label would teach the student: 1 minus the margin between its two likeliest classes, shape (n,).

    >>> gains(np.array([[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]])).tolist()
    [1.0, 0.5]
    """
    if probs.shape[1] < 2:
        return np.zeros(len(probs))
    top = np.partition(np.asarray(probs, np.float64), -2, axis=1)[:, -2:]
    return np.asarray(1 - (top[:, 1] - top[:, 0]))


def equilibrium(gain: Values, mistakes: float, least: int = 1) -> tuple[Values, float, int]:
    """The best distribution to draw a row from when an opponent spoils the labels of ``mistakes`` rows.

    The one who draws wants the largest expected gain; the opponent, who sees the distribution, picks the rows whose
    loss hurts most. At the optimum all rows drawn at all contribute alike: the k of largest gain are drawn with
    probability proportional to 1 / gain, and k maximises the value of the game, (k - mistakes) / sum of 1 / gain. With
    no mistakes that is the single row of largest gain (pure active learning); with many it is nearly uniform. At
    ``least`` so many rows are drawn from, for those who draw several and no row twice.

    Returns the probabilities, shape (n,), the value of the game, and k. O(n log n).

    >>> q, value, k = equilibrium(np.array([1.0, 0.5, 0.25]), 0); q.tolist(), value, k
    ([1.0, 0.0, 0.0], 1.0, 1)
    >>> q, value, k = equilibrium(np.array([1.0, 0.5, 0.25]), 1); q.round(3).tolist(), round(value, 3), k
    ([0.333, 0.667, 0.0], 0.333, 2)
    """
    n = len(gain)
    order = np.argsort(-gain, kind="stable")
    inverse = 1 / np.maximum(gain[order], LEAST_GAIN)
    total = np.cumsum(inverse)
    value = (np.arange(1, n + 1) - mistakes) / total
    least = min(least, n)
    k = least + int(value[least - 1 :].argmax()) if value.max() > 0 else n
    drawn = np.zeros(n)
    drawn[order[:k]] = inverse[:k] / total[k - 1]
    return drawn, float(max(value[k - 1], 0.0)), k


def draw(probs: Values, count: int, rng: np.random.Generator) -> Rows:
    """Different positions drawn one after the other with the given probabilities, shape (at most count,).

    By the largest of log-probability plus Gumbel noise, which is sampling without replacement in one pass.

    >>> draw(np.array([0.0, 1.0, 0.0]), 2, np.random.default_rng(0)).tolist()
    [1]
    """
    possible = np.flatnonzero(probs > 0)
    keys = np.log(probs[possible]) + rng.gumbel(size=len(possible))
    return possible[np.argsort(-keys, kind="stable")[:count]]


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RobustActiveDistillation(Selector):
    """Rows to have labelled by a fallible teacher (a large model, a cheap annotator): informative and likely right.

    Baykal, Trinh, Iliopoulos, Menghani, Vee, "Robust Active Distillation", 2022. A teacher errs most where the student
    is unsure too, so that asking about the smallest margins collects wrong labels. The choice is made a game against
    the worst placing of the teacher's mistakes; its solution in closed form leans to the easier of the informative
    rows. Train on the teacher's probabilities (soft labels), not its choices.

    The student is whatever made ``probs``, or else the model of the rows labelled so far; rows without a label are
    candidates. As in other forms of sampling, the answer is random but for the seed. The guarantee is about expected
    gain with mistakes placed anywhere; nothing is known of where this teacher's are.

    Attributes
    ----------
    count
        How many rows to choose.
    teacher_accuracy
        The share of rows that the teacher labels right, in (0, 1]; 0 where it is unknown: then no better than what the
        student expects of itself.
    seed
        Of the drawing.
    """

    paper: ClassVar = Paper("Robust Active Distillation", 2022, "2210.01213")
    alias: ClassVar = "rad"
    needs: ClassVar = (Probabilities,)

    count: int = 100
    teacher_accuracy: float = 0.0
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Draw rows among those without a label, the first to ask about first."""
        if not 0 <= self.teacher_accuracy <= 1 or self.count < 1:
            raise DrossError("teacher_accuracy must lie in [0, 1] and count be at least 1")
        if not data.has(Role.PROBS) and not (data.has(Role.LABEL) and len(data.classes) > 1):
            return NotApplicable("needs a student: class probabilities (probs), or rows of two classes with labels")
        free = np.flatnonzero(data.codes < 0) if data.has(Role.LABEL) else np.arange(len(data))
        if not len(free):
            return NotApplicable("every row has a label already")
        probs = np.asarray(signals[Probabilities()][free], np.float64)
        if not np.isfinite(probs).all():
            raise DrossError("some class probabilities are not numbers", where="the student's probabilities")
        error = 1 - (self.teacher_accuracy or float(probs.max(axis=1).mean()))
        gain = gains(probs)
        mistakes = error * len(free)
        chances, value, k = equilibrium(gain, mistakes, self.count)
        chosen = draw(chances, self.count, np.random.default_rng(self.seed))
        summary = {
            "candidates": len(free),
            "drawn_from": k,
            "mistakes_expected": round(mistakes, 2),
            "value_of_the_game": round(value, 6),
            "mean_gain_chosen": round(float(gain[chosen].mean()), 6),
            "mean_gain": round(float(gain.mean()), 6),
        }
        return Selection(free[chosen], summary=summary)
