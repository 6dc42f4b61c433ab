"""``dross train``: models that withstand the defects one cannot remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dross.core.dataset import Dataset
    from dross.job.training import Comparison
    from dross.models.trained import Trained

Column = Annotated[str | None, typer.Option(metavar="COLUMN", rich_help_panel="Roles (guessed when not given)")]


def command(
    data: Annotated[str, typer.Argument(help="A file, a folder, or a quoted glob of shards.")],
    method: Annotated[
        str, typer.Option(metavar="NAME", help="A method (dross methods lists them); auto chooses by cross-validation.")
    ] = "auto",
    compare: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Compare these methods, separated by commas, with the first; train none."),
    ] = None,
    text: Column = None,
    image: Column = None,
    label: Column = None,
    target: Column = None,
    split: Column = None,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=COLUMNS", help="Any other role, e.g. features=age,income. May be repeated."),
    ] = None,
    test: Annotated[
        str | None, typer.Option(metavar="FILE", help="Clean rows of your own to judge by, with the same columns.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the rows.")] = None,
    network: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="auto, mlp, cnn, vit, bag, transformer, …, hf:FOLDER, timm:MODEL."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting of the method. May be repeated."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Splits to compare on.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of weights, batches and splits.")] = 0,
    out_folder: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write the trained model; a new folder.")
    ] = None,
    edits: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the wrong labels that training found: .csv, .jsonl or .parquet."),
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="Where checkpoints are kept. Default: .dross beside the data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object.")] = False,
) -> None:
    """Train a model that withstands wrong, few or rare labels, or compare methods on the same splits."""
    from dross.cli._progress import bars
    from dross.cli._rows import like
    from dross.cli._settings import settings
    from dross.cli.audit import _print_roles, _roles
    from dross.core.errors import DrossError
    from dross.core.roles import Role
    from dross.io import load

    named = {"text": text, "image": image, "label": label, "target": target, "split": split}
    loaded = load(data, **_roles(role or [], {key: value for key, value in named.items() if value is not None}))
    _print_roles(loaded)
    options = {**settings(setting or []), **{k: v for k, v in (("epochs", epochs), ("network", network)) if v}}
    more = (Role.LABELS, Role.GROUP, Role.DOMAIN)
    judged = None if test is None else like(test, loaded, *more)
    if compare is not None and (out_folder or edits):
        raise DrossError("--compare trains no model to write", fix="leave out --out and --edits, or --compare")
    for place in (out_folder, edits):
        if place is not None and place.exists():
            raise DrossError("there is something already", where=str(place), fix="name a new place")
    if compare is not None:
        from dross.job.training import compare as run

        names = [name.strip() for name in compare.split(",") if name.strip()]
        with bars() as progress:
            found = run(loaded, names, test=judged, repeats=repeats, seed=seed, progress=progress, **options)
        _show(found, as_json)
        return
    model = _fit(loaded, method, data, workspace, {**options, "seed": seed})
    _tell(model, judged, as_json)
    if edits is not None:
        _write_edits(model, loaded, edits)
    if out_folder is not None:
        from dross.cli._console import err, inert

        model.save(out_folder)
        err().print(inert(f"Model: {out_folder}"), soft_wrap=True)


def _fit(loaded: Dataset, method: str, data: str, workspace: Path | None, options: dict[str, Any]) -> Trained:
    from contextlib import ExitStack

    from dross.cli._progress import bars
    from dross.job.holding import held, made_for
    from dross.job.training import fit
    from dross.ledger import workspace_for

    where = workspace_for(data, workspace)
    with ExitStack() as stack:
        stack.enter_context(made_for(where))
        stack.enter_context(held(where))
        progress = stack.enter_context(bars())
        return fit(loaded, method, workspace=where, progress=progress, **options)


def _show(found: Comparison, as_json: bool) -> None:
    import json

    from rich.table import Table

    from dross.cli._console import out, plain

    if as_json:
        plain(json.dumps(found.to_json(), allow_nan=False))
        return
    table = Table(show_edge=False, pad_edge=False, box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("method", no_wrap=True)
    measured = [q for q, _ in enumerate(found.metrics) if any(found.level(name, q) for name in found.methods)]
    for heading in (*(found.metrics[q] for q in measured), "gained", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in found.methods:
        levels = [found.level(name, q) for q in measured]
        cells = ["" if one is None else f"{one.estimate:.3f}" for one in levels]
        change = None if name == found.baseline else found.change(name)
        gained = "" if change is None else f"{change.estimate:+.3f} ± {change.high - change.estimate:.3f}"
        table.add_row(name, *cells, gained, f"{found.seconds[name]:.1f}")
    out().print(table)
    out().print(f"\n{found.verdict()}", soft_wrap=True)
    note = f"gained: {found.metrics[0]} over {found.baseline}, 95 % intervals corrected for splits that share rows."
    out().print(note, style="dim", soft_wrap=True)


def _tell(model: Trained, judged: Dataset | None, as_json: bool) -> None:
    import json

    from dross.cli._console import out, plain

    summary = dict(model.summary) | ({} if judged is None else {"test": model.score(judged)})
    found = None if model.edits is None else len(model.edits)
    if as_json:
        plain(json.dumps({**summary, "edits": found}, default=str))
        return
    console = out()
    auto = summary.get("auto", {})
    for name, one in auto.get("methods", {}).items():
        console.print(f"  tried {name}: {one['accuracy']['estimate']:.3f} of held-out labels", soft_wrap=True)
    last = summary["history"][-1]
    told = f"{summary['method']} on {summary['rows']:,} rows"
    told += f" and {summary['unlabelled']:,} without a label" if summary["unlabelled"] else ""
    console.print(f"{told}: loss {last['loss']:.4f} after {len(summary['history'])} epochs, {summary['seconds']:.1f} s")
    if judged is not None:
        console.print(f"Test rows: {'R²' if not model.classes else 'right'} {summary['test']:.4f}")
    if found is not None:
        console.print(f"{found:,} training labels it holds for wrong (--edits FILE writes them)")


def _write_edits(model: Trained, data: Dataset, path: Path) -> None:
    import pyarrow as pa

    from dross.cli._console import err, inert
    from dross.core.errors import DrossError
    from dross.io.write import write

    if model.edits is None:
        raise DrossError(f"{model.summary['method']} does not judge labels", fix="try elr")
    found = model.edits
    table = pa.table(
        {
            "row": found.rows,
            "id": data.keys(found.rows),
            "field": [found.field] * len(found),
            "before": [str(value) for value in found.before],
            "after": [str(value) for value in found.after],
            "confidence": found.confidence,
            "reason": [found.reason] * len(found),
        }
    )
    write(table, path)
    err().print(inert(f"Edits: {path}"), soft_wrap=True)
