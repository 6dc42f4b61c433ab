"""The main job: signals, detectors, calibration, findings; recorded in the ledger of a workspace."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dross.calibrate import Assessment, assess
from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.method import Detector
from dross.core.registry import detectors, method
from dross.core.results import Failed, Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Progress, Signals, silent
from dross.job.holding import held, is_full, made_for
from dross.job.table import COLUMNS, tabulate

if TYPE_CHECKING:
    import polars as pl

    from dross.ledger import Ledger, Version

Outcome = Findings | NotApplicable | Failed


@dataclass(frozen=True)
class Audit:
    """What is wrong with a dataset, and how sure that is.

    Attributes
    ----------
    data
        The rows that were audited.
    signals
        What was measured about them.
    assessments
        The findings of each issue with their expected error rates.
    run
        The summary: plain JSON values, the object that ``dross audit --json`` prints.
    workspace
        Where it is recorded; None when it is kept in memory only.
    """

    data: Dataset
    signals: Signals
    assessments: Mapping[Issue, Assessment]
    run: Mapping[str, Any]
    workspace: Path | None = None

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        """The findings of each issue as an Arrow table with their evidence, by issue name."""
        return {str(issue): tabulate(self.data, one) for issue, one in self.assessments.items()}

    def findings(self, issue: str | None = None, *, flagged: bool = False) -> pl.DataFrame:
        """One line per finding: row, id, issue, score, flagged, suggestion, method, expected_precision.

        Parameters
        ----------
        issue
            Only findings of this kind (``"label"``, ``"duplicate"``, …).
        flagged
            Only those in the set chosen for the false-discovery rate asked for.
        """
        import polars as pl

        from dross.ledger.runs import SCHEMA

        if issue is not None and issue not in set(Issue):
            raise DrossError(f"no issue is called {issue!r}", fix=nearest(issue, [str(i) for i in Issue]))
        chosen = [table for name, table in self.tables.items() if issue in (None, name)]
        frames = [
            pl.DataFrame(table.select(COLUMNS)).with_columns(pl.col("issue", "method").cast(pl.String))
            for table in chosen or [SCHEMA.empty_table()]
        ]
        frame = pl.concat(frames)
        return frame.filter(pl.col("flagged")) if flagged else frame

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report, a single HTML file; an existing file is replaced only if it is a dross report."""
        from dross.report import write_report

        with held(self.workspace):
            return write_report(
                Path(path), run=dict(self.run), tables=self.tables, data=self.data, signals=self.signals, proof=None
            )

    @property
    def ledger(self) -> Ledger:
        """The ledger this audit is recorded in."""
        from dross.ledger import Ledger

        if self.workspace is None:
            raise DrossError("this audit is not recorded", fix='give dross.audit(…, workspace="folder")')
        return Ledger.open(self.workspace)

    def apply(self, policy: Mapping[str, str] | None = None) -> Version | None:
        """Turn flagged findings into edits and write a new version; see :meth:`dross.Ledger.apply`."""
        return self.ledger.apply(policy, run=self.run["run"], data=self.data)

    @property
    def failed(self) -> dict[str, str]:
        """The methods that raised, with their errors."""
        return {name: m["reason"] for name, m in self.run["methods"].items() if m["status"] == "failed"}


