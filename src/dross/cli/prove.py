"""``dross prove``: whether the changes helped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dross.core.dataset import Dataset
    from dross.ledger import Ledger


def command(
    test: Annotated[
        str | None, typer.Option(metavar="FILE", help="A clean test set of your own, with the same columns.")
    ] = None,
    repeats: Annotated[int, typer.Option(help="How many splits to repeat over.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the splits and of the random edits.")] = 0,
    trainer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Train this method of dross train, not a linear model.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="With --trainer: a setting of it. May be repeated."),
    ] = None,
    workspace: Annotated[Path | None, typer.Option(help="Where the record is. Default: .dross in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the proof as one JSON object.")] = False,
) -> None:
    """Train on the raw data, on the treated data and on data with as many random edits, and compare the three."""
    import json

    from dross.cli._console import out, plain
    from dross.cli._settings import settings
    from dross.core.errors import DrossError
    from dross.job.holding import held
    from dross.ledger import Ledger, workspace_for
    from dross.report.stored import NAME, keep_proof, render_stored
    from dross.report.terminal import proof as show

    if setting and trainer is None:
        raise DrossError("--set belongs to a training method, and none was named", fix="name it with --trainer")
    with Ledger.open(workspace_for(given=workspace)) as ledger, held(ledger.workspace):
        proof = _prove(ledger, test, repeats, seed, trainer, settings(setting or []))
        kept = keep_proof(ledger, proof)
        report = ledger.workspace / NAME
        again = report.exists() and bool(ledger.runs())
        if again:
            render_stored(ledger)
    if as_json:
        plain(json.dumps(proof, ensure_ascii=False, allow_nan=False))
        return
    show(proof, out())
    out().print(f"\nProof: {kept}" + (f"\nReport: {report}" if again else ""), soft_wrap=True)


def _prove(
    ledger: Ledger, test: str | None, repeats: int, seed: int, trainer: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    from dross.cli._progress import bars
    from dross.cli._rows import like
    from dross.core.errors import DrossError
    from dross.core.signal import Signals
    from dross.job.prove import prove

    versions = ledger.versions()
    if not any(version.parent is not None for version in versions):
        raise DrossError("nothing was applied yet, so there is nothing to prove", fix="run dross apply first")
    raw, treated = ledger.base(), ledger.current()
    given = like(test, raw) if test is not None else None
    with bars() as progress:
        signals = Signals(raw, ledger.workspace / "signals", progress)
        proof = prove(
            raw,
            treated,
            test=given,
            repeats=repeats,
            seed=seed,
            wrong_labels=_wrong_labels(ledger, raw),
            trainer=trainer,
            options=options,
            signals=signals,
            progress=progress,
        )
    about = {"raw": raw.fingerprint(), "treated": treated.fingerprint(), "version": versions[-1].number}
    return {**about, "test_file": test, **proof.to_json()}


def _wrong_labels(ledger: Ledger, raw: Dataset) -> float | None:
    """The share of wrong labels that the latest audit of the same data estimates."""
    runs = ledger.runs()
    summary = ledger.run() if runs else {}
    share = summary.get("issues", {}).get("label", {}).get("share")
    return float(share[0]) if share and summary["fingerprint"] == raw.fingerprint() else None
