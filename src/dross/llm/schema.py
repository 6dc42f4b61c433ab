"""JSON-schema answers: made, read out of what a model wrote, and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from dross.core.errors import DrossError

CANNOT_TELL = "cannot tell"
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def label_schema(classes: Sequence[str], *, reason: bool = False, abstain: bool = False) -> str:
    """The schema of ``{"label": one of the classes}``, with a reason before it, or "cannot tell" among them.

    >>> label_schema(["no", "yes"])
    '{"type":"object","properties":{"label":{"type":"string","enum":["no","yes"]}},"required":["label"],"additionalProperties":false}'
    """
    allowed = [*classes, CANNOT_TELL] if abstain else list(classes)
    fields: dict[str, Any] = {"reason": {"type": "string"}} if reason else {}
    return object_schema({**fields, "label": {"type": "string", "enum": allowed}})


def object_schema(fields: dict[str, Any]) -> str:
    """The schema of an object with these fields, all required, as JSON text."""
    whole = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def parse(text: str, schema: str) -> Any:
    """The value that an answer holds; free text where there is no schema.

    A model may think aloud, add a sentence, or wrap the object in a code fence; the first object that fits counts. A
    bare class name does for an object whose one required field is a choice. Raises ValueError that says what is wrong,
    in words the model may be told.

    >>> parse('Sure! {"label": "Yes"}', label_schema(["no", "yes"]))
    {'label': 'yes'}
    >>> parse("no", label_schema(["no", "yes"]))
    {'label': 'no'}
    >>> parse('{"label": "maybe"}', label_schema(["no", "yes"]))
    Traceback (most recent call last):
        ...
    ValueError: "label" must be one of "no", "yes", not "maybe"
    """
    said = _THOUGHT.sub("", text).strip()
    if not schema:
        if not said:
            raise ValueError("the answer is empty")
        return said
    wanted = json.loads(schema)
    complaint = ""
    for found in _objects(said):
        try:
            return fitted(found, wanted)
        except ValueError as odd:
            complaint = complaint or str(odd)
    if not complaint:
        bare = _bare_choice(said, wanted)
        if bare is not None:
            return bare
    raise ValueError(complaint or "the answer holds no JSON object")


def _objects(text: str) -> list[Any]:
    """The JSON objects in a text, outermost, in order."""
    decoder = json.JSONDecoder()
    found, at = [], text.find("{")
    tries = 0
    while at >= 0 and tries < 50:  # a hostile answer may hold a million braces
        tries += 1
        try:
            value, stop = decoder.raw_decode(text, at)
            found.append(value)
        except (ValueError, RecursionError):
            stop = at + 1
        at = text.find("{", stop)
    return found


def _bare_choice(text: str, wanted: dict[str, Any]) -> dict[str, Any] | None:
    required = wanted.get("required", [])
    if len(required) != 1 or "enum" not in wanted["properties"][required[0]]:
        return None
    try:
        return {required[0]: fitted(text.strip(" \t\n\"'`.*"), wanted["properties"][required[0]])}
    except ValueError:
        return None


def fitted(value: Any, schema: dict[str, Any], name: str = "the answer") -> Any:
    """The value where it follows the schema (type, enum, properties, required, items), else ValueError.

    A choice in another case counts as the choice; fields that were not asked for are left out.
    """
    kind = schema.get("type")
    if kind is not None:
        if kind not in _TYPES:
            raise DrossError(f"the schema has the type {kind!r}", fix=f"choose one of: {', '.join(_TYPES)}")
        if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind in ("integer", "number")):
            raise ValueError(f"{name} must be of type {kind}, not {_shown(value)}")
    if "enum" in schema:
        return _chosen(value, schema["enum"], name)
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        for field in schema.get("required", []):
            if field not in value:
                raise ValueError(f'{name} lacks "{field}"')
        return {f: fitted(v, fields[f], f'"{f}"') for f, v in value.items() if f in fields} if fields else value
    if isinstance(value, list) and "items" in schema:
        return [fitted(item, schema["items"], f"an entry of {name}") for item in value]
    return value


def _chosen(value: Any, choices: list[Any], name: str) -> Any:
    if value in choices:
        return value
    same = [c for c in choices if isinstance(c, str) and isinstance(value, str) and _plain(c) == _plain(value)]
    if len(same) == 1:
        return same[0]
    raise ValueError(f"{name} must be one of {', '.join(map(_shown, choices))}, not {_shown(value)}")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "…"