def audit(
    data: Any = None,
    *,
    fdr: float = 0.1,
    seed: int = 0,
    only: Sequence[str] = (),
    workspace: str | Path | None = None,
    progress: Progress = silent,
    command: str = "",
    **roles: Any,
) -> Audit:
    """Find what is wrong with a dataset and estimate how far each finding can be trusted.

    Parameters
    ----------
    data
        A :class:`~dross.Dataset`, or anything :func:`dross.load` takes; ``roles`` are passed on to it.
    fdr
        The false-discovery rate to aim at, in (0, 1): the expected share of false alarms among the flagged rows.
    seed
        Seed of the planted defects.
    only
        Names of the methods to run; all that apply when empty.
    workspace
        Folder to record the run in. Default: ``.dross`` beside a file; nothing on disk for data in memory.
    progress
        Called as ``progress(what, done, total)``.
    command
        The command that reproduces the run, for the report.
    **roles
        Passed to :func:`dross.load` when ``data`` is not a dataset yet: ``label="stars"``, ``text="body"``, ``X=…``.

    Raises
    ------
    DrossError
        When an option makes no sense, the data cannot be read or gives nothing to learn from (no rows or one row, no
        label or only one), or the workspace cannot be written. Nothing is left behind then.

    Examples
    --------
    >>> import dross
    >>> from dross.testing.planted import blobs
    >>> found = dross.audit(blobs(300, flipped=0.1).data, only=["exact-duplicates"])
    >>> found.findings().height
    0
    """
    chosen = check_options(fdr=fdr, seed=seed, only=only)
    if not isinstance(data, Dataset):
        from dross.io import load

        data = load(data, **roles)
    elif roles:
        raise DrossError(
            f"{', '.join(roles)} cannot be given with a dataset, whose roles are settled", fix="give them to dross.load"
        )
    _check(data)
    folder = _workspace(data, workspace)
    with ExitStack() as stack:
        if folder is not None:
            stack.enter_context(made_for(folder))
            stack.enter_context(held(folder))
        signals = Signals(data, folder / "signals" if folder else None, progress)
        outcomes, seconds = _detect(data, signals, chosen, progress)
        found = {d.name(): (d, o) for d, o in outcomes if isinstance(o, Findings)}
        started = time.perf_counter()
        assessments = {one.issue: one for one in assess(data, signals, found, fdr, seed, progress)}
        signals.seconds["calibration"] = time.perf_counter() - started
        run = summarised(data, signals, outcomes, seconds, assessments)
        run |= {"fdr": fdr, "seed": seed, "command": command, "only": list(only)}
        result = Audit(data, signals, assessments, run, folder)
        if folder is not None:
            run["run"] = result.ledger.record(run, result.tables, data=data)
    return result


def check_options(*, fdr: float = 0.1, seed: int = 0, only: Sequence[str] = ()) -> list[Detector]:
    """The methods to run; raises :class:`DrossError` where an option of :func:`audit` makes no sense.

    >>> [detector.name() for detector in check_options(only=["exact-duplicates"])]
    ['exact-duplicates']
    """
    if not 0 < fdr < 1:
        raise DrossError(f"fdr must be a number between 0 and 1, not {fdr}", fix="0.1 means one false alarm in ten")
    if seed < 0:
        raise DrossError(f"the seed must be a whole number from 0 on, not {seed}", fix="0 is as good as any")
    return _chosen(only)


def _check(data: Dataset) -> None:
    """Refuse data that gives nothing to compare or to learn from, before anything is written."""
    where = data.source.path if data.source else None
    if len(data) < 2:
        rows = "is only one row" if len(data) else "are no rows"
        raise DrossError(f"there {rows} to audit", where=where, fix="an audit compares rows: name more of them")
    for role, known in ((Role.LABEL, _labels), (Role.TARGET, _targets)):
        if data.has(role) and len(given := known(data)) < 2:
            said = f"every {role} is {given[0]!r}" if given else f"every {role} is missing"
            raise DrossError(
                f"{said}, so there is nothing to learn",
                where=f"column {data.name_of(role)!r}" + (f" of {where}" if where else ""),
                fix=f"name another column, or audit without one: {role}=None in Python, --role {role}= in the shell",
            )
    _ = data.row_ids  # raises where an id stands on two rows


def _labels(data: Dataset) -> list[Any]:
    return data.classes[:2]


def _targets(data: Dataset) -> list[Any]:
    known = data.target[~np.isnan(data.target)]
    return [float(known.min()), float(known.max())][: 1 + bool(known.min() < known.max())] if len(known) else []


