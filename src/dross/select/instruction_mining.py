"""Instruction mining: a linear rule from what can be told of instruction data to what fine-tuning on it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.language_rows import Written, written

if TYPE_CHECKING:
    from dross.models.language_model import LanguageModel

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
FEWEST = 10
"""Fine-tunings that a rule is fitted to, at least."""
_CLIP = 3.0
_SAME = 1e-9


# ---- the mathematics ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """A least-squares fit: coefficients and their two-sided p-values, shape (d + 1,), the intercept first; and R²."""

    coefficients: Values
    p_values: Values
    r_squared: float


def least_squares(x: Values, y: Values) -> Fit:
    """Fit ``y``, shape (m,), by the columns of ``x``, shape (m, d), and an intercept; Student's t tells how surely.

    Columns that others give add nothing: their p-value is 1. O(m d²).

    >>> fit = least_squares(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([1.0, 3.1, 4.9, 7.0]))
    >>> fit.coefficients.round(2).tolist(), round(fit.r_squared, 3), bool(fit.p_values[1] < 0.01)
    ([1.03, 1.98], 0.999, True)
    """
    from scipy import stats

    full = np.column_stack([np.ones(len(y)), x])
    inverse = np.linalg.pinv(full.T @ full, hermitian=True)
    coefficients = inverse @ full.T @ y
    left = y - full @ coefficients
    free = max(1, len(y) - np.linalg.matrix_rank(full))
    errors = np.sqrt(np.maximum(np.diag(inverse), 0) * (left @ left) / free)
    t = np.divide(coefficients, errors, out=np.zeros_like(errors), where=errors > 1e-12 * np.abs(coefficients))
    spread = float(((y - y.mean()) ** 2).sum())
    p_values = np.asarray(2 * stats.t.sf(np.abs(t), free), np.float64)
    return Fit(coefficients, p_values, 1 - float(left @ left) / spread if spread > 0 else 0.0)


def significant(x: Values, y: Values, level: float) -> Rows:
    """Which columns of ``x``, shape (m, d), a linear rule for ``y`` keeps, ascending; one at least.

    First each column that varies is tried by itself, and as many of the surest are taken as half the observations
    allow; then the least sure is left out again and again, until the p-values of all left are at most ``level``.

    >>> x = np.random.default_rng(0).normal(size=(40, 4))
    >>> significant(x[:, :3], 2 * x[:, 1] + x[:, 3], 0.01).tolist()
    [1]
    """
    varies = np.flatnonzero(x.std(axis=0) > _SAME)
    if not len(varies):
        return np.zeros(1, np.int64)
    alone = np.array([least_squares(x[:, [j]], y).p_values[1] for j in varies])
    kept = np.sort(varies[np.argsort(alone, kind="stable")[: max(1, (len(y) - 2) // 2)]])
    while len(kept) > 1:
        p_values = least_squares(x[:, kept], y).p_values[1:]
        if p_values.max() <= level:
            break
        kept = np.delete(kept, int(p_values.argmax()))
    return kept


def tilted(z: Values, count: int, strength: float, rng: np.random.Generator) -> Rows:
    """So many rows drawn without replacement, likelier the farther they lie in a random direction of ``z``, (n, d).

    The log-odds of a row are ``strength`` times its coordinate on a random unit vector (drawn by Gumbel's trick).

    >>> rows = tilted(np.arange(100.0)[:, None], 10, 1.0, np.random.default_rng(1))
    >>> len(np.unique(rows)), bool((rows > 80).all() or (rows < 20).all())
    (10, True)
    """
    direction = rng.normal(size=z.shape[1])
    direction /= max(float(np.linalg.norm(direction)), 1e-12)
    keys = strength * (z @ direction) + rng.gumbel(size=len(z))
    return np.sort(np.argsort(-keys, kind="stable")[:count])


@dataclass(frozen=True)
class Rule:
    """What log loss fine-tuning on a row is expected to lead to.

    Attributes
    ----------
    names
        The indicators it was fitted with, d of them.
    centre, scale
        Mean and standard deviation of each over the rows it was fitted on, shape (d,); infinite where all are alike.
    coefficients
        Of the standardised indicators, the intercept first, shape (d + 1,); 0 for those that it does not use.
    r_squared, p_values
        How well it fits the fine-tunings, and how sure each coefficient is; 1 for those that it does not use.
    """

    names: tuple[str, ...]
    centre: Values
    scale: Values
    coefficients: Values
    p_values: Values
    r_squared: float

    def standardised(self, indicators: Values) -> Values:
        """Indicators, shape (n, d), in standard deviations from the mean, clipped at three."""
        return np.clip((indicators - self.centre) / self.scale, -_CLIP, _CLIP)

    def expected(self, indicators: Values) -> Values:
        """The expected log loss, shape (n,); lower is better."""
        return np.asarray(self.coefficients[0] + self.standardised(indicators) @ self.coefficients[1:])

    def told(self) -> dict[str, Any]:
        """Its coefficients and p-values as plain values."""
        used = np.flatnonzero(self.coefficients[1:])
        coefficients = {self.names[j]: round(float(self.coefficients[1 + j]), 5) for j in used}
        p_values = {self.names[j]: round(float(self.p_values[1 + j]), 5) for j in used}
        return {"rule": coefficients, "p_values": p_values, "r_squared": round(self.r_squared, 4)}


def rule_for(names: tuple[str, ...], centre: Values, scale: Values, x: Values, losses: Values, level: float) -> Rule:
    """The rule from the mean standardised indicators of fine-tunings, shape (m, d), to their losses, shape (m,)."""
    y = np.log(losses)
    kept = significant(x, y, level)
    fit = least_squares(x[:, kept], y)
    coefficients, p_values = np.zeros(len(names) + 1), np.ones(len(names) + 1)
    coefficients[[0, *(kept + 1)]], p_values[[0, *(kept + 1)]] = fit.coefficients, fit.p_values
    return Rule(names, centre, scale, coefficients, p_values, fit.r_squared)


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InstructionMining(Selector):
    """The prompts and responses that fine-tuning is expected to gain most from, the best first.

    Cao, Kang, Wang, Sun, "Instruction Mining: High-Quality Instruction Data Selection for Large Language Models", 2023.
    A small language model is fine-tuned many times, each time on another sample of the rows, and judged by its loss on
    trusted rows: those of a part of the data (role split) called target or validation. A linear rule is fitted from
    the samples' mean indicators (lengths, lexical diversity, likelihoods, distance to the neighbours, and a reward
    model's scores where there are any) to the log of that loss; the indicators that do not count are left out. The
    rule then scores every row, also those that it was not fitted on. Samples are drawn with random leanings, so that
    they differ in every indicator.

    Attributes
    ----------
    share
        Of the rows, how many to keep, above 0 and at most 1.
    target
        The name of the part to be good at; empty takes the one called target, else the validation part.
    reward
        A column with the scores of a reward model, as one more indicator; empty where there is none.
    runs, run_rows, run_steps
        Fine-tunings, at least 10; rows in each; and its updates.
    leaning
        How far the samples lean, in log-odds for each standard deviation.
    level
        The p-value above which an indicator is left out of the rule.
    fit_rows
        Rows that the small model is first trained on and that samples are drawn from; all are scored.
    passes
        How often the small model reads those rows before it is fine-tuned.
    width, layers, context, vocabulary, batch_size, learning_rate, device
        Of the small model; see :class:`~dross.models.llama.Size`. Fine-tuning takes a third of the learning rate.
    seed
        Of everything that is random.
    """

    paper: ClassVar = Paper(
        "Instruction Mining: High-Quality Instruction Data Selection for Large Language Models", 2023, "2307.06290"
    )
    alias: ClassVar[str | None] = "instructmining"
    needs: ClassVar = (Role.PROMPT, Role.RESPONSE)
    extra: ClassVar[str | None] = "torch"

    share: float = 0.3
    target: str = ""
    reward: str = ""
    runs: int = 24
    run_rows: int = 128
    run_steps: int = 40
    leaning: float = 2.0
    level: float = 0.1
    fit_rows: int = 4096
    passes: int = 8
    width: int = 32
    layers: int = 1
    context: int = 64
    vocabulary: int = 512
    batch_size: int = 16
    learning_rate: float = 1e-2
    device: str = "auto"
    seed: int = 0

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Fine-tune on samples, fit the rule, score all rows, keep the best."""
        self._check(data)
        missing = self.applies(data)
        if missing is not None:
            return missing
        rows = written(data, self.target, self.seed)
        if not len(rows.target):
            return NotApplicable("no rows say what is good: needs a part called target or validation (role split)")
        if len(rows.pool) < 2 * FEWEST:
            return NotApplicable(f"fewer than {2 * FEWEST} rows hold a response to choose among")
        rule, indicators, summary = self.mined(data, rows, signals)
        expected = rule.expected(indicators)
        kept = max(1, int(self.share * len(expected) + 1e-9))
        best = np.argsort(expected, kind="stable")[:kept]
        facts = {"rows": len(expected), "kept": kept, **rule.told(), **summary}
        return Selection(rows.pool[best], None, facts)

    def mined(self, data: Dataset, rows: Written, signals: Signals) -> tuple[Rule, Values, dict[str, Any]]:
        """The rule, the indicators of all rows of the pool, shape (n, d), and facts about the fine-tunings."""
        import pyarrow as pa

        from dross.models.instruction_indicators import INDICATORS, indicators_of
        from dross.signals.word_places import folded_words

        model = self.base(rows)
        spoken = [rows.responses[i] for i in rows.target.tolist()]
        trusted = np.unique(folded_words(pa.array(spoken, pa.large_string())).hashes)
        indicators = indicators_of(model, rows, rows.pool, trusted, signals, self.seed)
        names: tuple[str, ...] = INDICATORS
        if self.reward:
            rewards = data.numbers(self.reward)[rows.pool]
            known = np.isfinite(rewards)
            rewards = np.where(known, rewards, rewards[known].mean() if known.any() else 0.0)
            indicators, names = np.column_stack([indicators, rewards]), (*names, "reward")
        first = indicators[: self.fit_rows]
        centre, scale = first.mean(axis=0), first.std(axis=0)
        scale = np.where(scale > _SAME * (1 + np.abs(centre)), scale, np.inf)  # what is alike everywhere says nothing
        z = np.clip((first - centre) / scale, -_CLIP, _CLIP)
        x, losses = self._fine_tunings(model, rows, z, signals)
        rule = rule_for(names, centre, scale, x, losses, self.level)
        summary = {
            "fitted_on": len(first),
            "trusted": len(rows.target),
            "fine_tunings": len(losses),
            "loss_of_the_best": round(float(losses.min()), 4),
            "loss_of_the_worst": round(float(losses.max()), 4),
        }
        return rule, indicators, summary

    def base(self, rows: Written) -> LanguageModel:
        """The small model before it is fine-tuned: it has read the rows that the rule is fitted on."""
        from dross.models.devices import import_torch
        from dross.models.language_model import encoded, packed, passes, tokenizer_of, train_language_model

        import_torch()
        from dross.models.llama import Size

        texts = rows.texts(rows.pool[: self.fit_rows])
        tokenizer = tokenizer_of(texts, self.vocabulary)
        windows = packed(encoded(tokenizer, texts), self.context)[0]
        steps = max(1, self.passes * len(windows) // self.batch_size)
        size = Size(self.width, self.layers, max(1, self.width // 16), self.context)
        return train_language_model(
            windows, tokenizer, plan=passes(len(windows), steps, self.batch_size, self.seed), size=size,
            learning_rate=self.learning_rate, seed=self.seed, device=self.device,
        )  # fmt: skip

    def tuned(self, model: LanguageModel, rows: Written, which: Rows, steps: int, seed: int) -> LanguageModel:
        """The model fine-tuned on the responses of some rows."""
        from dross.models.language_model import passes, train_language_model

        windows = rows.windows(model.tokenizer, which, self.context)
        return train_language_model(
            windows, model.tokenizer, plan=passes(len(windows), steps, self.batch_size, seed), start=model,
            learning_rate=self.learning_rate / 3, seed=seed, device=self.device,
        )  # fmt: skip

    def _fine_tunings(self, model: LanguageModel, rows: Written, z: Values, signals: Signals) -> tuple[Values, Values]:
        """The mean standardised indicators of each sample, shape (m, d), and the loss it led to, shape (m,)."""
        judged = rows.windows(model.tokenizer, rows.target, self.context)
        x, losses = np.empty((self.runs, z.shape[1])), np.empty(self.runs)
        for run in range(self.runs):
            signals.progress("fine-tunings", run, self.runs)
            rng = np.random.default_rng((self.seed, 31, run))
            drawn = tilted(z, min(self.run_rows, len(z) // 2), self.leaning, rng)
            nats, counts = self.tuned(model, rows, rows.pool[drawn], self.run_steps, self.seed).losses(judged)
            x[run], losses[run] = z[drawn].mean(axis=0), nats.sum() / counts.sum()
        signals.progress("fine-tunings", self.runs, self.runs)
        return x, losses

    def _check(self, data: Dataset) -> None:
        if not 0 < self.share <= 1:
            raise DrossError(f"share is {self.share}", fix="give a share above 0, at most 1")
        if self.runs < FEWEST:
            raise DrossError(f"runs is {self.runs}", fix=f"a rule needs at least {FEWEST} fine-tunings")
        for name in ("run_rows", "run_steps", "fit_rows", "passes", "batch_size", "context", "layers"):
            if getattr(self, name) < 1:
                raise DrossError(f"{name} is {getattr(self, name)}", fix="give at least 1")
        if self.learning_rate <= 0 or not 0 < self.level <= 1:
            told = f"learning_rate is {self.learning_rate}, level {self.level}"
            raise DrossError(told, fix="give a rate above 0 and a level above 0, at most 1")
        if self.width < 16 or self.width % 16:
            raise DrossError(f"width is {self.width}", fix="give a multiple of 16")
        if self.reward and self.reward not in data.table.column_names:
            raise DrossError(f"no column {self.reward!r}", fix=nearest(self.reward, data.table.column_names))
