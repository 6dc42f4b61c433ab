"""What a rule in a Python file consists of: its own source, and whatever of the file (and beside it) it uses.

A rule is applied anew when this changes and only then: neither when another rule of the file is edited, nor when a
comment is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dross.core.hashing import digest
from dross.weak.functions import LabelingFunction

_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Parts:
    """The top-level statements of a Python file, by the names they bind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.bound: dict[str, list[int]] = {}
        self.loose: list[int] = []
        for place, statement in enumerate(self.tree.body):
            names = set(_binds(statement))
            for name in names:
                self.bound.setdefault(name, []).append(place)
            if not names or not isinstance(statement, (*_DEFINES, ast.Import, ast.ImportFrom, ast.Assign)):
                self.loose.append(place)  # it may change what others bind

    def used_by(self, name: str) -> list[ast.stmt]:
        """The statements that bind a name, and those that bind what they use, and so on, in the file's order."""
        waiting, used = [*self.bound.get(name, ()), *self.bound.get("*", ())], set[int]()
        mentions = {place: _mentions(self.tree.body[place]) for place in self.loose}
        while waiting:
            place = waiting.pop()
            if place in used:
                continue
            used.add(place)
            names = _mentions(self.tree.body[place])
            waiting += [other for one in names for other in self.bound.get(one, ())]
            own = set(_binds(self.tree.body[place]))
            waiting += [other for other, said in mentions.items() if said & own]
        return [self.tree.body[place] for place in sorted(used)]


def identity(rule: LabelingFunction, parts: Parts) -> str:
    """A digest of all that decides what the rule answers, as far as that can be read from files."""
    name = getattr(rule.function, "__qualname__", "")
    found = parts.used_by(name) if name in parts.bound else []
    if not any(isinstance(one, _DEFINES) and one.name == name for one in found):
        found = parts.tree.body  # made by a factory, or a lambda: everything may matter
    told = [rule.name, str(rule.vectorised), *(ast.dump(_untimed(one)) for one in found)]
    told += [_of_resource(key, value) for key, value in sorted(rule.resources.items())]
    told += [digest(file.read_bytes()) for file in _beside(found, parts.path.parent)]
    return digest(*told)


def line_of(rule: LabelingFunction) -> int:
    """The line on which the rule's function begins; 0 where it has none."""
    return int(getattr(getattr(rule.function, "__code__", None), "co_firstlineno", 0))


def _untimed(statement: ast.stmt) -> ast.stmt:
    """The statement without the timeout of a rule, which does not change what it answers."""
    for call in getattr(statement, "decorator_list", ()):
        if isinstance(call, ast.Call):
            call.keywords = [given for given in call.keywords if given.arg != "timeout"]
    return statement


def _of_resource(key: str, value: Any) -> str:
    if isinstance(value, Path):
        return f"{key}={digest(value.read_bytes()) if value.is_file() else value}"
    plain = isinstance(value, str | int | float | bool | list | tuple | dict | None)
    return f"{key}={value!r}" if plain else f"{key}:{type(value).__qualname__}"


def _binds(statement: ast.stmt) -> Iterable[str]:
    if isinstance(statement, _DEFINES):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in statement.names]
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _mentions(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _beside(statements: list[ast.stmt], folder: Path) -> list[Path]:
    """The files beside the rules that the statements import, and those that these import."""
    found: dict[Path, None] = {}
    waiting = list(statements)
    while waiting:
        for node in ast.walk(waiting.pop()):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                file = folder / (name.replace(".", "/") + ".py")
                if file.is_file() and file not in found:
                    found[file] = None
                    waiting += ast.parse(file.read_text(encoding="utf-8")).body
    return sorted(found)
