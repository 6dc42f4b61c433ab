"""The ways of ``dross label``: each a thin call of the API, what it says, and what it writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dross.cli import _label_shown as shown
from dross.cli._console import err, inert, out, plain
from dross.core.dataset import Dataset, Rows
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Progress, Signals
from dross.report.text import counted

if TYPE_CHECKING:
    from dross.label.llm_annotation import LlmAnnotation
    from dross.weak.api import Labelled
    from dross.weak.automation import Automatic

ORDER = "dross_order"


@dataclass(frozen=True)
class Wants:
    """What the command line asks for."""

    rules: tuple[Path, ...]
    job: Path | None
    model: str
    classes: list[str] | None
    balance: Mapping[str, float] | None
    timeout: float
    auto: float | None
    again: int | None
    out: Path | None
    as_json: bool
    dry_run: bool

    def check(self, *, estimate: bool, instead: bool) -> None:
        """Refuse what does not go together, before any work is done."""
        if estimate and self.job is None:
            raise DrossError("--estimate is about language models", fix="name a job: --llm job.yaml")
        if self.job is not None and self.dry_run and not estimate:
            raise DrossError("answers that are not kept would be paid for twice", fix="use --estimate, or no --dry-run")
        if instead and (self.rules or self.job or self.auto or self.again):
            raise DrossError(
                "--next and --budget label nothing", fix="label first, or leave out --rules, --llm, --auto and --again"
            )
        if self.auto is not None and not 0 < self.auto < 1:
            raise DrossError(f"--auto: an accuracy of {self.auto:g} cannot be promised", fix="give one such as 0.95")

    def store(self, where: Path) -> Path | None:
        """Where signals, votes and answers are kept."""
        return None if self.dry_run else where / "signals"

    def annotation(self) -> LlmAnnotation | None:
        """What the job file asks of language models."""
        if self.job is None:
            return None
        from dross.label.llm_annotation import LlmAnnotation
        from dross.llm.job import read_job

        return LlmAnnotation(**read_job(self.job))


# ---- labelling -------------------------------------------------------------------------------------------------------


def labelled(wants: Wants, data: Dataset, where: Path, progress: Progress, columns: list[str]) -> bool:
    """Label the rows; False where a source was left out or the budget did not suffice. ``columns`` are the user's."""
    method = wants.annotation()
    spoken = None if method is None else _asked(method, data, where, progress)
    voting = bool(wants.rules) or data.has(Role.VOTES) or data.has(Role.ANNOTATIONS)
    done = None
    if voting or (spoken is None and wants.auto is None):
        done = _by_sources(wants, data, spoken, where, progress)
    elif wants.again is not None:
        raise DrossError("--again is about several annotators", fix="name their columns: --votes")
    labels = done.labels if done else spoken
    promised = None
    if wants.auto is not None:
        promised = _automatic(wants, data, labels, done, method, Signals(data, wants.store(where), progress))
        labels = promised.labels
    again = None if wants.again is None or done is None else done.ask_again(wants.again)
    _say(wants, data, done, spoken, promised, again)
    assert labels is not None  # one of the three has given some
    if wants.out is not None:
        _write(wants, done.applied if done else data, labels, promised, again, where, columns)
    if promised is not None and not wants.dry_run:
        _record(data, promised, where)
    left_out = done is not None and any(source.left_out for source in done.applied.sources)
    return not left_out and not (spoken is not None and spoken.summary["stopped"])


def _asked(method: LlmAnnotation, data: Dataset, where: Path, progress: Progress) -> Labels:
    found = method.run(data, Signals(data, where / "signals", progress))
    if isinstance(found, NotApplicable):
        raise DrossError(f"language models cannot label this: {found.reason}")
    return found


def _by_sources(wants: Wants, data: Dataset, spoken: Labels | None, where: Path, progress: Progress) -> Labelled:
    from dross.weak.api import label

    assert wants.job is not None or spoken is None
    voted = data if spoken is None else _as_votes(data, spoken, str(wants.job and wants.job.stem))
    return label(
        voted,
        list(wants.rules),
        model=wants.model,
        classes=wants.classes,
        balance=wants.balance,
        store=wants.store(where) if wants.rules else None,
        timeout=wants.timeout,
        progress=progress,
    )


def _as_votes(data: Dataset, spoken: Labels, name: str) -> Dataset:
    """The data with the language models' answers as one more column of votes."""
    while name in data.table.column_names:
        name = f"{name} (language models)"
    texts = pa.array([str(value) for value in spoken.classes], pa.string())
    column = texts.take(pa.array(spoken.codes, mask=spoken.abstained))
    roles = {**data.roles, Role.VOTES: (*data.roles.get(Role.VOTES, ()), name)}
    return Dataset(data.table.append_column(name, column), roles, source=data.source, row_ids=data.row_ids)


def _automatic(
    wants: Wants,
    data: Dataset,
    labels: Labels | None,
    done: Labelled | None,
    method: LlmAnnotation | None,
    signals: Signals,
) -> Automatic:
    from dross.llm.ballot import rescaled
    from dross.weak.automation import automatic

    assert wants.auto is not None
    raw = done.consensus.probs if done and done.consensus else None
    if done is None and labels is not None and labels.summary["temperature"]:
        raw = rescaled(labels.probs.astype(np.float64), 1 / labels.summary["temperature"])
    seen = None if method is None else method.demonstrated(data)
    return automatic(data, labels, accuracy=wants.auto, raw=raw, shown=seen, signals=signals)


