"""NetworkTrainer: what all methods that train a network share; a method adds its own mathematics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Trainer
from dross.core.results import Edits, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.devices import import_torch
from dross.models.examples import unreadable
from dross.models.lesson import Lesson, Outcome, lesson_of
from dross.models.loop import Nets, Objective, Run, Settings

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.inputs import Encoder
    from dross.models.networks import Maker
    from dross.models.trained import Trained


@dataclass(frozen=True)
class NetworkTrainer(Settings, Trainer, Objective):
    """A method that trains a network with the one loop; its hooks are those of :class:`Objective`.

    How long and how fast it trains are the fields of :class:`Settings`; they come first.

    Attributes
    ----------
    network
        ``auto``, one of :data:`dross.models.networks.BODIES`, ``hf:FOLDER`` for a local Hugging Face model, or
        ``timm:MODEL`` or ``torchvision:MODEL``, with ``@FILE`` for a safetensors file of its weights.
    validation
        The share of the labelled rows held out where ``patience`` asks for it and the data has no validation split.
    """

    needs: ClassVar[tuple[Any, ...]] = (Role.LABEL,)
    extra: ClassVar[str | None] = "torch"
    answers_with: ClassVar[tuple[str, ...]] = ("net",)
    """The networks that the trained model keeps."""
    auto_for: ClassVar[tuple[Literal["many", "few"], ...]] = ()
    """Whether ``auto`` tries it where most training rows have a label (many) or have none (few)."""

    network: str = "auto"
    validation: float = 0.1

    def run(self, data: Dataset, signals: Signals) -> Trained | NotApplicable:
        """Train on the rows of the training split; the model tells how it went in its summary."""
        import_torch()
        self._check()
        missing = self.applies(data) or unreadable(data)
        return missing or self.taught(lesson_of(self, data, signals))

    def taught(self, lesson: Lesson) -> Trained:
        """Train on data that were made ready."""
        started = time.perf_counter()
        run = self.learn(lesson)
        lesson.finished()
        summary = {
            "method": self.name(),
            "network": lesson.make.name,
            "rows": len(run.labelled),
            "unlabelled": len(run.unlabelled),
            "parameters": sum(p.numel() for p in run.net.parameters()),
            "device": str(run.device),
            "seconds": round(time.perf_counter() - started, 3),
            "history": run.history,
            **self.report(run),
        }
        nets = {name: run.nets[name] for name in self.answers_with}
        return self.model(nets, lesson.encoder, lesson.make, lesson.outcome, summary, self._edits(run, lesson))

    def model(
        self,
        nets: Nets,
        encoder: Encoder,
        make: Maker,
        outcome: Outcome,
        summary: Mapping[str, Any],
        edits: Edits | None = None,
    ) -> Trained:
        """What the trained networks become, now and when they are read back."""
        from dross.models.trained import Trained

        return Trained(self, nets, encoder, make, outcome, summary, edits)

    def learn(self, lesson: Lesson) -> Run:
        """The stages of the training, the last one returned; one, unless a method overrides it."""
        return lesson.fit(self)

    def beliefs(self, run: Run) -> Tensor | None:
        """What the method has come to believe of the true class of each training row, shape (n, k); None where nothing.

        Methods that withstand wrong labels say so here; it becomes the model's :class:`Edits`.
        """
        return None

    def report(self, run: Run) -> dict[str, Any]:
        """What else the summary should say; plain JSON values."""
        return {}

    def _check(self) -> None:
        least = {"epochs": 1, "batch_size": 1, "devices": 1, "learning_rate": 0, "weight_decay": 0, "patience": 0}
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise DrossError(f"{name} is {getattr(self, name)}", fix=f"give {bound} or more")
        if not 0 < self.validation < 1:
            raise DrossError(f"validation is {self.validation}", fix="give a share between 0 and 1")

    def _edits(self, run: Run, lesson: Lesson) -> Edits | None:
        found = self.beliefs(run)
        if found is None or not lesson.data.has(Role.LABEL):
            return None
        probs = found.detach().float().cpu().numpy()
        given = lesson.outcome.y[lesson.rows]
        guess = probs.argmax(axis=1)
        other = np.flatnonzero((given >= 0) & (guess != given))
        classes = lesson.outcome.classes
        return Edits(
            lesson.rows[other],
            lesson.data.name_of(Role.LABEL),
            [classes[c] for c in given[other]],
            [classes[c] for c in guess[other]],
            np.clip(probs[other, guess[other]], 0, 1).astype(np.float32),
            f"training by {self.name()} settled on another class",
        )
