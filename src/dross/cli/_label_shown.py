"""What ``dross label`` prints beside the analysis of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dross.cli._console import err, inert, one_line, out
from dross.core.roles import Role
from dross.report.text import counted, interval, percent

if TYPE_CHECKING:
    from dross.core.dataset import Dataset, Rows
    from dross.core.results import Labels, Metrics
    from dross.llm.client import Forecast
    from dross.weak.automation import Automatic

FEW = 5
"""Rows that are shown as examples."""


def forecast(found: Mapping[str, Forecast]) -> None:
    """What asking will take, by model."""
    for model, one in found.items():
        ask = one.prompts - one.kept
        console = out()
        console.print(one_line(f"{model}: {counted(one.prompts, 'prompt')}, {one.kept:,} of them answered already"))
        if ask:
            for word, use in (("likely", one.likely), ("at most", one.most)):
                cost = f", cost {use.cost:,.4g}" if use.cost else ""
                console.print(f"  {word}: {use.tokens_in:,} tokens sent, {use.tokens_out:,} answered{cost}")
    if not any(one.most.cost for one in found.values()):
        err().print("no price is known: a server's price (sent, answered: per 1,000 tokens) in the job gives the cost")
    err().print("nothing was asked")


def spoken(labels: Labels) -> None:
    """What language models did."""
    said = labels.summary
    console = out()
    console.print(f"\n{said['labelled']:,} of {counted(len(labels), 'row')} labelled by language models")
    for voter in said["voters"]:
        told = [f"answers on {percent(voter['labelled'])} of the rows"]
        if voter["quality"] is not None:
            told.append(f"estimated accuracy {percent(voter['quality'])}")
        if voter["measured"]:
            told.append(f"measured {_measured(voter['measured'])}")
        console.print(one_line(f"  {voter['voter']}: {', '.join(told)}"), soft_wrap=True)
    if said["measured"]:
        console.print(f"  together: {_measured(said['measured'])}")
    for model in said["models"]:
        for problem, count in sorted(model["errors"].items(), key=lambda one: -one[1])[:FEW]:
            console.print(one_line(f"  {model['model']}: {count:,} without an answer: {problem}"), soft_wrap=True)
    cost = f", cost {said['cost']:,.4g}" if said["cost"] else ""
    used = f"{counted(said['requests_sent'], 'request')} sent; in all {said['tokens_in'] + said['tokens_out']:,} tokens"
    console.print(f"  {used}{cost}")
    if said["stopped"]:
        console.print(f"  {said['stopped']}: raise the limits of the job and run it again to go on", soft_wrap=True)


def _measured(found: Mapping[str, Any]) -> str:
    rows = counted(found["rows"], "given label")
    return f"{figure((found['accuracy'], found['low'], found['high']))} on {rows}"


def figure(found: Sequence[float]) -> str:
    """A share in percent with its 95 % interval.

    >>> figure((0.5, 0.25, 0.75))
    '50 % (25–75 %)'
    """
    return f"{percent(found[0])} ({interval(found)})"


def automated(done: Automatic) -> None:
    """What can be labelled without a person."""
    said, console = done.summary, out()
    promised = 1 - said["alpha"]
    console.print(
        f"\nAutomatic at {promised:.4g}: {counted(len(done.rows), 'row')} of {said['rows']:,} without a label; "
        f"{counted(len(done.review), 'row')} for people",
        style="bold",
    )
    console.print(f"  judged by {counted(said['calibration_rows'], 'given label')}")
    found = said["measured_accuracy_of_automatic"]
    if found:
        console.print(f"  measured accuracy of such rows: {figure(found)}")
    found = said["measured_coverage"]
    if found:
        mean = f"{said['mean_size']:.2f} classes on average"
        console.print(f"  sets ({mean}) hold the truth in: {figure(found)}")
    if said["never_ruled_out"]:
        names = ", ".join(str(name) for name in said["never_ruled_out"][:FEW])
        console.print(one_line(f"  too few given labels to rule anything out: {names}"), soft_wrap=True)


def opinions(data: Dataset, rows: Rows, wanted: int) -> None:
    """The rows to send for another opinion."""
    console = out()
    console.print(f"\nAnother opinion is worth most on these {min(wanted, len(rows)):,} rows", style="bold")
    _rows(data, rows)


def following(data: Dataset, rows: Rows, summary: Mapping[str, Any]) -> None:
    """The rows to label next."""
    console = out()
    head = f"Label these {counted(len(rows), 'row')} next, in this order ({summary['strategy']}"
    spent = "" if summary["spent"] == len(rows) else f", cost {summary['spent']:,.6g}"
    console.print(f"{head}{spent})", style="bold")
    _rows(data, rows)


def _rows(data: Dataset, rows: Rows) -> None:
    from dross.weak.examples import shown

    for row in rows[:FEW].tolist():
        key = data.key(row) if data.has(Role.ID) else f"row {row}"
        out().print(one_line(f"  {key}: {shown(data, row)}", 200), soft_wrap=True)
    if len(rows) > FEW:
        err().print(f"  … and {len(rows) - FEW:,} more; --out FILE writes them all", soft_wrap=True)


def spending(found: Metrics) -> None:
    """How a labelling budget is best spent."""
    said, console = found.summary, out()
    tried = said["tried"]
    shown = [name for name in found.values if name.startswith("accuracy")]
    console.print(
        f"Noisy labels are wrong in {percent(said['noise'])}; a right one costs {said['cost_ratio']:g} of them"
    )
    for name, plan in zip(shown, tried, strict=True):
        bought = f"{plan['noisy_labels']:,} noisy and {plan['right_labels']:,} right labels"
        console.print(f"  {bought}: accuracy {figure(found.values[name])}")
    sure = "" if said["clear"] or said["mixing_helps"] else " (the difference is within its error)"
    console.print(
        f"Best: {said['regime']}{sure}: buy {said['noisy_labels']:,} noisy and {said['right_labels']:,} right labels",
        style="bold",
    )
    if "extrapolated" in said:
        far = said["extrapolated"]
        told = f"quantity {percent(far['quantity'])}, quality {percent(far['quality'])}"
        console.print(f"  the budget goes beyond what could be tried; read off learning curves: {told}")


def reported(text: str) -> None:
    """A remark on standard error."""
    err().print(inert(text), soft_wrap=True)
