"""Discovery: methods are found by walking the verb folders and the entry points; there is no list to maintain."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from functools import cache
from pathlib import Path

from dross.core.errors import DrossError, nearest
from dross.core.method import Detector, Method

VERBS = (
    "detect", "label", "repair", "curate", "select", "synthesize", "train", "pretrain", "align", "infer", "evaluate",
    "forget",
)  # fmt: skip
ENTRY_POINTS = "dross.methods"


def method_files() -> dict[str, str]:
    """The module of every built-in method, by method name, without importing any.

    >>> method_files()["exact-duplicates"]
    'dross.detect.exact_duplicates'
    """
    root = Path(__file__).parent.parent
    return {
        file.stem.replace("_", "-"): f"dross.{verb}.{file.stem}"
        for verb in VERBS
        for file in sorted((root / verb).glob("[!_]*.py"))
    }


@cache
def methods() -> dict[str, type[Method]]:
    """Every method, built in or installed by others under the entry-point group ``dross.methods``, by name.

    One installed by others that cannot be imported is left out with a warning: the rest still work.
    """
    return {name: _only_method(module) for name, module in method_files().items()} | _installed()


@cache
def _installed() -> dict[str, type[Method]]:
    found: dict[str, type[Method]] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            method = entry.load()
        except Exception as error:  # noqa: BLE001 - other people's code may fail in any way
            why = f"{type(error).__name__}: {error}"
            warnings.warn(f"the method {entry.name!r} ({entry.value}) is left out: {why}", stacklevel=2)
            continue
        if entry.name in method_files():
            raise DrossError(
                f"the method name {entry.name!r} is taken", where=entry.value, fix="rename the entry point"
            )
        found[entry.name] = method
    return found


def method(name: str) -> type[Method]:
    """The method of that name or alias.

    >>> method("exact-duplicates").__name__
    'ExactDuplicates'
    """
    module = method_files().get(name)
    if module is not None:
        return _only_method(module)
    known = methods()
    aliases = {m.alias: m for m in known.values() if m.alias}
    found = known.get(name) or aliases.get(name) or known.get(name.replace("_", "-"))
    if found is None:
        raise DrossError(f"no method is called {name!r}", fix=nearest(name, sorted({*known, *aliases})))
    return found


def detectors() -> list[type[Detector]]:
    """Every detector, in order of name; methods of other verbs are not imported for it."""
    own = {name: _only_method(module) for name, module in method_files().items() if module.startswith("dross.detect.")}
    return [m for _, m in sorted((own | _installed()).items()) if issubclass(m, Detector)]


def _only_method(module: str) -> type[Method]:
    loaded = importlib.import_module(module)
    own = [
        value
        for value in vars(loaded).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module
    ]
    if len(own) != 1:
        raise DrossError(f"a method file holds exactly one method, this one {len(own)}", where=module)
    return own[0]
