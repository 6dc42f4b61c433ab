"""YAML whose every entry knows its line, read the way people write it (``no`` and ``on`` are words, as in YAML 1.2)."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dross.core.errors import DrossError, nearest

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
MOST = 200_000
"""Entries that a file may have once its references are followed."""


@dataclass(frozen=True)
class Entry:
    """A mapping of the file.

    Attributes
    ----------
    values, lines
        Its values and on which line each key stands.
    file, line
        Where it stands.
    """

    values: dict[str, Any]
    lines: dict[str, int]
    file: Path
    line: int

    def where(self, key: str | None = None) -> str:
        """``file:line`` of a key, or of the mapping."""
        return f"{self.file}:{self.lines.get(key, self.line) if key else self.line}"

    def wrong(self, what: str, key: str | None = None, fix: str | None = None) -> DrossError:
        """An error about this place."""
        return DrossError(what, where=self.where(key), fix=fix)

    def only(self, allowed: tuple[str, ...], what: str) -> None:
        """Refuse keys other than these."""
        for key in self.values:
            if key not in allowed:
                raise self.wrong(f"{what} has no entry {key!r}", key, nearest(key, list(allowed)))

    def get(self, key: str, kinds: type | tuple[type, ...], wanted: str) -> Any:
        """The value of a key, None where it is absent; an error where it is of another kind."""
        value = self.values.get(key)
        if value is None:
            if key in self.values:
                raise self.wrong(f"{key!r} is empty", key, f"give {wanted}")
            return None
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in allowed):
            raise self.wrong(f"{key!r} must be {wanted}", key)
        return value

    def texts(self, key: str) -> list[str]:
        """The value of a key as a list of texts; one text is a list of one."""
        value = self.values.get(key)
        values = value if isinstance(value, list) else [value]
        if not values or any(isinstance(one, list | Entry) or one is None for one in values):
            raise self.wrong(f"{key!r} must be a text or a list of texts", key)
        return [one if isinstance(one, str) else str(one) for one in values]


def read(path: Path) -> Entry:
    """Read a YAML file whose top level is a mapping. Raises DrossError with file and line."""
    yaml = _yaml()
    try:
        node = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise DrossError(f"cannot read the rules: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise DrossError("the file of rules is not UTF-8", where=str(path), fix="save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise DrossError(f"this is not YAML: {problem}", where=where, fix="check indentation and quotes") from error
    if node is None:
        raise DrossError("the file holds no rules", where=str(path), fix="list them under rules:")
    top = _Reader(yaml, path).value(node)
    if not isinstance(top, Entry):
        raise DrossError("the file must begin with entries such as rules:", where=f"{path}:1")
    return top


def _yaml() -> Any:
    try:
        return importlib.import_module("yaml")
    except ModuleNotFoundError as error:
        raise DrossError(
            "rules in YAML need the library 'pyyaml'", fix="Install it with: pip install pyyaml"
        ) from error


class _Reader:
    def __init__(self, yaml: Any, path: Path) -> None:
        self.yaml, self.path = yaml, path
        self.count = 0
        self.open: set[int] = set()

    def value(self, node: Any) -> Any:
        self.count += 1
        if self.count > MOST or id(node) in self.open:
            raise DrossError(
                "references (*name) make this file endless or too large", where=f"{self.path}:{_line(node)}"
            )
        if isinstance(node, self.yaml.ScalarNode):
            return _scalar(node)
        self.open.add(id(node))
        found: Any
        if isinstance(node, self.yaml.SequenceNode):
            found = [self.value(child) for child in node.value]
        else:
            found = self._mapping(node)
        self.open.discard(id(node))
        return found

    def _mapping(self, node: Any) -> Entry:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self.value(key_node)
            if isinstance(key, list | Entry):
                raise DrossError("a list cannot be a key", where=f"{self.path}:{_line(key_node)}")
            key = "" if key is None else str(key_node.value)
            if key in values:
                raise DrossError(f"{key!r} stands here twice", where=f"{self.path}:{_line(key_node)}")
            values[key], lines[key] = self.value(value_node), _line(key_node)
        return Entry(values, lines, self.path, _line(node))


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: Any) -> Any:
    text: str = node.value
    if node.style is not None:  # quoted, or a block of text
        return text
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE", "false", "False", "FALSE"}:
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
