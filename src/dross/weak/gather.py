"""The rules to apply, from files and functions, checked together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.paths import expanded
from dross.core.roles import Role
from dross.io.vectors import users
from dross.weak import located, tables
from dross.weak.answers import text_of
from dross.weak.conditions import Reading
from dross.weak.functions import LabelingFunction
from dross.weak.identity import line_of
from dross.weak.process import Process
from dross.weak.tables import TableRule

LEARNED = (Role.LABEL, Role.LABELS, Role.TARGET)
Rules = str | PathLike[str] | LabelingFunction


@dataclass(frozen=True)
class Rule:
    """One rule to apply.

    Attributes
    ----------
    name, where
        What it is called, and its file and line.
    digest
        Of its source; None for a function that does not come from a file, whose votes are not stored.
    columns
        What it reads.
    timeout
        Seconds it may take; None for what is set for all.
    table, function
        The rule itself, where it is one of a YAML file or a function of this process.
    process, position
        The process of its file, and its place among the rules of that file.
    """

    name: str
    where: str
    digest: str | None
    columns: list[str]
    timeout: float | None = None
    table: TableRule | None = None
    function: LabelingFunction | None = None
    process: Process | None = None
    position: int = 0


@dataclass(frozen=True)
class Gathered:
    """The rules, the columns they see and do not see, and the classes declared (None: any label is welcome)."""

    rules: list[Rule]
    seen: list[str]
    hidden: list[str]
    classes: list[Any] | None

    @property
    def known(self) -> list[str] | None:
        """The classes as text."""
        return None if self.classes is None else [text_of(one) for one in self.classes]

    def close(self) -> None:
        """End the processes of the files."""
        for rule in self.rules:
            if rule.process is not None:
                rule.process.close()


def gather(data: Dataset, rules: Sequence[Rules], classes: Sequence[Any] | None) -> Gathered:
    """Read and check the rules. Raises DrossError with file and line.

    The columns of labels and targets are hidden: a rule that reads the answer measures nothing.
    """
    hidden = [name for role in LEARNED for name in data.roles.get(role, ())]
    visible = users(data.table)
    seen = [name for name in visible.column_names if name not in hidden]
    tops: dict[Path, located.Entry] = {}
    declared = None if classes is None else list(classes)
    files: list[Path | LabelingFunction] = []
    for one in rules:
        path = one if isinstance(one, LabelingFunction) else _file(one)
        files.append(path)
        if isinstance(path, Path) and path.suffix != ".py":
            tops[path] = located.read(path)
            more = tables.declared(tops[path])
            if more is not None and classes is None:
                declared = [*(declared or []), *(c for c in more if c not in (declared or []))]
    known = None if declared is None else [text_of(one) for one in declared]
    reading = Reading(seen, hidden, [name for name in data.roles.get(Role.TEXT, ()) if name in seen])
    found: list[Rule] = []
    try:
        for given in files:
            if isinstance(given, LabelingFunction):
                where = f"{getattr(getattr(given.function, '__code__', None), 'co_filename', '?')}:{line_of(given)}"
                found.append(Rule(given.name, where, None, seen, given.timeout, function=given))
            elif given in tops:
                made = tables.read_rules(tops[given], reading, visible.select(seen).schema, known)
                found += [Rule(t.name, t.where, t.digest, sorted(t.columns), table=t) for t in made]
            else:
                found += _of_python(given, seen)
        _distinct(found, data)
    except BaseException:
        Gathered(found, seen, hidden, declared).close()
        raise
    return Gathered(found, seen, hidden, declared)


def _file(given: str | PathLike[str]) -> Path:
    path = expanded(fspath(given))
    if not path.is_file():
        raise DrossError("there is no such file of rules", where=str(path))
    if path.suffix.lower() not in {".py", ".yaml", ".yml"}:
        raise DrossError(
            f"the suffix {path.suffix!r} names no kind of rules", where=str(path), fix="use .py, .yaml or .yml"
        )
    return path


def _of_python(path: Path, seen: list[str]) -> list[Rule]:
    process = Process(path)
    rules = process.start()
    if not rules:
        process.close()
        raise DrossError("the file holds no rules", where=str(path), fix="put @labeling_function above a function")
    return [
        Rule(told["name"], f"{path}:{told['line']}", told["digest"], seen, told["timeout"], process=process, position=i)
        for i, told in enumerate(rules)
    ]


def _distinct(rules: list[Rule], data: Dataset) -> None:
    first: dict[str, Rule] = {}
    for rule in rules:
        if rule.name in first:
            raise DrossError(
                f"two rules are called {rule.name!r}: this one and that at {first[rule.name].where}",
                where=rule.where,
                fix="give each a name of its own",
            )
        if rule.name in data.table.column_names:
            raise DrossError(
                f"the rule {rule.name!r} is called like a column of the data", where=rule.where, fix="rename the rule"
            )
        first[rule.name] = rule
