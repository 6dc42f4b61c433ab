"""Real text that is always at hand: the documentation strings of Python's standard library."""

from __future__ import annotations

import ast
import re
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

PACKAGES = (".", "asyncio", "collections", "concurrent/futures", "email", "html", "http", "importlib", "json",
            "logging", "multiprocessing", "unittest", "urllib", "xml/dom", "xml/sax")  # fmt: skip
"""Folders of the standard library that are read."""
_LEAST = 120


@cache
def docstrings() -> tuple[str, ...]:
    """Every documentation string of the standard library, in the order of the files."""
    root = Path(sysconfig.get_paths()["stdlib"])
    return tuple(text for folder in PACKAGES for file in sorted((root / folder).glob("*.py")) for text in _in(file))


def _in(file: Path) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield text


@cache
def paragraphs() -> tuple[str, ...]:
    """The distinct paragraphs of at least 120 characters, each as one line."""
    found = (" ".join(part.split()) for text in docstrings() for part in re.split(r"\n\s*\n", text))
    return tuple(dict.fromkeys(part for part in found if len(part) >= _LEAST))


def drawn(count: int, seed: int) -> list[str]:
    """So many random paragraphs, in random order."""
    found = paragraphs()
    return [found[i] for i in np.random.default_rng((seed, 41)).permutation(len(found))[:count]]