def _say(
    wants: Wants,
    data: Dataset,
    done: Labelled | None,
    spoken: Labels | None,
    promised: Automatic | None,
    again: Rows | None,
) -> None:
    if wants.as_json:
        plain(json.dumps(_plain(data, done, spoken, promised, again), allow_nan=False, default=str))
        return
    from dross.weak.show import show

    if spoken is not None:
        shown.spoken(spoken)
    if done is not None:
        show(done.analysis, out())
    if again is not None and wants.again is not None:
        shown.opinions(data, again, wants.again)
    if promised is not None:
        shown.automated(promised)


def _plain(
    data: Dataset, done: Labelled | None, spoken: Labels | None, promised: Automatic | None, again: Rows | None
) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if done is not None:
        told |= done.analysis.plain()
        told |= {"labelled": int((~done.labels.abstained).sum()), "labels": dict(done.labels.summary)}
    if spoken is not None:
        told |= {"language_models": dict(spoken.summary)}
    if promised is not None:
        told |= {"automatic": promised.summary}
    if again is not None:
        told |= {"ask_again": [{"row": row, "id": data.key(row)} for row in again.tolist()]}
    return told


def _write(
    wants: Wants,
    what: Any,
    labels: Labels,
    promised: Automatic | None,
    again: Rows | None,
    where: Path,
    columns: list[str],
) -> None:
    from dross.core.paths import expanded
    from dross.ledger import outputs
    from dross.weak.output import write_labelled

    assert wants.out is not None
    path, count = expanded(wants.out), int((~labels.abstained).sum())
    told = f"{counted(len(labels), 'row')}, {count:,} of them labelled"
    if wants.dry_run:
        err().print(inert(f"{told}, would be written to {path}"), soft_wrap=True)
        return
    ours = outputs.ours(where, path)
    write_labelled(what, labels, path, overwrite=ours, automatic=promised, again=again, columns=columns)
    outputs.remember(where, path)
    err().print(inert(f"{told}, written to {path}"), soft_wrap=True)
    if "calibrated_on" in labels.summary:
        on = labels.summary["calibrated_on"]
        how = (
            f"calibrated on {counted(on, 'given label')}"
            if on
            else "the label model's own: 30 given labels calibrate it"
        )
        err().print(f"dross_confidence is {how}", soft_wrap=True)


def _record(data: Dataset, promised: Automatic, where: Path) -> None:
    import shlex

    from dross.ledger import Ledger
    from dross.weak.automation import record

    with Ledger.open(where) as ledger:
        kept = record(ledger, data, promised, shlex.join(["dross", *sys.argv[1:]]))
    if kept.version is not None:
        told = f"{counted(len(promised.rows), 'row')} labelled automatically: version {kept.version}"
        err().print(f"{told}. Take it back: dross undo v{kept.version}    Write it out: dross export", soft_wrap=True)
    if kept.review is not None:
        err().print(f"{counted(len(promised.review), 'row')} for people: dross review", soft_wrap=True)


# ---- before labelling ------------------------------------------------------------------------------------------------


def estimate(wants: Wants, data: Dataset, where: Path) -> None:
    """Print what asking language models will take; nothing is asked, and nothing is written."""
    method = wants.annotation()
    assert method is not None
    missing = method.applies(data)
    if missing:
        raise DrossError(f"language models cannot label this: {missing.reason}")
    kept = where / "signals"
    found = method.forecast(data, Signals(data, kept if kept.exists() else None))
    if wants.as_json:
        from dataclasses import asdict

        plain(json.dumps({model: asdict(one) for model, one in found.items()}))
    else:
        shown.forecast(found)


def next_rows(
    wants: Wants, data: Dataset, where: Path, progress: Progress, *, budget: float, strategy: str, cost: str
) -> None:
    """Name the rows to label next, and write them in that order where a file is named."""
    from dross.select.active_learning import ActiveLearning

    method = ActiveLearning(strategy, budget, cost)
    found = method.applies(data) or method.run(data, Signals(data, wants.store(where), progress))
    if isinstance(found, NotApplicable):
        raise DrossError(f"no row can be chosen: {found.reason}")
    if wants.as_json:
        rows = [{"row": row, "id": data.key(row)} for row in found.rows.tolist()]
        plain(json.dumps({**found.summary, "next": rows}, default=str))
    else:
        shown.following(data, found.rows, found.summary)
    if wants.out is not None:
        _write_rows(wants, data, found.rows, where)


def _write_rows(wants: Wants, data: Dataset, rows: Rows, where: Path) -> None:
    from dross.core.paths import expanded
    from dross.io.write import write
    from dross.ledger import outputs

    assert wants.out is not None
    path, told = expanded(wants.out), counted(len(rows), "row")
    if wants.dry_run:
        err().print(inert(f"{told} would be written to {path}"), soft_wrap=True)
        return
    table = data.table.take(pa.array(rows))
    if ORDER in table.column_names:
        raise DrossError(f"the data has a column {ORDER!r} already", fix="rename or drop it first")
    table = table.append_column(ORDER, pa.array(np.arange(1, len(rows) + 1)))
    write(table, path, source=data.source, overwrite=outputs.ours(where, path))
    outputs.remember(where, path)
    err().print(inert(f"{told} written to {path}"), soft_wrap=True)


def spend(
    wants: Wants, data: Dataset, where: Path, progress: Progress, *, budget: float, cost_ratio: float, noise: float
) -> None:
    """Say how a labelling budget is best spent."""
    from dross.label.label_budget import LabelBudget

    method = LabelBudget(budget, cost_ratio, noise)
    found = method.applies(data) or method.run(data, Signals(data, wants.store(where), progress))
    if isinstance(found, NotApplicable):
        raise DrossError(f"this cannot be tried out: {found.reason}")
    if wants.as_json:
        plain(json.dumps({"values": dict(found.values), **found.summary}, default=str))
    else:
        shown.spending(found)
