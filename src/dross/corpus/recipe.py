"""Recipe: which steps go over a corpus, in which order, and which columns they read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from dross.core.errors import DrossError, nearest
from dross.core.method import Method, Selector
from dross.core.registry import method, methods
from dross.core.step import Composite, MakingStep, RowStep, Step, WholeStep

Stage = RowStep | MakingStep | WholeStep | Selector
"""What can stand in a recipe once composites are spelt out."""


@dataclass(frozen=True)
class Recipe:
    """Steps, and the columns they read.

    Attributes
    ----------
    steps
        Corpus steps, and selectors, which see all rows that are left at once, in memory.
    text
        The column that holds the text.
    id
        A column whose values name rows in the record of copies; rows are named by file and number without it.
    roles
        Columns with other roles, for selectors.
    bad_lines
        ``stop`` at a line that cannot be read, or ``drop`` it with that reason.

    Examples
    --------
    >>> recipe = Recipe.of({"text": "body", "steps": ["exact-deduplication"]})
    >>> recipe.text, recipe.labels
    ('body', ['01-exact-deduplication'])
    >>> Recipe.of({"steps": ["exact-deduplicaton"]})
    Traceback (most recent call last):
    dross.core.errors.DrossError: step 1: no method is called 'exact-deduplicaton' (in the recipe). did you mean ...?
    """

    steps: tuple[Stage, ...]
    text: str = "text"
    id: str = ""
    roles: tuple[tuple[str, str], ...] = ()
    bad_lines: str = "stop"

    def __post_init__(self) -> None:
        if self.bad_lines not in {"stop", "drop"}:
            fix = nearest(self.bad_lines, ["stop", "drop"])
            raise DrossError(f"bad_lines is {self.bad_lines!r}", where="the recipe", fix=fix)
        if not self.steps:
            raise DrossError("there are no steps", where="the recipe", fix="name at least one under steps:")

    @property
    def labels(self) -> list[str]:
        """A name for each step: its number and its method."""
        return [f"{i:02d}-{step.name()}" for i, step in enumerate(self.steps, 1)]

    @classmethod
    def of(cls, given: Any, where: str = "the recipe") -> Recipe:
        """A recipe from plain values: a list of steps, or a mapping with ``steps`` and other fields of a recipe.

        Each step is a method's name, or a mapping of the name to its fields, or a method.
        """
        plain = {"steps": given} if isinstance(given, list | tuple) else given
        if not isinstance(plain, Mapping):
            raise DrossError("a recipe is a list of steps, or has them under steps:", where=where)
        known = [one.name for one in dataclasses.fields(cls)]
        for name in plain:
            if name not in known:
                raise DrossError(f"a recipe has no field {name!r}", where=where, fix=nearest(str(name), known))
        steps = plain.get("steps") or []
        if not isinstance(steps, list | tuple):
            raise DrossError("steps: must be a list", where=where, fix="begin each line with a dash")
        stages = [stage for i, one in enumerate(steps, 1) for stage in _spelt(_step(one, i, where))]
        roles = plain.get("roles") or {}
        more = {key: str(plain[key]) for key in ("text", "id", "bad_lines") if plain.get(key)}
        return cls(tuple(stages), roles=tuple(sorted((str(k), str(v)) for k, v in dict(roles).items())), **more)

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """A recipe from a YAML file."""
        import yaml

        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise DrossError("no such recipe", where=str(path), fix="name a YAML file that lists the steps") from error
        try:
            given = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            raise DrossError(f"this is not YAML: {getattr(error, 'problem', error)}", where=f"{path}{line}") from error
        return cls.of(given, str(path))

    def plain(self) -> dict[str, Any]:
        """The recipe with every field of every step written out, as it can be read back."""
        steps: list[Any] = []
        for step in self.steps:
            set_fields = {one.name: _plain(getattr(step, one.name)) for one in dataclasses.fields(step)}
            steps.append({step.name(): set_fields} if set_fields else step.name())
        head: dict[str, Any] = {"text": self.text, "bad_lines": self.bad_lines}
        head |= {"id": self.id} if self.id else {}
        head |= {"roles": dict(self.roles)} if self.roles else {}
        return {**head, "steps": steps}


def _spelt(step: Method) -> list[Stage]:
    if isinstance(step, Composite):
        return [stage for one in step.steps() for stage in _spelt(one)]
    assert isinstance(step, RowStep | MakingStep | WholeStep | Selector)
    return [step]


def _step(one: Any, number: int, where: str) -> Method:
    if isinstance(one, Method):
        return _fit(one, number, where)
    if isinstance(one, str):
        one = {one: {}}
    if not (isinstance(one, Mapping) and len(one) == 1):
        raise DrossError(f"step {number} is not one method: {one!r}", where=where, fix="write - NAME: {FIELD: VALUE}")
    ((name, fields),) = one.items()
    try:
        found = method(str(name))
    except DrossError as error:
        usable = [key for key, kind in methods().items() if issubclass(kind, Step | Selector)]
        raise DrossError(f"step {number}: {error.what}", where=where, fix=nearest(str(name), usable)) from error
    if fields is not None and not isinstance(fields, Mapping):
        raise DrossError(f"step {number}: the fields of {name} are no mapping", where=where, fix=_usage(found))
    return _fit(configured(found, fields or {}, f"step {number}", where), number, where)


def _fit(step: Method, number: int, where: str) -> Method:
    if not isinstance(step, Step | Selector):
        what = f"step {number}: {step.name()} does not choose rows, it is of the kind {step.verb()!r}"
        raise DrossError(what, where=where, fix="dross methods lists the steps, under curate and select")
    return step


def configured(kind: type[Method], fields: Mapping[str, Any], what: str, where: str) -> Method:
    """A method with these fields, each checked against the type that the method declares."""
    types = get_type_hints(kind)
    known = [one.name for one in dataclasses.fields(kind)]
    values = {}
    for name, value in fields.items():
        if name not in known:
            raise DrossError(f"{what}: {kind.name()} has no field {name!r}", where=where, fix=nearest(str(name), known))
        values[name] = _typed(value, types[name], f"{what}: {name} of {kind.name()}", where)
    return kind(**values)


def _typed(value: Any, kind: Any, what: str, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        if inner[-1:] == (Ellipsis,):
            return tuple(_typed(item, inner[0], what, where) for item in items)
        if len(items) != len(inner):
            raise DrossError(f"{what} takes {len(inner)} values, not {len(items)}", where=where)
        return tuple(_typed(item, one, what, where) for item, one in zip(items, inner, strict=True))
    if inner and origin is not None:  # one of several types
        if value is None and type(None) in inner:
            return None
        kind = next((one for one in inner if one is not type(None)), kind)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in {int, float, str, bool} and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise DrossError(f"{what} is {value!r}, which is not of the type {kind.__name__}", where=where)
    return value


def _usage(kind: type[Method]) -> str:
    return f"its fields: {', '.join(one.name for one in dataclasses.fields(kind)) or 'none'}"


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
