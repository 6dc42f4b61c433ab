"""What each step of a recipe did, for people and for machines."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

REPORT = "report.json"
"""The file of a finished run that says what each step did."""


@dataclass(frozen=True)
class Stage:
    """One step.

    Attributes
    ----------
    rows_in, rows_out, changed
        Rows that came, rows that stayed, and rows of those with a value changed.
    reasons
        How many were dropped for which reason.
    seconds
        CPU time of all workers together.
    memory
        The most that one worker held while it ran the step, in bytes.
    """

    label: str
    rows_in: int = 0
    rows_out: int = 0
    changed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    memory: int = 0


@dataclass(frozen=True)
class Report:
    """A finished run.

    Attributes
    ----------
    stages
        Reading, then every step in order.
    rows_in, rows_out, bytes_in, bytes_out
        The corpus before and after; bytes on disk.
    seconds
        From beginning to end, by the clock; without the time before an interruption.
    restored
        Drops that were taken back: step, reason and number of rows.
    """

    out: str
    recipe: dict[str, Any]
    stages: list[Stage]
    rows_in: int
    rows_out: int
    bytes_in: int
    bytes_out: int
    files_in: int
    seconds: float
    engine: str
    workers: int
    restored: list[dict[str, Any]] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Report:
        """Read back what :meth:`plain` gave."""
        return cls(**{**plain, "stages": [Stage(**stage) for stage in plain["stages"]]})

    def markdown(self) -> str:
        """A page that goes with the corpus."""
        share = self.rows_out / max(1, self.rows_in)
        before, after = size(self.bytes_in), size(self.bytes_out)
        lines = [
            "# Curated corpus",
            "",
            f"{self.rows_out:,} of {self.rows_in:,} rows ({share:.1%}) in {after}, made of {self.files_in:,} files "
            f"({before}) by the recipe in `recipe.yaml`, in {duration(self.seconds)} on {self.workers} workers "
            f"({self.engine}).",
            "",
            "| step | rows in | rows out | dropped | changed | CPU time | memory |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for s in self.stages:
            counts = f"{s.rows_in:,} | {s.rows_out:,} | {1 - s.rows_out / max(1, s.rows_in):.1%} | {s.changed:,}"
            lines.append(f"| {s.label} | {counts} | {duration(s.seconds)} | {size(s.memory)} |")
        dropped = [(s.label, reason, n) for s in self.stages for reason, n in s.reasons.items()]
        if dropped:
            lines += ["", "## Why rows were dropped", "", "| step | reason | rows |", "|---|---|---:|"]
            lines += [f"| {label} | {reason.replace('_', ' ')} | {n:,} |" for label, reason, n in dropped]
        lines += [f"\n{one['rows']:,} rows that {one['step']} had dropped were put back." for one in self.restored]
        lines += [
            "",
            "Every dropped row is kept in `dropped/STEP/`, with its reason, the number behind it, what it was a copy",
            "of and where it came from. `changed/STEP/` holds the old values of changed rows, `origins/` the file and",
            "row of every row that is left. `dross restore` takes drops back.",
            "",
        ]
        return "\n".join(lines)


def stages(labels: list[str], done: list[dict[str, Any]]) -> list[Stage]:
    """What all tasks together did, step by step; the first stage is reading."""
    out = []
    for number, label in enumerate(["reading", *labels], -1):
        found = [task["steps"][str(number)] for task in done if str(number) in task["steps"]]
        reasons: Counter[str] = Counter()
        for one in found:
            reasons.update(one["reasons"])
        out.append(
            Stage(
                label,
                rows_in=sum(one["rows_in"] for one in found),
                rows_out=sum(one["rows_out"] for one in found),
                changed=sum(one["changed"] for one in found),
                reasons=dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
                seconds=round(sum(one["seconds"] for one in found), 3),
                memory=max((one["memory"] for one in found), default=0),
            )
        )
    return out


def size(count: float) -> str:
    """Bytes for people.

    >>> size(999), size(2_500_000)
    ('999 B', '2.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(5.25), duration(125), duration(7300)
    ('5.2 s', '2 min 5 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
