"""Dawid and Skene: annotators' confusion matrices and the true labels, inferred together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dross.core.dataset import Dataset
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.crowd import dawid_skene, judge
from dross.models.votes import votes_of


@dataclass(frozen=True)
class DawidSkene(Detector):
    """Rows whose label the annotators do not support, each annotator weighed by an estimated confusion matrix.

    Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied
    Statistics 28, 1979. The model is fitted in :func:`dross.models.crowd.dawid_skene`.
    """

    paper: ClassVar[Paper | None] = Paper(
        "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm",
        1979,
        address="https://doi.org/10.2307/2346806",
    )
    finds: ClassVar[Issue] = Issue.ANNOTATOR
    needs: ClassVar = (Role.ANNOTATIONS,)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Fit the model to the votes and judge every row that has any."""
        votes = votes_of(data)
        if len(votes.classes) < 2:
            return NotApplicable("the annotators gave fewer than two different labels")
        return judge(data, votes, dawid_skene(votes))
