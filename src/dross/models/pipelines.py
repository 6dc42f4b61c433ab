"""Steps by name, for pipelines that stand for several: methods do not import each other."""

from __future__ import annotations

from typing import Any

from dross.core.registry import method
from dross.core.step import Step


def step(name: str, **fields: Any) -> Step:
    """The step of that name with these fields.

    >>> step("exact-deduplication", column="url").column
    'url'
    """
    made = method(name)(**fields)
    assert isinstance(made, Step)
    return made
