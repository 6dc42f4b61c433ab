"""Real text that is always there: the docstrings of Python's standard library and of the libraries dross stands on."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import itertools
import re
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LEFT_OUT = {
    "tests",
    "test",
    "testing",
    "idlelib",
    "lib2to3",
    "site-packages",
    "turtledemo",
    "externals",
    "__pycache__",
}
SCIENTIFIC = ("numpy", "scipy", "sklearn")


@dataclass(frozen=True)
class Docstring:
    """One docstring: the dotted module it stands in, the name of what it describes ("" for the module), its text."""

    module: str
    name: str
    text: str


@functools.cache
def docstrings(package: str) -> tuple[Docstring, ...]:
    """The docstrings of an installed package, or of the standard library (``"python"``), in order of file.

    Sources are parsed, not imported. A text that stands in several places (an inherited method) is kept once.
    """
    seen: set[str] = set()
    found = []
    for root, file in _files(package):
        module = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for name, text in _parse(file):
            key = " ".join(text.split())
            if key not in seen:
                seen.add(key)
                found.append(Docstring(module, name, text))
    return tuple(found)


def _files(package: str) -> Iterator[tuple[Path, Path]]:
    if package == "python":
        root = Path(sysconfig.get_paths()["stdlib"])
        start = root
    else:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        start = Path(spec.origin).parent
        root = start.parent
    for file in sorted(start.rglob("*.py")):
        if not _LEFT_OUT & set(file.relative_to(start).parts) and not file.name.startswith("test_"):
            yield root, file


def _parse(file: Path) -> Iterator[tuple[str, str]]:
    source = file.read_text(encoding="utf-8", errors="replace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes in other people's strings
        try:
            tree = ast.parse(source)
        except SyntaxError:
            return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield getattr(node, "name", ""), inspect.cleandoc(text)


@functools.cache
def topics(least: int = 25) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Documentation by topic: what each module or subpackage says of itself in one line, and its other docstrings.

    Topics with fewer than ``least`` docstrings of 60 characters are left out.
    """
    described: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    for package in ("python", *SCIENTIFIC):
        for doc in docstrings(package):
            parts = doc.module.split(".")
            topic = parts[0] if package == "python" else ".".join(parts[:2])
            if topic.rpartition(".")[2].startswith("_"):
                continue
            if doc.name and len(doc.text) > 60:
                texts.setdefault(topic, []).append(doc.text)
            elif not doc.name and doc.module == topic:
                described[topic] = first_words(doc.text)
    return {t: (described[t], tuple(texts[t])) for t in sorted(described) if len(texts.get(t, ())) >= least}


def first_words(text: str) -> str:
    """The first line with words in it, without markup.

    >>> first_words("=== Signals (:mod:`scipy.signal`) ===")
    'Signals mod scipy.signal'
    """
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if re.search("[a-z]{3}", line) and not line.startswith(".. ")]
    return " ".join(re.sub(r"[^\w.,' -]", " ", lines[0]).split()) if lines else ""


@functools.cache
def stretches() -> dict[str, tuple[str, ...]]:
    """What stands under each heading of the numpydoc standard in the scientific libraries, by heading."""
    found: dict[str, list[str]] = {}
    for package in SCIENTIFIC:
        for doc in docstrings(package):
            under = ""
            kept: list[str] = []
            lines = [*doc.text.splitlines(), "", "---"]
            for line, following in itertools.pairwise(lines):
                if _RULE.match(following.strip()):
                    found.setdefault(under, []).append("\n".join(kept))
                    under, kept = line.strip(), []
                elif not _RULE.match(line.strip()):
                    kept.append(line)
    return {name: tuple(texts) for name, texts in found.items()}


_RULE = re.compile(r"^-{3,}$")
