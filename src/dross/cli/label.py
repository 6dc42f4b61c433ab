"""``dross label``: labels from rules, annotators, language models or few labels, judged before anything is trusted."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dross.core.dataset import Dataset
    from dross.core.signal import Progress

ROLES, SOURCES = "Roles (guessed when not given)", "Sources of labels"
PROMISE, NEXT = "Automatic labels, and what is left for people", "What to label next (instead of labelling)"
Column = Annotated[str | None, typer.Option(metavar="COLUMN", rich_help_panel=ROLES)]


def command(
    data: Annotated[str, typer.Argument(help="A file, a folder, or a quoted glob of shards.")],
    rules: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=SOURCES,
            help="Rules: .py (labeling functions) or .yaml. May be repeated.",
        ),
    ] = None,
    votes: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMNS",
            rich_help_panel=SOURCES,
            help="Votes that are in the data (annotators, models), one column a source, separated by commas.",
        ),
    ] = None,
    votes_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel=SOURCES, help="Votes in a file of their own: row id, annotator, label."
        ),
    ] = None,
    llm: Annotated[
        Path | None,
        typer.Option(metavar="JOB.yaml", rich_help_panel=SOURCES, help="Language models on OpenAI-compatible servers."),
    ] = None,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", rich_help_panel=SOURCES, help="Print what --llm will take; ask nothing."),
    ] = False,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The label model: auto, majority, dawid-skene, …")
    ] = "auto",
    text: Column = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=ROLES,
            help="Labels known already, perhaps on few rows: sources are measured on them and never see them.",
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=COLUMNS",
            rich_help_panel=ROLES,
            help="Any other role, e.g. features=age,income. May be repeated.",
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAMES", help="The labels that exist, separated by commas; others are errors.")
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(metavar="SHARES", help="The share of each class: ham=0.9,spam=0.1. Default: estimated."),
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long each rule may take.")] = 600.0,
    auto: Annotated[
        float | None,
        typer.Option(
            metavar="ACCURACY",
            rich_help_panel=PROMISE,
            help="Label automatically what can be at this accuracy (0.95), the rest goes to the review page. Needs "
            "--label; without any source, dross's own model learns from these labels.",
        ),
    ] = None,
    again: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, rich_help_panel=PROMISE, help="Name the N rows to send for another opinion."),
    ] = None,
    following: Annotated[
        float | None,
        typer.Option("--next", metavar="N", rich_help_panel=NEXT, help="The N rows (or cost) to label next."),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(metavar="NAME", rich_help_panel=NEXT, help="How --next chooses: auto, margin, error-reduction, …"),
    ] = "auto",
    cost: Annotated[
        str, typer.Option(metavar="COLUMN", rich_help_panel=NEXT, help="What labelling each row costs.")
    ] = "",
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="B",
            rich_help_panel=NEXT,
            help="How best to spend B (prices of one noisy label): many noisy or few right labels.",
        ),
    ] = None,
    cost_ratio: Annotated[
        float, typer.Option(metavar="R", rich_help_panel=NEXT, help="A right label costs R noisy ones.")
    ] = 10.0,
    noise: Annotated[
        float,
        typer.Option(metavar="SHARE", rich_help_panel=NEXT, help="Share of noisy labels that are wrong; 0: measured."),
    ] = 0.0,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write the rows with dross_label, dross_confidence, dross_probs and more."
        ),
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="Where to keep votes and answers. Default: .dross beside the data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write and keep nothing.")] = False,
) -> None:
    """Label rows by rules, annotators, language models or few labels: first what these are worth, then the labels."""
    from dross.cli import _label
    from dross.cli.audit import _print_roles, _roles
    from dross.io import load
    from dross.ledger import workspace_for
    from dross.weak.long import with_votes

    wants = _label.Wants(
        rules=tuple(rules or ()), job=llm, model=model, classes=_names(classes), balance=_shares(balance),
        timeout=timeout, auto=auto, again=again, out=out_file, as_json=as_json, dry_run=dry_run,
    )  # fmt: skip
    wants.check(estimate=estimate, instead=following is not None or budget is not None)
    named: dict[str, Any] = {"text": text, "label": label, "votes": _names(votes)}
    loaded = load(data, **_roles(role or [], {key: value for key, value in named.items() if value is not None}))
    _print_roles(loaded)
    columns = loaded.table.column_names
    loaded = loaded if votes_file is None else with_votes(loaded, votes_file)
    where = workspace_for(data, workspace)
    if out_file is not None:
        _check_out(out_file, where, loaded)
    if estimate:
        _label.estimate(wants, loaded, where)
        return
    lasting = bool(rules or llm or out_file) or auto is not None or following is not None or budget is not None
    with _prepared(where, keeps=lasting and not dry_run) as progress:
        if following is not None:
            _label.next_rows(wants, loaded, where, progress, budget=following, strategy=strategy, cost=cost)
            return
        if budget is not None:
            _label.spend(wants, loaded, where, progress, budget=budget, cost_ratio=cost_ratio, noise=noise)
            return
        whole = _label.labelled(wants, loaded, where, progress, columns)
    if not whole:
        raise typer.Exit(1)


@contextmanager
def _prepared(where: Path, *, keeps: bool) -> Iterator[Progress]:
    """Hold the workspace; one made for work that failed goes again, unless it keeps answers that were paid for."""
    from dross.cli._progress import bars
    from dross.core.errors import DrossError
    from dross.job.holding import held, made_for
    from dross.llm.asking import kept_answers

    failed: DrossError | None = None
    with ExitStack() as stack:
        if keeps:
            stack.enter_context(made_for(where))
            stack.enter_context(held(where))
        progress = stack.enter_context(bars())
        try:
            yield progress
        except DrossError as error:
            if not kept_answers(where / "signals"):
                raise
            failed = error
    if failed is not None:
        raise failed


def _names(given: str | None) -> list[str] | None:
    return None if given is None else [name.strip() for name in given.split(",") if name.strip()]


def _shares(given: str | None) -> dict[str, float] | None:
    from dross.core.errors import DrossError

    shares = {}
    for one in _names(given) or []:
        name, _, share = one.rpartition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise DrossError(f"--balance: {one!r} gives no share", fix="write --balance ham=0.9,spam=0.1") from None
    return shares or None


def _check_out(path: Path, workspace: Path, data: Dataset) -> None:
    """Refuse a file that could not be written before the work is done rather than after it."""
    from dross.core.errors import DrossError
    from dross.core.paths import expanded
    from dross.ledger import outputs
    from dross.weak.output import check_place

    path = expanded(path)
    if outputs.inside(workspace, path):
        raise DrossError("the labels would stand inside the workspace", where=str(path), fix="choose another folder")
    check_place(path, data, overwrite=outputs.ours(workspace, path))
