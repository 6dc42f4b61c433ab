"""GISTEmbed: a stronger embedding says which rows of a batch are no negatives, and these are left out of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.augment import strong
from dross.models.examples import Batch, unreadable
from dross.models.lesson import Lesson, lesson_of
from dross.models.loop import Nets, Objective, Run
from dross.models.paired import EMBEDDED, PAIR, PairTrainer, bare_lesson, side_vectors, trimmed
from dross.models.probe import Probe
from dross.signals.embedding import Embedding

if TYPE_CHECKING:
    from torch import Tensor

Matrix = npt.NDArray[np.float32]
SLACK = 1e-5
"""Rows as alike as the pair itself, but for rounding, are no negatives either: copies of the passage."""


# ---- the mathematics ---------------------------------------------------------------------------------------------


def false_negatives(first: Tensor, second: Tensor, margin: float = 0.0) -> Tensor:
    """Which candidates the guide holds for at least as relevant as the pair's own second side, shape (b, 3b), bool.

    ``first`` and ``second``, shape (b, d), are the guide's vectors of both sides. The candidates of pair i are all
    second sides, then the other first sides beside its first, then the other second sides beside its second. A
    candidate is masked whose cosine exceeds that of the pair less ``margin`` (section 3 of the paper); so are i itself
    among the latter two thirds, and copies of the second side. Never masked is the pair's own second side.

    >>> import torch
    >>> first, second = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    >>> false_negatives(first, second).int().tolist()
    [[0, 0, 1, 0, 1, 1], [0, 0, 0, 1, 0, 1]]
    """
    import torch
    from torch.nn import functional

    a, b = (functional.normalize(side.float(), dim=1) for side in (first, second))
    itself = torch.eye(len(a), dtype=torch.bool, device=a.device)
    bar = (a * b).sum(dim=1, keepdim=True) - margin - SLACK
    across = (a @ b.T >= bar) & ~itself
    return torch.cat([across, (a @ a.T >= bar) | itself, (b @ b.T >= bar) | itself], dim=1)


def guided_contrast(first: Tensor, second: Tensor, masked: Tensor, temperature: float) -> Tensor:
    """The contrastive loss over the candidates that are not masked, a mean over the b pairs (section 3).

    ``first`` and ``second``, shape (b, d), are the vectors of both sides; ``masked`` is that of
    :func:`false_negatives`. O(b² d).

    >>> import torch
    >>> own = torch.eye(2, 6, dtype=torch.bool)
    >>> round(float(guided_contrast(torch.eye(2), torch.eye(2), ~own, 1.0)), 4)
    0.0
    """
    import torch
    from torch.nn import functional

    a, b = (functional.normalize(side.float(), dim=1) for side in (first, second))
    alike = torch.cat([a @ b.T, a @ a.T, b @ b.T], dim=1) / temperature
    own = torch.arange(len(a), device=a.device)
    return functional.cross_entropy(alike.masked_fill(masked, -torch.inf), own)


# ---- the stage ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class GuidedContrast(Objective):
    """Contrast between both sides of pairs, or between two strongly changed views of each row.

    Attributes
    ----------
    temperature, margin
        Of the loss, and of the mask.
    guide
        Reads the views; None where ``vectors`` stand in for it, or there is no guide at all.
    vectors
        What the guide says of each row, shape (n, 2, d), or (n, 1, d) where both views stand for the row itself.
    """

    temperature: float
    margin: float = 0.0
    guide: Any = None
    vectors: Matrix | None = None

    def build(self, make: Callable[..., Any]) -> Nets:
        """The network, and the guide that stays as it is."""
        return {"net": make(), **({} if self.guide is None else {"guide": self.guide})}

    def begin(self, run: Run) -> None:
        """The guide's vectors, and how much it masked."""
        import torch

        run.state["left out"] = torch.zeros(2, dtype=torch.float64, device=run.device)
        if self.vectors is not None:
            run.state["guide"] = torch.from_numpy(self.vectors).to(run.device)

    def batches(self, run: Run) -> Iterator[tuple[Tensor, ...]]:
        """All rows."""
        for rows in run.shuffled(np.arange(len(run.examples))):
            yield (rows,)

    def loss(self, run: Run, *batches: Batch) -> Tensor:
        """The loss without the candidates that the guide holds for relevant."""
        import torch

        (batch,) = batches
        paired = batch.x.ndim == 3 and not batch.x.is_floating_point()
        first, second = (batch.x[:, 0], batch.x[:, 1]) if paired else (strong(batch.x), strong(batch.x))
        if self.guide is not None:
            masked = false_negatives(run.nets["guide"](first), run.nets["guide"](second), self.margin)
        elif self.vectors is not None:
            told = run.state["guide"][batch.rows]
            masked = false_negatives(told[:, 0], told[:, -1], self.margin)
        else:
            b = len(batch.x)
            itself = torch.eye(b, dtype=torch.bool, device=run.device)
            masked = torch.cat([torch.zeros_like(itself), itself, itself], dim=1)
        b = len(masked)
        run.state["left out"] += torch.tensor([int(masked.sum()) - 2 * b, 3 * b * (b - 1)], device=run.device)
        seen = [run.net.encode(trimmed(one)) for one in (first, second)]
        return guided_contrast(seen[0], seen[1], masked, self.temperature)


