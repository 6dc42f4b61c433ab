"""Settings of methods on the command line."""

from __future__ import annotations

import json
from typing import Any

from dross.core.errors import DrossError


def settings(asked: list[str]) -> dict[str, Any]:
    """The values of ``--set``, as JSON where they are, else as text.

    >>> settings(["strength=2", "network=cnn"])
    {'strength': 2, 'network': 'cnn'}
    """
    found: dict[str, Any] = {}
    for one in asked:
        name, given, value = one.partition("=")
        if not given:
            raise DrossError(f"--set {one}: no value is given", fix="write --set NAME=VALUE")
        try:
            found[name.strip().replace("-", "_")] = json.loads(value)
        except ValueError:
            found[name.strip().replace("-", "_")] = value
    return found
