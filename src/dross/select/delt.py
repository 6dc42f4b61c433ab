"""DELT: rows scored by how learnable and how useful they are, then put in folds that each go from low to high."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.signal import Signals
from dross.models.language_rows import Written, wordless, written
from dross.models.loop import Objective, Run, Settings, fit
from dross.models.row_gradients import (
    Weights,
    curvature_along,
    gradients_along,
    mean_gradient,
    row_losses,
    weights_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.examples import Batch
    from dross.models.language_model import LanguageModel, Plan, Windows
    from dross.models.llama import Size

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
_AIMS = 512
"""Rows of the target that its gradient is taken over, at most."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def learnability_quality(along: Values, lengths: Values) -> Values:
    """The score of each row from its gradients on the way of a training, shape (n,) (equation 9 of the paper).

    Row k of ``along``, shape (K, n), is the scalar product of the target vector and each row's gradient at the k-th
    point looked at; row k of ``lengths``, shape (K + 1, n), the length of the gradient there. A row scores high when
    its gradient points to the target (quality) and gets shorter from point to point (learnability).

    >>> learnability_quality(np.array([[2.0, 2.0]]), np.array([[4.0, 4.0], [1.0, 4.0]])).tolist()
    [2.0, 0.5]
    """
    later = lengths[1:]
    return np.asarray(np.divide(along, later, out=np.zeros_like(along), where=later > 0).sum(axis=0))


def folded(scores: npt.ArrayLike, folds: int) -> Rows:
    """Positions sorted by score, low to high, and dealt to ``folds`` runs that follow one another (equation 10).

    Every ``folds``-th row of the sorted ones goes into the same run, so that each run goes from low to high. One fold
    is plain sorting. O(n log n).

    >>> folded([0.3, 0.1, 0.5, 0.2, 0.4], 2).tolist()
    [1, 0, 2, 3, 4]
    """
    order = np.argsort(np.asarray(scores), kind="stable")
    return np.concatenate([order[fold::folds] for fold in range(folds)])


@dataclass(frozen=True)
class Descent(Objective):
    """Plain gradient descent along a plan, at a constant rate, that keeps the weights after each step in ``path``."""

    plan: Plan
    rate: float
    path: list[Weights] = field(default_factory=list)

    def begin(self, run: Run) -> None:
        """Keep where it starts."""
        self.path.append(weights_of(run.net))

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """The windows of each step."""
        import torch

        for rows in self.plan:
            yield (torch.from_numpy(rows),)

    def step(self, run: Run, *batches: Batch) -> Tensor:
        """Go down the mean of the rows' losses."""
        import torch

        loss = row_losses(run.net, dict(run.net.named_parameters()), batches[0].x).mean()
        slopes = torch.autograd.grad(loss, list(run.net.parameters()))
        with torch.no_grad():
            for value, slope in zip(run.net.parameters(), slopes, strict=True):
                value.sub_(self.rate * slope)
        self.path.append(weights_of(run.net))
        return loss


