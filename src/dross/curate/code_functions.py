"""Functions of source files: one row of a Python file becomes one row for each of its documented functions."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.core.step import MOST_MADE, MakingStep, Rows

CODE, DOCUMENTATION, NAME, BRANCHES = "code", "documentation", "function", "branches"
_BRANCHING = (
    ast.If,
    ast.For,
    ast.While,
    ast.Try,
    ast.With,
    ast.BoolOp,
    ast.IfExp,
    ast.comprehension,
    ast.ExceptHandler,
)


def functions(source: str) -> Iterator[tuple[str, str, str, int]]:
    """Each documented function of a source: its name, its code without the documentation, that, and its branches.

    Branches are those of McCabe's cyclomatic complexity, less one. Nothing comes of what does not parse.

    >>> list(functions('def f(x):\\n    "Twice x."\\n    return 2 * x'))
    [('f', 'def f(x):\\n    return 2 * x', 'Twice x.', 0)]
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the source's own odd escapes
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        documentation = ast.get_docstring(node)
        if documentation is None:
            continue
        branches = sum(isinstance(inner, _BRANCHING) for inner in ast.walk(node))
        node.body = node.body[1:] or [ast.Pass()]
        try:
            code = ast.unparse(node)
        except (RecursionError, ValueError):
            continue
        yield node.name, code, documentation, branches


@dataclass(frozen=True)
class CodeFunctions(MakingStep):
    """Python sources become rows of functions and their documentation; what does not parse, or has none, is dropped.

    The new columns are ``code`` (without the documentation, laid out anew), ``documentation``, ``function`` (its name)
    and ``branches`` (decisions in it); the text column holds the code.

    Attributes
    ----------
    most
        Functions taken from one file, in the order of the file.
    """

    reasons: ClassVar[tuple[str, ...]] = ("no_documented_function",)

    most: int = 1000

    def writes(self) -> tuple[str, ...]:
        return (CODE, DOCUMENTATION, NAME, BRANCHES)

    def make(self, rows: Rows, ready: Any) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        """The functions of each source."""
        parents, found = [], []
        for i, source in enumerate(rows.text(self.column).to_pylist()):
            for j, one in enumerate(functions(source)):
                if j == min(self.most, MOST_MADE - 1):
                    break
                parents.append(i)
                found.append(one)
        at = np.array(parents, np.int64)
        table = rows.table.take(pa.array(at))
        name, code, documentation, branches = zip(*found, strict=True) if found else ((), (), (), ())
        columns = {
            rows.default: pa.array(code, pa.large_string()),
            CODE: pa.array(code, pa.large_string()),
            DOCUMENTATION: pa.array(documentation, pa.large_string()),
            NAME: pa.array(name, pa.large_string()),
            BRANCHES: pa.array(branches, pa.int64()),
        }
        return Rows(table, rows.default).replaced(columns).table, at
