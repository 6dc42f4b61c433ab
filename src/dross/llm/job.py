"""An annotation job from a YAML file, so that models can be asked without Python."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from dross.core.errors import DrossError, nearest
from dross.llm.asking import Models
from dross.llm.budget import Limits, Price
from dross.llm.prompts import TEMPLATES, Template
from dross.llm.transport import Server

_OWN = ("task", "classes", "templates", "samples", "temperature", "shots", "abstain", "combine", "seed")
_SERVER = {
    "url": str,
    "model": str,
    "key_variable": str,
    "edition": str,
    "price": dict,
    "concurrency": int,
    "timeout": float,
    "retries": int,
    "patience": float,
}
_TYPES: dict[str, type] = {
    "task": str, "classes": object, "templates": list, "samples": int, "temperature": float, "shots": int,
    "abstain": bool, "combine": str, "seed": int, "servers": list, "limits": dict,
}  # fmt: skip


def read_job(path: str | Path) -> dict[str, Any]:
    """The fields of :class:`dross.label.llm_annotation.LlmAnnotation` that a YAML file names.

    ``servers`` is a list of url, model and the like (:class:`dross.llm.transport.Server`; ``price`` with ``sent`` and
    ``answered`` per 1,000 tokens); ``limits`` may cap cost, tokens and requests; ``classes`` is a list of names or a
    map of names to meanings; ``templates`` names built-in prompts or files of one's own beside the job. A key is never
    written here: ``key_variable`` names the environment variable that holds it.

    Raises DrossError where the file cannot be read or names something unknown.
    """
    import yaml

    path = Path(path)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DrossError(f"the annotation job cannot be read: {error}", where=str(path)) from error
    where = str(path)
    job = _checked(found, _TYPES, "an annotation job", where)
    if not job.get("servers"):
        raise DrossError("an annotation job names servers", where=where, fix="give a list of url and model")
    servers = tuple(_server(one, where) for one in job["servers"])
    numbers = dict.fromkeys((f.name for f in fields(Limits)), float)
    limits = Limits(**_checked(job.get("limits", {}), numbers, "limits", where))
    made: dict[str, Any] = {name: job[name] for name in _OWN if name in job}
    if "classes" in made:
        made["classes"] = _classes(made["classes"], where)
    if "templates" in made:
        made["templates"] = tuple(_template(one, path) for one in made["templates"])
    return {**made, "models": Models(servers, limits=limits)}


def _checked(found: Any, types: dict[str, Any], what: str, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise DrossError(f"{what} must be a map of names to values", where=where)
    for name, value in found.items():
        if name not in types:
            raise DrossError(f"{what} has no {name!r}", where=where, fix=nearest(str(name), list(types)))
        kind = types[name]
        fits = (
            isinstance(value, int | float) and not isinstance(value, bool) if kind is float else isinstance(value, kind)
        )
        if not fits or (kind is int and isinstance(value, bool)):
            raise DrossError(f"{name!r} must be of type {kind.__name__}, not {value!r}", where=where)
    return found


def _server(found: Any, where: str) -> Server:
    given = dict(_checked(found, _SERVER, "a server", where))
    missing = {"url", "model"} - set(given)
    if missing:
        raise DrossError(f"a server lacks its {min(missing)}", where=where)
    price = _checked(given.pop("price", {}), {"sent": float, "answered": float}, "a price", where)
    return Server(**given, price=Price(**price))


def _classes(found: Any, where: str) -> tuple[tuple[str, str] | str, ...]:
    if isinstance(found, dict) and all(isinstance(one, str) for one in found):
        return tuple((name, str(meaning or "")) for name, meaning in found.items())
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return tuple(found)
    raise DrossError(
        "classes must be names, or names with their meanings",
        where=where,
        fix='put words that YAML reads otherwise in quotes: "yes", "no", "1"',
    )


def _template(name: Any, job: Path) -> Template | str:
    if name in TEMPLATES:
        return str(name)
    file = job.parent / str(name)
    if not file.is_file():
        raise DrossError(
            f"no prompt template or file is called {name!r}", where=str(job), fix=nearest(str(name), list(TEMPLATES))
        )
    return Template.read(file)