def _chosen(only: Sequence[str]) -> list[Detector]:
    if not only:
        return [kind() for kind in detectors() if kind.default]
    if isinstance(only, str):
        raise DrossError(f"only={only!r} is one text", fix=f"give a list: only=[{only!r}]")
    kinds: dict[type[Detector], None] = {}  # each once, in the order asked for
    for name in only:
        kind = method(name)
        if not issubclass(kind, Detector):
            raise DrossError(f"{name!r} does not find defects", fix="see: dross methods --verb detect")
        kinds[kind] = None
    return [kind() for kind in kinds]


def _workspace(data: Dataset, given: str | Path | None) -> Path | None:
    from dross.ledger import workspace_for

    if given is None and data.source is None:
        return None
    return workspace_for(data.source.path if data.source else None, given)


def _detect(
    data: Dataset, signals: Signals, chosen: list[Detector], progress: Progress
) -> tuple[list[tuple[Detector, Outcome]], dict[str, float]]:
    outcomes: list[tuple[Detector, Outcome]] = []
    seconds = {}
    for i, detector in enumerate(chosen):
        progress(f"detect: {detector.name()}", i, len(chosen))
        before, measured = time.perf_counter(), sum(signals.seconds.values())
        outcomes.append((detector, _run(detector, data, signals)))
        spent = time.perf_counter() - before
        seconds[detector.name()] = max(0.0, spent - (sum(signals.seconds.values()) - measured))
    progress("detect", len(chosen), len(chosen))
    return outcomes, seconds


def _run(detector: Detector, data: Dataset, signals: Signals) -> Outcome:
    """One detector; what it raises is recorded with the run, which then ends non-zero, and the others go on."""
    try:
        return detector.applies(data) or detector.run(data, signals)
    except MemoryError:
        raise
    except DrossError as problem:
        return Failed(str(problem))
    except OSError as error:
        if is_full(error):  # no fault of the method, and the next would meet it too
            raise
        return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - a third party's method may raise anything; it is recorded as failed
        return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())


def summarised(
    data: Dataset,
    signals: Signals,
    outcomes: list[tuple[Detector, Outcome]],
    seconds: Mapping[str, float],
    assessments: Mapping[Issue, Assessment],
) -> dict[str, Any]:
    """The summary of a run, plain JSON values: what was read, what each method did, what is to be expected."""
    from dross import __version__
    from dross.io import remarks

    source = data.source
    summary = {
        "dross": __version__,
        "run": None,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": {"path": source.path, "format": source.format, "options": dict(source.options)} if source else None,
        "rows": len(data),
        "task": str(data.task),
        "roles": {str(role): list(columns) for role, columns in data.roles.items()},
        "classes": [str(c) for c in data.classes] if data.has(Role.LABEL) else [],
        "fingerprint": data.fingerprint(),
        "issues": {str(issue): _issue(one) for issue, one in assessments.items()},
        "methods": {d.name(): _status(o) | {"seconds": round(seconds[d.name()], 4)} for d, o in outcomes},
        "signals": {name: round(value, 4) for name, value in signals.seconds.items()},
        "notes": remarks(data),
    }
    return {name: _plain(value) for name, value in summary.items()}


def _plain(value: Any) -> Any:
    """Plain JSON of whatever a method put into its summary; what is not a number becomes null, as JSON has no NaN."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Iterable):
        return [_plain(one) for one in value]
    return str(value)


def _status(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, NotApplicable):
        return {"status": "not applicable", "reason": outcome.reason}
    if isinstance(outcome, Failed):
        return {"status": "failed", "reason": outcome.error, "where": outcome.where}
    return {"status": "ok", "reason": ""}


def _issue(one: Assessment) -> dict[str, Any]:
    flagged = one.findings.scores[one.flagged]
    curve = one.curve
    return {
        "meaning": one.issue.meaning,
        "findings": len(one.findings),
        "flagged": int(one.flagged.sum()),
        "threshold": float(flagged.min()) if len(flagged) else None,
        "share": one.share,
        "precision": one.precision,
        "recall": one.recall,
        "methods": list(one.methods),
        "summaries": {name: dict(summary) for name, summary in one.summaries.items()},
        "note": one.note,
        "curve": curve
        and {
            "thresholds": curve.thresholds,
            "precision": curve.precision,
            "recall": curve.recall,
        },
    }
