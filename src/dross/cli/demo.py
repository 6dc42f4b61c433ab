"""``dross demo``: the whole job on real data with planted defects, whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dross.job.audit import Audit
    from dross.testing.demo import Demo


def command(
    out: Annotated[Path, typer.Option(help="Folder for the data, the record and the report.")] = Path("demo"),
) -> None:
    """Audit real handwritten digits with planted defects, repair them, prove that it helped."""
    import pyarrow.parquet as pq

    from dross.cli._console import err
    from dross.cli._console import out as console
    from dross.cli._progress import bars
    from dross.cli.prove import command as prove
    from dross.core.errors import DrossError
    from dross.io import load
    from dross.io.place import placing
    from dross.job.audit import audit
    from dross.report.terminal import summary
    from dross.testing.demo import digits_with_defects

    if out.exists() and not out.is_dir():
        raise DrossError("this is a file", where=str(out), fix="name a folder with --out")
    if out.exists() and any(out.iterdir()) and not (out / ".dross").exists():
        raise DrossError("the folder holds something else", where=str(out), fix="name another one with --out")
    demo = digits_with_defects()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "digits.parquet"
    if not path.exists():
        with placing(path) as whole:
            pq.write_table(demo.table, whole)
    err().print(f"{demo.table.num_rows:,} handwritten digits with planted defects: {path}", soft_wrap=True)
    with bars() as progress:
        done = audit(load(str(path), image="image", label="label"), progress=progress, command="dross demo")
        done.report(out / ".dross" / "report.html")
    summary(dict(done.run), console())
    console().print()
    for line in compare(done, demo):
        console().print(line, soft_wrap=True)
    version = done.apply()
    if version is not None:
        changed = ", ".join(f"{count:,} × {action}" for action, count in edits(done).items())
        console().print(f"Applied, reversibly: {changed}.\n")
    prove(workspace=out / ".dross")


def edits(done: Audit) -> dict[str, int]:
    """How many edits of each action stand."""
    counted: dict[str, int] = {}
    for edit in done.ledger.log():
        if edit.active and edit.reverses is None:
            counted[edit.action] = counted.get(edit.action, 0) + 1
    return counted


def compare(done: Audit, demo: Demo) -> list[str]:
    """What was planted against what was flagged: one line for each kind."""
    import numpy as np

    found = done.findings(flagged=True)
    twins = done.findings("duplicate")["suggestion"].cast(int, strict=False).drop_nulls().to_numpy()
    anything = found["row"].unique().to_numpy()
    labels = found.filter(found["issue"] == "label")["row"].to_numpy()
    wrong, nothing = demo.planted["label"], demo.planted["outlier"]
    copies = np.isin(demo.planted["duplicate"], np.concatenate([anything, twins])).sum()
    right = np.isin(labels, np.concatenate([wrong, nothing])).sum()
    return [
        "Because the defects of this demonstration were planted, the truth is known:",
        f"  wrong labels: {np.isin(wrong, labels).sum()} of {len(wrong)} found; "
        f"{right} of {len(labels)} flagged are right",
        f"  copies: {copies} of {len(demo.planted['duplicate'])} found",
        f"  pictures of nothing, labelled at random: {np.isin(nothing, anything).sum()} of {len(nothing)} found",
    ]
