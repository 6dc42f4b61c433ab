"""Method: one published algorithm as a frozen dataclass; one base class per verb."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from dross.core.dataset import Dataset
from dross.core.model import Model
from dross.core.paper import Paper
from dross.core.results import Edits, Findings, Issue, Labels, Metrics, NotApplicable, Predictions, Selection
from dross.core.roles import CONTENT, Role
from dross.core.signal import Signal, Signals

Need = Role | type[Signal[Any]]


@dataclass(frozen=True)
class Method(ABC):
    """One algorithm. Its fields are its whole configuration; its file name is its name.

    Class attributes: ``paper`` (where it was published; None for common practice), ``needs`` (the roles and signals
    without which it has nothing to work on), ``alias`` (a shorter name), ``extra`` (the optional extra it needs).
    """

    paper: ClassVar[Paper | None] = None
    needs: ClassVar[tuple[Need, ...]] = ()
    alias: ClassVar[str | None] = None
    extra: ClassVar[str | None] = None

    @classmethod
    def name(cls) -> str:
        """The method's name on the command line: its file's name with dashes."""
        return cls.__module__.rpartition(".")[2].replace("_", "-")

    @classmethod
    def verb(cls) -> str:
        """The verb folder it stands in."""
        return cls.__module__.split(".")[-2]

    def applies(self, data: Dataset) -> NotApplicable | None:
        """None when the roles it needs are there, and content where a signal it needs is measured on it."""
        missing = [need for need in self.needs if isinstance(need, Role) and not data.has(need)]
        if missing:
            return NotApplicable(f"needs a column with the role {' and '.join(missing)}")
        on_content = [need for need in self.needs if not isinstance(need, Role) and set(CONTENT) <= set(need.reads)]
        if not data.content and any(need().given(data) is None for need in on_content):
            return NotApplicable("no column holds content: no text, image, feature or embedding")
        return None


@dataclass(frozen=True)
class Detector(Method):
    """A method that finds defects."""

    finds: ClassVar[Issue]
    default: ClassVar[bool] = True
    """Whether a plain audit runs it."""

    @abstractmethod
    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Score the rows of the dataset."""


@dataclass(frozen=True)
class Labeler(Method):
    """A method that labels rows."""

    @abstractmethod
    def run(self, data: Dataset, signals: Signals) -> Labels | NotApplicable:
        """Label the rows of the dataset."""


@dataclass(frozen=True)
class Repairer(Method):
    """A method that proposes changes."""

    @abstractmethod
    def run(self, data: Dataset, signals: Signals) -> Edits | NotApplicable:
        """What to change in the rows of the dataset."""


@dataclass(frozen=True)
class Selector(Method):
    """A method that chooses rows."""

    @abstractmethod
    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Choose among the rows of the dataset."""


@dataclass(frozen=True)
class Inferer(Method):
    """A method that gets better answers out of frozen models."""

    @abstractmethod
    def run(self, data: Dataset, signals: Signals) -> Predictions | NotApplicable:
        """Answer for the rows of the dataset."""


@dataclass(frozen=True)
class Evaluator(Method):
    """A method that measures."""

    @abstractmethod
    def run(self, data: Dataset, signals: Signals) -> Metrics | NotApplicable:
        """Measure the dataset, or what models say of it."""


@dataclass(frozen=True)
class Trainer(Method):
    """A method that trains a model."""

    @abstractmethod
    def run(self, data: Dataset, signals: Signals) -> Model | NotApplicable:
        """Train on the rows of the dataset."""


PARENTS, HOW = "dross_parents", "dross_how"
"""Columns of synthetic rows: the positions of the rows each was made from (a list), and by what."""


@dataclass(frozen=True)
class Synthesizer(Method):
    """A method that makes new rows."""

    @abstractmethod
    def run(self, data: Dataset, signals: Signals) -> Dataset | NotApplicable:
        """New rows with the roles of the dataset, and with the columns :data:`PARENTS` and :data:`HOW`."""
