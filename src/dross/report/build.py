"""Build the report: gather what it says, render the template, and put the file in place at once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from markupsafe import Markup

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.ledger.files import explained, publish_file
from dross.report import facts, plots, words
from dross.report.cards import Card, Evidence
from dross.report.charts import range_bar, share_bar
from dross.report.proof import proof_view
from dross.report.text import counted, interval, number, percent, visible

MARK = '<meta name="generator" content="dross">'
FIRST, FIRST_PICTURES = 4, 6
"""Cards of each issue that stand open; the others are folded away."""


def write_report(
    path: str | Path,
    *,
    run: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    data: Dataset,
    signals: Signals | None = None,
    proof: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of a run: one HTML file that needs no network and runs no script.

    Parameters
    ----------
    path
        Where to write. An existing file is replaced only if it is a dross report.
    run
        The summary of the run, as in ``run.json``.
    tables
        The findings by issue name, as :func:`dross.job.table.tabulate` makes them.
    data
        The rows that were audited.
    signals
        What was measured of them; gives neighbours, probabilities and the map. Nothing is measured anew.
    proof
        :meth:`dross.job.prove.Proof.to_json`, once there is one.

    Raises
    ------
    DrossError
        Where the file cannot be written, or holds something else than a report.
    """
    path = Path(path)
    spare_others(path)
    page = render(run, tables, data, signals, proof)
    with explained("the report cannot be written", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        publish_file(path, lambda part: _write(part, page))
    return path


def _write(path: Path, page: str) -> None:
    path.write_text(page, encoding="utf-8")


def spare_others(path: Path) -> None:
    """Raise where the path holds something that dross did not write."""
    if path.is_dir():
        raise DrossError("the report cannot be written: this is a folder", where=str(path), fix="name a file in it")
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            beginning = file.read(2000)
        if MARK.encode() not in beginning:
            raise DrossError(
                "the report cannot be written: the file exists and is no dross report",
                where=str(path),
                fix="choose another name, or delete the file first",
            )


def render(
    run: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    data: Dataset,
    signals: Signals | None = None,
    proof: Mapping[str, Any] | None = None,
) -> str:
    """The page as text; see :func:`write_report`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval, "number": number, "visible": visible}
    environment.globals |= {"counted": counted, "range_bar": _range, "place_bar": _place}
    style = (folder / "style.css").read_text(encoding="utf-8")
    context = _context(run, tables, data, signals, proof)
    security = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    trusted = {"style": Markup(style), "mark": Markup(MARK)}  # noqa: S704 - our own file and our own constant
    return environment.get_template("report.html").render(**context, **trusted, security=security)


def _hash(style: str) -> str:
    """What a content security policy calls the one style sheet that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}"


def _range(estimate: tuple[float, float, float] | None, what: str) -> Markup:
    return (
        Markup() if estimate is None else range_bar(estimate, f"{what}: {percent(estimate[0])}, {interval(estimate)}")
    )


def _place(place: float, says: str) -> Markup:
    return share_bar(place, says)


def _context(
    run: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    data: Dataset,
    signals: Signals | None,
    proof: Mapping[str, Any] | None,
) -> dict[str, Any]:
    evidence = Evidence(data, signals)
    every = words.lines(run)
    source = (run.get("source") or {}).get("path")
    versions = facts.versions(run)
    return {
        "run": run,
        "name": visible(Path(source).name or source) if source else "data in memory",
        "headline": words.headline(run),
        "details": words.details(run),
        "found": [line for line in every if line.flagged],
        "unflagged": [line for line in every if not line.flagged],
        "absent": _absent(run),
        "failed": [m for m in facts.methods(run) if m["status"] == "failed"],
        "sections": [_section(line, run, tables.get(str(line.issue)), evidence) for line in every if _worth(line, run)],
        "whole": _whole(run, every),
        "map": plots.map_of(data, evidence.vectors, tables),
        "proof": proof_view(proof),
        "columns": facts.columns(data),
        "classes": facts.counts(data, Role.LABELS if data.has(Role.LABELS) else Role.LABEL),
        "splits": facts.counts(data, Role.SPLIT)[0],
        "methods": facts.methods(run),
        "measured": [(visible(name), number(float(s), 2)) for name, s in run.get("signals", {}).items()],
        "versions": versions,
        "any_calibrated": any(line.precision for line in every),
        "notes": [str(note) for note in run.get("notes") or ()],
        "command": visible(str(run.get("command") or "")),
    }


def _worth(line: words.Line, run: Mapping[str, Any]) -> bool:
    """Whether an issue has a section of its own: some row was flagged, or at least scored as defective."""
    return line.flagged > 0 or (line.issue == Issue.LABEL and line.findings > 0)


def _absent(run: Mapping[str, Any]) -> list[str]:
    """The kinds of defect that no method could look for on this data."""
    return [title for issue, title in words.TITLES.items() if str(issue) not in run["issues"]]


def _section(line: words.Line, run: Mapping[str, Any], table: pa.Table | None, evidence: Evidence) -> dict[str, Any]:
    one = run["issues"][str(line.issue)]
    label = line.issue == Issue.LABEL
    chosen = table.filter(table.column("flagged")) if table is not None and line.flagged else table
    cards = evidence.cards(line.issue, chosen) if chosen is not None and chosen.num_rows else []
    gallery = bool(cards) and (_all_pictures(cards) or all(card.twin and card.twin.same for card in cards))
    data = evidence.data
    classes, more = plots.by_class(data, table, evidence.probs) if label else ([], 0)
    return {
        "line": line,
        "cards": cards,
        "gallery": gallery,
        "first": FIRST_PICTURES if gallery else FIRST,
        "figures": plots.calibration(one, table, float(run.get("fdr") or 0.1)),
        "rates": plots.rates(table) if line.precision else [],
        "classes": classes,
        "more_classes": more,
        "confusions": plots.confusions(data, table if label else None),
    }


def _all_pictures(cards: list[Card]) -> bool:
    return all(card.shown.picture and not card.shown.texts for card in cards)


def _whole(run: Mapping[str, Any], every: list[words.Line]) -> list[dict[str, Any]]:
    """What methods say of the dataset as a whole, issue by issue."""
    out = []
    for line in every:
        said = []
        for name, summary in run["issues"][str(line.issue)].get("summaries", {}).items():
            single, tables = facts.summary(summary)
            if single or tables:
                said.append({"method": visible(name), "single": single, "tables": tables})
        if said:
            out.append({"line": line, "said": said, "lead": line.issue in words.WHOLE and line.flagged > 0})
    return out