# ---- the trainer -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GISTEmbed(PairTrainer):
    """An embedding taught by contrast, without the negatives that a stronger embedding takes for positives.

    Solatorio, "GISTEmbed: Guided In-sample Selection of Training Negatives for Text Embedding Fine-tuning", 2024. Each
    query is to find its passage among all texts of the batch; those that are more like the query, under the guide, than
    its own passage is are left out. Where the rows are no pairs, two strongly changed views of each row are the pair;
    labels that are there then teach a linear layer on the finished embedding.

    The paper fine-tunes pretrained language models, with mined hard negatives as further candidates; here the network
    may also be a small one trained from nothing, and the candidates are those of the batch.

    Attributes
    ----------
    guide
        ``auto``: for pairs the embedding signal, for other rows their labels. ``labels``: discriminant analysis of the
        labelled vectors or images, or a network that labelled texts taught; it sees the views. ``embedding``: the
        signal, which for rows that are no pairs sees the row and not its views, so that ``margin`` must be above 0.
        ``QUERIES,PASSAGES``: two columns of vectors beside the pairs. The folder of a model that dross saved; for pairs
        also a sentence-transformers model. ``none``: nothing is left out.
    temperature
        Of the loss; the paper takes 0.01.
    margin
        Candidates count as relevant that are less alike than the pair by at most this much, in cosine.
    probe_epochs, probe_rate
        Of the linear layer that labels teach.
    """

    paper: ClassVar = Paper(
        "GISTEmbed: Guided In-sample Selection of Training Negatives for Text Embedding Fine-tuning", 2024, "2402.16829"
    )
    needs: ClassVar[tuple[Any, ...]] = ()

    guide: str = "auto"
    temperature: float = 0.05
    margin: float = 0.0
    probe_epochs: int = 20
    probe_rate: float = 0.01

    def applies(self, data: Dataset) -> NotApplicable | None:
        """To pairs; to rows that a network reads, where labels teach the guide or one is named."""
        if data.has(*PAIR):
            return None
        missing = unreadable(data)
        if missing is None and self.guide in ("auto", "labels") and not _taught(data):
            return NotApplicable("no labels of two classes teach a guide: name one (guide=FOLDER or guide=none)")
        return missing

    def lesson(self, data: Dataset, signals: Signals) -> Lesson:
        """The pairs, or the rows with the labels they have."""
        if not self.temperature > 0:
            raise DrossError(f"temperature is {self.temperature}", fix="give a number above 0")
        labelled = data.has(Role.LABEL) and bool((data.codes >= 0).any())
        made = lesson_of if labelled and not data.has(*PAIR) else bare_lesson
        return made(self, data, signals)

    def learn(self, lesson: Lesson) -> Run:
        """The contrast, and the labels where there are some."""
        unjudged = replace(lesson, held=None)  # no validation row can judge a network that has no classes yet
        run = super().learn(unjudged)
        if lesson.outcome.classes and self.probe_epochs:
            changes: dict[str, Any] = {"epochs": self.probe_epochs, "learning_rate": self.probe_rate}
            lesson.fit(Probe(False), stage="labels", nets={"net": run.net}, **changes)
        return run

    def objective(self, lesson: Lesson) -> GuidedContrast:
        """What to train with which guide."""
        plain = GuidedContrast(self.temperature, self.margin)
        if self.guide == "none":
            return plain
        signals = lesson.signals
        assert signals is not None
        if lesson.data.has(*PAIR):
            name = EMBEDDED if self.guide == "auto" else self.guide
            if name == "labels":
                raise DrossError("labels guide no pairs", fix="guide=auto, a model's folder, or QUERIES,PASSAGES")
            told = side_vectors(name, lesson.data.take(lesson.rows), signals)
            return GuidedContrast(self.temperature, self.margin, vectors=told)
        if self.guide == EMBEDDED:
            if not self.margin > 0:
                raise DrossError(
                    "the guide sees rows and not their views, so that nothing is more alike than a pair",
                    fix="give a margin above 0, such as margin=0.2",
                )
            vectors = np.asarray(signals[Embedding()], np.float32)[lesson.rows][:, None]
            return GuidedContrast(self.temperature, self.margin, vectors=vectors)
        from dross.models.guides import stored_guide, taught_guide

        found = taught_guide(lesson) if self.guide in ("auto", "labels") else stored_guide(self.guide, lesson)
        return GuidedContrast(self.temperature, self.margin, guide=found)

    def vectors(self, nets: Nets, x: Tensor) -> Tensor:
        """Vectors of unit length."""
        from torch.nn import functional

        return functional.normalize(super().vectors(nets, x).float(), dim=1)

    def report(self, run: Run) -> dict[str, Any]:
        """The share of the negatives that was left out, and the rows."""
        gone, drawn = run.state["left out"].tolist()
        bare = run.examples.teaches == "number"  # no label was looked at
        found = {"left_out": round(gone / max(drawn, 1), 4)}
        return {**(super().report(run) if bare else {}), **found}


def _taught(data: Dataset) -> bool:
    return data.has(Role.LABEL) and len(np.unique(data.codes[data.codes >= 0])) > 1