def scores_on_the_way(
    net: Any, path: list[Weights], plan: Plan, windows: Tensor, target: Tensor, rate: float, every: int
) -> Values:
    """The scores of windows from a descent, by going back along it (algorithm 1), shape (n,).

    Parameters
    ----------
    net
        The network; its own weights are not read.
    path, plan, rate
        The weights before and after each of the T steps, what each step read, and its rate.
    windows, target
        Rows to score, shape (n, 2, context), and rows whose loss is to fall.
    every
        Steps between two points that are looked at.

    The target vector starts as the gradient of the target's loss at the end, and takes up at each step back the
    gradient there, less what the step itself would have undone: the rate times the Hessian of the batch (equation 8).
    """
    import torch

    vector = mean_gradient(net, path[-1], target)
    _, ends = gradients_along(net, path[-1], windows, vector)
    along, lengths = [], [ends]
    for step in range(len(plan) - 1, -1, -1):
        at = path[step]
        if step % every == 0:
            found, length = gradients_along(net, at, windows, vector)
            along.append(found)
            lengths.append(length)
        batch = windows[torch.from_numpy(plan[step]).to(windows.device)]
        bent, slope = curvature_along(net, at, batch, vector), mean_gradient(net, at, target)
        vector = {name: value + slope[name] - rate * bent[name] for name, value in vector.items()}
    stacked = [torch.stack(part[::-1]).double().cpu().numpy() for part in (along, lengths)]
    return learnability_quality(stacked[0], stacked[1])


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delt(Selector):
    """The rows that teach a language model what it is to be good at, in the order to train on them.

    Dai, Huang, Zhang, Wu, Li, Lu, Cao, Dong, Li, "Data Efficacy for Language Model Training", 2025. A small model reads
    the rows once; then a short gradient descent is followed back, and each row is scored by how well its gradient
    points to the target and how much it shortens: learnability-quality scoring. The best are kept, and ordered so that
    a training that reads them once, in that order, goes from low to high scores several times: folding. Train on them
    without shuffling. Noisy rows score low. A row is judged by its first ``context`` tokens.

    Rows are texts, or prompts with responses. What the model is to be good at is a part of the data (role split) of
    trusted rows, by default the validation part; where there is none, the pool stands for itself, which only works
    where most of it is good.

    Attributes
    ----------
    share
        Of the rows, how many to keep, above 0 and at most 1; the paper keeps all, or nine tenths.
    folds
        Runs from low to high; the paper takes 3, and 1 is plain sorting.
    target
        The name of the part to be good at; empty takes the validation part.
    steps, step_size, every
        Of the descent that is followed back: how many, how large (the target's loss must fall along it), and how many
        lie between two that rows are scored at. Memory holds the model ``steps`` times.
    passes
        How often the small model reads the rows before.
    proxy_rows, scorer_epochs
        Rows that are scored by gradients; where there are more, a copy of the small model learns the scores from them
        for so many epochs and gives the others theirs.
    width, layers, context, vocabulary, batch_size, learning_rate, device
        Of the small model; see :class:`~dross.models.llama.Size`.
    seed
        Of everything that is random.
    """

    paper: ClassVar = Paper("Data Efficacy for Language Model Training", 2025, "2506.21545")
    extra: ClassVar[str | None] = "torch"

    share: float = 1.0
    folds: int = 3
    target: str = ""
    steps: int = 10
    step_size: float = 0.2
    every: int = 5
    passes: int = 1
    proxy_rows: int = 4096
    scorer_epochs: int = 5
    width: int = 32
    layers: int = 2
    context: int = 64
    vocabulary: int = 512
    batch_size: int = 16
    learning_rate: float = 1e-2
    device: str = "auto"
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where a language model has something to read."""
        return super().applies(data) or wordless(data)

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Score, keep the best, fold."""
        self._check()
        missing = self.applies(data)
        if missing is not None:
            return missing
        rows = written(data, self.target, self.seed)
        if len(rows.pool) < 2:
            return NotApplicable("fewer than two rows hold text to choose among")
        scores, summary = self.scored(rows, signals)
        kept = math.floor(self.share * len(scores) + 1e-9)
        best = np.sort(np.argsort(scores, kind="stable")[len(scores) - kept :])
        order = best[folded(scores[best], self.folds)]
        return Selection(rows.pool[order], None, {"rows": len(scores), "kept": kept, **summary})

    def scored(self, rows: Written, signals: Signals) -> tuple[Values, dict[str, Any]]:
        """The score of each row of the pool, higher is better, shape (n,), and facts about the scoring."""
        from dross.models.devices import import_torch
        from dross.models.language_model import passes, train_language_model

        import_torch()
        tokenizer, size, texts = self._tokens(rows)
        read, plan = texts, passes(len(texts), max(1, self.passes * len(texts) // self.batch_size), self.batch_size, 0)
        signals.progress("a small language model", 0, 1)
        model = train_language_model(
            read, tokenizer, plan=plan, size=size, learning_rate=self.learning_rate, seed=self.seed, device=self.device
        )
        signals.progress("a small language model", 1, 1)
        proxy = rows.pool[: self.proxy_rows]
        aims = (rows.target if len(rows.target) else rows.pool)[:_AIMS]
        windows, target = (rows.windows(tokenizer, part, size.context) for part in (proxy, aims))
        scores, told = self._annotated(model, windows, target)
        told["target"] = "the pool itself" if not len(rows.target) else len(aims)
        if len(rows.pool) > len(proxy):
            from dross.models.text_scorer import learnt_scores

            asked = rows.windows(tokenizer, rows.pool, size.context)
            scores = learnt_scores(
                model.net, windows, scores, asked, epochs=self.scorer_epochs, batch_size=self.batch_size,
                seed=self.seed, device=self.device,
            )  # fmt: skip
        return scores, {**told, "scored_by_gradients": len(proxy)}

    def _tokens(self, rows: Written) -> tuple[Any, Size, Windows]:
        """The tokenizer, the size of the small model, and all rows as it reads them before the scoring."""
        from dross.models.language_model import encoded, packed, tokenizer_of
        from dross.models.llama import Size

        texts = rows.texts(rows.pool)
        tokenizer = tokenizer_of(texts, self.vocabulary)
        heads = max(1, self.width // 16)
        size = Size(self.width, self.layers, heads, self.context, tokenizer.get_vocab_size())
        return tokenizer, size, packed(encoded(tokenizer, texts), self.context)[0]

    def _annotated(self, model: LanguageModel, windows: Windows, target: Windows) -> tuple[Values, dict[str, Any]]:
        """Scores by gradients, and the target's loss before and after the descent."""
        import copy

        import torch

        from dross.models.examples import Examples
        from dross.models.language_model import passes

        objective = Descent(passes(len(windows), self.steps, self.batch_size, self.seed + 1), self.step_size)
        read = Examples(torch.from_numpy(windows), torch.zeros(len(windows), dtype=torch.int64), 1)
        settings = Settings(1, self.batch_size, self.step_size, seed=self.seed, device=self.device)
        run = fit(objective, lambda: None, read, settings, nets={"net": copy.deepcopy(model.net)})
        placed, aimed = (torch.from_numpy(part).to(run.device) for part in (windows, target))
        with torch.no_grad():
            ends = [float(row_losses(run.net, objective.path[i], aimed).mean()) for i in (0, -1)]
        scores = scores_on_the_way(run.net, objective.path, objective.plan, placed, aimed, self.step_size, self.every)
        return scores, {"target_loss_before": round(ends[0], 4), "target_loss_after": round(ends[1], 4)}

    def _check(self) -> None:
        if not 0 < self.share <= 1:
            raise DrossError(f"share is {self.share}", fix="give a share above 0, at most 1")
        for name in ("folds", "steps", "every", "passes", "proxy_rows", "scorer_epochs", "batch_size", "context"):
            if getattr(self, name) < 1:
                raise DrossError(f"{name} is {getattr(self, name)}", fix="give at least 1")
        if self.step_size <= 0 or self.learning_rate <= 0:
            raise DrossError("step_size and learning_rate must be above 0", fix="leave them at their defaults")
        if self.width < 16 or self.width % 16:
            raise DrossError(f"width is {self.width}", fix="give a multiple of 16")
