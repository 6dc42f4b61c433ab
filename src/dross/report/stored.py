"""Reports and proofs of a workspace: what was recorded, read back and rendered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dross.core.errors import DrossError

if TYPE_CHECKING:
    from dross.ledger import Ledger

NAME = "report.html"
PROOFS = "proofs"


def render_stored(ledger: Ledger, out: Path | None = None, run: str | None = None) -> Path:
    """Write the report of a recorded run (the latest by default), with the newest proof about the same data.

    ``out`` is the file to write; by default ``report.html`` in the workspace.
    """
    from dross.core.signal import Signals
    from dross.report.build import write_report

    summary = ledger.run(run)
    data = ledger.base(summary["run"])
    tables = {issue: ledger.findings(summary["run"], issue, evidence=True) for issue in summary["issues"]}
    if len(data) != summary["rows"]:
        raise DrossError(
            f"the run is about {summary['rows']:,} rows and the data has {len(data):,} now",
            where=str(ledger.workspace),
            fix="audit the data again",
        )
    signals = Signals(data, ledger.workspace / "signals")
    proof = newest_proof(ledger, summary["fingerprint"])
    return write_report(
        out or ledger.workspace / NAME, run=summary, tables=tables, data=data, signals=signals, proof=proof
    )


def keep_proof(ledger: Ledger, proof: Mapping[str, Any]) -> Path:
    """Store a proof under the next free number; it appears whole or not at all."""
    from dross.ledger.files import explained, publish_file

    folder = ledger.workspace / PROOFS
    with explained("the proof cannot be kept", folder):
        folder.mkdir(exist_ok=True)
        number = max((int(file.stem) for file in _numbered(folder)), default=0) + 1
        path = folder / f"{number}.json"
        text = json.dumps({"proof": number, **proof}, ensure_ascii=False, indent=1, allow_nan=False)
        publish_file(path, lambda file: _write(file, text))
    return path


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _numbered(folder: Path) -> list[Path]:
    return sorted((f for f in folder.glob("*.json") if f.stem.isdigit()), key=lambda file: int(file.stem))


def newest_proof(ledger: Ledger, fingerprint: str) -> dict[str, Any] | None:
    """The last proof about raw data of this fingerprint; it says so where the edits have changed since."""
    for file in reversed(_numbered(ledger.workspace / PROOFS)):
        try:
            proof: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DrossError(f"a proof cannot be read: {error}", where=str(file), fix="delete that file") from error
        if proof.get("raw") == fingerprint:
            latest = max((v.number for v in ledger.versions()), default=None)
            if latest != proof.get("version"):
                proof["notes"] = [*proof["notes"], "Edits were made or taken back since; run dross prove again."]
            return proof
    return None
