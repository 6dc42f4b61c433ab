"""What the overview, the agreement and the history pages say, made from the desk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.report import plots, words
from dross.report.charts import range_bar
from dross.report.proof import proof_view
from dross.report.text import counted, cut, interval, known, percent, visible
from dross.review.answers import Heading
from dross.review.sampling import STRATA
from dross.review.views import Progress, title_of

if TYPE_CHECKING:
    from markupsafe import Markup

    from dross.review.desk import Desk

LATEST = 8
"""Steps of the history on the overview."""
DONE = {
    "relabel": "relabelled", "drop": "dropped", "keep": "kept", "set": "edited", "reweight": "weighted",
    "opinion": "gave an opinion on", "comment": "commented on", "ask": "asked for more opinions on",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One kind of issue on the overview."""

    issue: str
    title: str
    meaning: str
    findings: int
    flagged: int
    progress: Progress
    precision: str
    expects: str
    bar: Markup | None
    checked: str
    """The precision that a sample checked by hand has, with its interval; empty where none was checked."""


def kinds(desk: Desk) -> list[Kind]:
    """The kinds of issue with findings, in the order in which a person should hear of them, the flagged ones first."""
    order = {str(issue): place for place, issue in enumerate(words.TITLES)}
    out = []
    for one in desk.headings():
        estimate = known(desk.summary["issues"][one.issue].get("precision"))
        bar = None
        if estimate is not None:
            said = f"expected precision: {percent(estimate[0])}, {interval(estimate)}"
            bar = range_bar(estimate, said)
        out.append(
            Kind(
                one.issue,
                title_of(one.issue),
                one.meaning,
                one.findings,
                one.flagged,
                Progress(one.open, one.decided, one.unsure, one.disputed),
                "" if estimate is None else percent(estimate[0]),
                "" if estimate is None else interval(estimate),
                bar,
                _checked(desk, one),
            )
        )
    return sorted(out, key=lambda kind: (not kind.flagged, order.get(kind.issue, len(order))))


def _checked(desk: Desk, one: Heading) -> str:
    """What the first sample, checked by hand, says of the precision."""
    if not one.decided:
        return ""
    found = desk.sample(one.issue)
    precision = found.measured.precision
    if not found.drawn[STRATA[0]]:
        return ""
    return f"{percent(precision[0])} by hand, {interval(precision)}"


def overview(desk: Desk) -> dict[str, Any]:
    """What the first page says, save its plots."""
    run = desk.summary
    source = (run.get("source") or {}).get("path")
    return {
        "name": visible(Path(source).name or source) if source else "data in memory",
        "headline": words.headline(run),
        "details": words.details(run),
        "kinds": kinds(desk),
        "rows": int(run["rows"]),
        "latest": history(desk, LATEST),
        "proof": proof_view(_proof(desk)),
        "mapped": desk.items.evidence.vectors is not None,
    }


def _proof(desk: Desk) -> dict[str, Any] | None:
    try:
        return desk.proof()
    except DrossError:  # a proof that cannot be read is reported by `dross report`; the review goes on without
        return None


def figures(desk: Desk) -> dict[str, Any]:
    """The plots: calibration of each issue that has it, confidence by class, what is mistaken for what."""
    run, drawn = desk.summary, []
    for issue in desk.issues:
        one, table = run["issues"][issue], desk.queue(issue).table
        made = plots.calibration(one, table, float(run.get("fdr") or 0.1))
        if made:
            drawn.append((title_of(issue), made))
    label = desk.queue(str(Issue.LABEL)).table if str(Issue.LABEL) in desk.issues else None
    classes, more = plots.by_class(desk.data, label, desk.items.evidence.probs) if label is not None else ([], 0)
    return {
        "calibration": drawn,
        "classes": classes,
        "more_classes": more,
        "confusions": plots.confusions(desk.data, label),
    }


# ---- people ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """How the people agree who decided on the same findings of one issue."""

    issue: str
    title: str
    pairs: list[dict[str, Any]]
    alpha: str
    between: str
    split: list[int]


def agreements(desk: Desk) -> list[Agreement]:
    """Every issue on which at least two people have decided on the same findings."""
    out = []
    for issue in desk.issues:
        found = desk.agreement(issue)
        if found.pairs:
            alpha = known(found.alpha)
            between = "" if alpha is None else f"{alpha[1]:.2f} to {alpha[2]:.2f}"
            words = "–" if alpha is None else f"{alpha[0]:.2f}"
            out.append(Agreement(issue, title_of(issue), found.pairs, words, between, found.split))
    return out


@dataclass(frozen=True)
class Step:
    """One batch of edits in words."""

    words: str
    author: str
    time: str
    gone: bool


def history(desk: Desk, most: int) -> list[Step]:
    """The newest steps of the ledger, newest first."""
    out = []
    for one in desk.history(most):
        many = counted(int(one["rows"]), "row")
        what = f"row {cut(str(one['first']), 40)}" if one["rows"] == 1 else many
        verb = DONE.get(str(one["action"]), str(one["action"]))
        about = f", {title_of(one['issue']).lower()}" if one["issue"] else ""
        said = f"{verb} {what}{about}"
        if one["undoes"]:
            said = f"{cut(str(one['reason']), 60)}: {said}"
        time = str(one["time"])[:16].replace("T", " ")
        out.append(Step(visible(said), visible(str(one["author"])), time, not one["standing"] and not one["undoes"]))
    return out


def runs(desk: Desk) -> list[str]:
    """The runs on whose findings something was done."""
    return list(dict.fromkeys(str(one["run"]) for one in desk.history() if one["run"]))
