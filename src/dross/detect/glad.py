"""GLAD: the ability of annotators and the difficulty of rows, inferred together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.crowd import glad, judge
from dross.models.votes import votes_of


@dataclass(frozen=True)
class Glad(Detector):
    """Rows whose label the annotators do not support, telling bad annotators from hard rows.

    Whitehill, Wu, Bergsma, Movellan, Ruvolo, "Whose Vote Should Count More: Optimal Integration of Labels from
    Labelers of Unknown Expertise", 2009. The model is fitted in :func:`dross.models.crowd.glad`.
    """

    paper: ClassVar[Paper | None] = Paper(
        "Whose Vote Should Count More: Optimal Integration of Labels from Labelers of Unknown Expertise",
        2009,
    )
    finds: ClassVar[Issue] = Issue.ANNOTATOR
    needs: ClassVar = (Role.ANNOTATIONS,)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Fit the model to the votes and judge every row that has any."""
        votes = votes_of(data)
        if len(votes.classes) < 2:
            return NotApplicable("the annotators gave fewer than two different labels")
        return judge(data, votes, glad(votes))
