"""What an audit found, in sentences: the same in the report and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dross.core.results import Issue
from dross.report.text import counted, interval, known, listed, percent

TITLES = {
    Issue.LABEL: "Label errors",
    Issue.CONFLICT: "Conflicting labels",
    Issue.LEAKAGE: "Leakage between splits",
    Issue.TARGET_LEAKAGE: "Target leakage",
    Issue.DUPLICATE: "Exact duplicates",
    Issue.NEAR_DUPLICATE: "Near-duplicates",
    Issue.SEMANTIC_DUPLICATE: "Semantic duplicates",
    Issue.FORM: "Malformed rows",
    Issue.OUTLIER: "Outliers",
    Issue.VALUE: "Harmful rows",
    Issue.ANNOTATOR: "Unreliable annotators",
    Issue.SLICE: "Weak slices",
    Issue.SPURIOUS: "Spurious correlations",
    Issue.IMBALANCE: "Class imbalance",
    Issue.DRIFT: "Drift between splits",
    Issue.ORDER: "Order of the rows",
}
"""Every issue's title, in the order in which a person should hear of them."""

ALL = 0.995
"""A recall above this is as good as complete."""
WHOLE = frozenset(
    {Issue.TARGET_LEAKAGE, Issue.ANNOTATOR, Issue.SLICE, Issue.SPURIOUS, Issue.IMBALANCE, Issue.DRIFT, Issue.ORDER}
)
"""Issues of the dataset as a whole: their summaries say more than their rows."""


@dataclass(frozen=True)
class Line:
    """One issue in the summary."""

    issue: Issue
    title: str
    meaning: str
    findings: int
    flagged: int
    of_rows: float
    precision: tuple[float, float, float] | None
    recall: tuple[float, float, float] | None
    share: tuple[float, float, float] | None
    methods: tuple[str, ...]
    note: str
    threshold: float | None

    @property
    def false_alarms(self) -> int | None:
        """How many of the flagged rows are expected to be sound."""
        return None if self.precision is None else round(self.flagged * (1 - self.precision[0]))


def lines(run: Mapping[str, Any]) -> list[Line]:
    """One line for each issue that was looked for, in the order of :data:`TITLES`."""
    rows = max(1, int(run["rows"]))
    out = []
    for issue, title in TITLES.items():
        one = run["issues"].get(str(issue))
        if one is not None:
            found = known(one.get("precision")), known(one.get("recall")), known(one.get("share"))
            flagged = int(one["flagged"])
            methods = tuple(one.get("methods", ()))
            out.append(
                Line(
                    issue, title, issue.meaning, int(one["findings"]), flagged, flagged / rows, *found, methods,
                    str(one.get("note") or ""), one.get("threshold"),
                )
            )  # fmt: skip
    return out


def headline(run: Mapping[str, Any]) -> str:
    """The most important finding in one sentence.

    >>> run = {"rows": 100, "fdr": 0.1, "methods": {}, "issues": {"label": {
    ...     "findings": 100, "flagged": 8, "share": [0.09, 0.07, 0.11]}}}
    >>> headline(run)
    'About 9 % of the labels are probably wrong (7–11 %).'
    """
    found = {line.issue: line for line in lines(run)}
    label = found.get(Issue.LABEL)
    noun = "targets" if run.get("task") == "regression" else "labels"
    if label and label.share and label.flagged:
        return f"About {percent(label.share[0])} of the {noun} are probably wrong ({interval(label.share)})."
    if label and label.flagged:
        return f"{counted(label.flagged, noun[:-1], noun)} {'is' if label.flagged == 1 else 'are'} probably wrong."
    flagged = [line for line in found.values() if line.flagged]
    if flagged:
        first = flagged[0]
        return f"{first.title}: {percent(first.of_rows)} of the rows."
    if not found:
        return "Nothing could be checked."
    if label:
        return f"No {noun[:-1]} stands out as wrong, and nothing else was flagged."
    return "Nothing was found that stands out."


def _trust(line: Line) -> str:
    """How many rows are flagged, how many of them wrongly, how many are missed."""
    words = f"{counted(line.flagged, 'row')} flagged"
    alarms = line.false_alarms
    if alarms is not None:
        words += "; expect " + ("none" if not alarms else "one" if alarms == 1 else f"{alarms:,}")
        words += " of them to be " + ("a false alarm" if alarms == 1 else "false alarms")
    if line.recall:
        missed = "hardly any" if line.recall[0] > ALL else f"about {percent(1 - line.recall[0])}"
        words += f", and {missed} of all such rows to be missed"
    return words + "."


def details(run: Mapping[str, Any]) -> list[str]:
    """What stands beside the headline: how far to trust it, and what else was found."""
    every = lines(run)
    flagged = [line for line in every if line.flagged]
    out = []
    if flagged:
        out.append(_trust(next((line for line in flagged if line.issue == Issue.LABEL), flagged[0])))
    others = [line for line in flagged[1:] if line.issue not in WHOLE]
    if others:
        out.append(f"Also flagged: {listed([f'{line.title.lower()} ({line.flagged:,})' for line in others])}.")
    if not flagged and every:
        out.append(
            f"{listed([line.title for line in every])} {'were' if len(every) > 1 else 'was'} looked for; no row reached"
            f" the threshold that keeps false alarms below {percent(run.get('fdr'))}."
        )
    return out
