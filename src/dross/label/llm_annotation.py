"""Language models as annotators: several prompts, models and samples vote, and a label model weighs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Labeler
from dross.core.paper import Paper
from dross.core.results import Labels, NotApplicable
from dross.core.signal import Signals
from dross.llm.asking import Asker, Models, Opened
from dross.llm.ballot import Ballot, accuracy, combine, rescaled, temperature, voter_facts
from dross.llm.chances import vote
from dross.llm.client import Forecast
from dross.llm.prompt import Prompt
from dross.llm.prompts import TEMPLATES, ClassName, Template
from dross.llm.schema import CANNOT_TELL, label_schema
from dross.llm.shown import Shown, blocks, can_show, class_names, demonstrations, given_codes, shown, values_of
from dross.models.label_models import MODELS

ASKED = "Which of these labels fits the text?"
LONGEST_LABEL, LONGEST_REASON = 64, 320
"""Tokens of an answer without and with a reason."""


@dataclass(frozen=True)
class LlmAnnotation(Labeler):
    """Labels from language models behind any OpenAI-compatible server, each prompt and model a fallible voter.

    Self-consistency is that of Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models",
    2022: several answers at a temperature above 0, their shares the confidence; where the server gives token
    log-probabilities, these are. Voters are combined by the label models of :mod:`dross.models.label_models`. A row is
    data to the model, never an instruction (:func:`dross.llm.prompts.fenced`), and an answer counts only when it names
    a class. Rows that are empty, or without any valid answer, get no label; the summary counts why. Where 30 labels or
    more are known, they measure the answers, and one temperature fitted to them brings the chances nearer to how often
    they come true.

    Attributes
    ----------
    models
        Whom to ask, within which budget.
    task
        The question, in words.
    classes
        The labels, each a name or a name and its meaning; those of the labelled rows when empty.
    templates
        Prompts by name (direct, reasoned, question) or of one's own, each a voter with each model.
    samples, temperature
        Answers per voter and row, and how freely they vary; a single answer is the likeliest one.
    shots
        Labelled rows that are shown as examples.
    abstain
        Whether a model may say that it cannot tell.
    combine
        The label model for several voters.
    """

    paper: ClassVar[Paper | None] = Paper(
        "Self-Consistency Improves Chain of Thought Reasoning in Language Models", 2022, "2203.11171"
    )

    models: Models = field(default_factory=Models)
    task: str = ASKED
    classes: tuple[tuple[str, str] | str, ...] = ()
    templates: tuple[Template | str, ...] = ("direct",)
    samples: int = 1
    temperature: float = 0.7
    shots: int = 0
    abstain: bool = False
    combine: str = "auto"
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """None where there is a model, something to show, and a choice of classes."""
        if self.models.missing():
            return self.models.missing()
        if not can_show(data):
            return NotApplicable("no column holds text, features or images that a language model could be shown")
        if len(class_names(self.classes, data)) < 2:
            return NotApplicable("needs the names of two classes or more")
        return None

    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Ask every voter about every row; what is answered already is not asked again."""
        missing = self.applies(data)
        if missing or not len(data):
            return missing or NotApplicable("there are no rows")
        self._check()
        classes = class_names(self.classes, data)
        with self.models.opened(signals) as opened:
            examples = self._examples(data, classes)
            voters = [(a, t) for a in opened.askers for t in self._templates()]
            names = [f"{asker.name}/{template.name}-v{template.version}" for asker, template in voters]
            ballot = Ballot.empty(len(data), len(voters), len(classes))
            for rows, block in blocks(data):
                self._ask(ballot, opened.askers, block, rows, classes, examples)
                signals.progress("labelling by language models", int(rows[-1]) + 1, len(data))
            probs, quality, model, why = combine(ballot, names, self.combine)
            gold = given_codes(data, classes)
            gold[self._demonstrations(gold, len(classes))] = -1
            by = temperature(probs, gold)
            probs = probs if by is None else rescaled(probs, by)
            summary = voter_facts(ballot, names, quality, gold) | {"model": model, "why": list(why)}
            summary |= {"measured": accuracy(probs, gold), "temperature": by} | self._account(opened)
        return Labels(values_of(classes, data), probs.astype(np.float32), summary=summary)

    def forecast(self, data: Dataset, signals: Signals) -> dict[str, Forecast]:
        """What labelling these rows will take, by model, before anything is asked."""
        self._check()
        classes = class_names(self.classes, data)
        examples = self._examples(data, classes)

        def prompts() -> Iterator[Prompt]:
            for _, block in blocks(data):
                for one in block:
                    yield from (prompt for _, prompt in self._prompts(one, classes, examples))

        return self.models.forecast(prompts, signals)

    # ---- asking -----------------------------------------------------------------------------------------------------

    def _ask(
        self,
        ballot: Ballot,
        askers: list[Asker],
        block: list[Shown],
        rows: npt.NDArray[np.int64],
        classes: list[ClassName],
        examples: list[tuple[str, str]],
    ) -> None:
        names, count = [c.name for c in classes], len(self._templates())
        wanted = [
            (row, t, p) for row, one in zip(rows, block, strict=True) for t, p in self._prompts(one, classes, examples)
        ]
        for a, asker in enumerate(askers):
            replies = asker.ask([prompt for _, _, prompt in wanted])
            for (row, t, _), reply in zip(wanted, replies, strict=True):
                chances, measured = vote(reply.value, reply.answer, names)
                if chances is not None:
                    ballot.add(int(row), a * count + t, chances, measured=measured)

    def _prompts(
        self, one: Shown, classes: list[ClassName], examples: list[tuple[str, str]]
    ) -> Iterator[tuple[int, Prompt]]:
        """The prompts about one row, with the position of their template. Samples see the classes in turned order."""
        for t, template in enumerate(self._templates()):
            for sample in range(self.samples):
                turn = sample % len(classes)
                order = classes[turn:] + classes[:turn]
                messages = template.messages(
                    one.text, task=self.task, classes=order, row=one.columns, examples=examples
                )
                yield (
                    t,
                    Prompt(
                        messages,
                        label_schema([c.name for c in classes], reason=template.reason, abstain=self.abstain),
                        LONGEST_REASON if template.reason else LONGEST_LABEL,
                        self.temperature if self.samples > 1 else 0.0,
                        sample,
                        logprobs=True,
                        images=one.images,
                    ),
                )

    def _templates(self) -> list[Template]:
        found = []
        for one in self.templates:
            if isinstance(one, str) and one not in TEMPLATES:
                raise DrossError(f"no prompt template is called {one!r}", fix=nearest(one, list(TEMPLATES)))
            found.append(TEMPLATES[one] if isinstance(one, str) else one)
        if self.abstain:
            told = f'\nWhere the text does not let you tell, the label is "{CANNOT_TELL}".'
            found = [replace(t, system=t.system + told) for t in found]
        return found

    def _check(self) -> None:
        if not self.templates or self.samples < 1 or self.shots < 0 or not 0 <= self.temperature <= 2:
            raise DrossError(
                "there must be a template and a sample, at least no shots, and a temperature from 0 to 2",
            )
        names = [(t.name, t.version) for t in self._templates()]
        if len(set(names)) < len(names):
            raise DrossError("two prompt templates have the same name and version", fix="rename one")
        if self.combine not in MODELS:
            raise DrossError(f"no label model is called {self.combine!r}", fix=nearest(self.combine, list(MODELS)))

    def demonstrated(self, data: Dataset) -> npt.NDArray[np.int64]:
        """The labelled rows that are shown as examples, and so cannot judge the answers."""
        classes = class_names(self.classes, data)
        return self._demonstrations(given_codes(data, classes), len(classes))

    def _demonstrations(self, gold: npt.NDArray[np.int32], k: int) -> npt.NDArray[np.int64]:
        return demonstrations(gold, k, self.shots, self.seed)

    def _examples(self, data: Dataset, classes: list[ClassName]) -> list[tuple[str, str]]:
        gold = given_codes(data, classes)
        rows = self._demonstrations(gold, len(classes))
        return [(one.text, classes[gold[row]].name) for row, one in zip(rows, shown(data, rows), strict=True)]

    def _account(self, opened: Opened) -> dict[str, Any]:
        prompts = [{"template": t.name, "version": t.version} for t in self._templates()]
        return {"prompts": prompts, "samples": self.samples, **opened.summary()}
