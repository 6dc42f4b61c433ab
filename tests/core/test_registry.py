"""Discovery of methods, built in and installed by others."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from dross.core import registry
from dross.core.errors import DrossError
from dross.detect.exact_duplicates import ExactDuplicates


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    points: list[EntryPoint] = []

    def found(**chosen: Any) -> EntryPoints:
        return EntryPoints(points).select(**chosen)

    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    for kept in (registry.methods, registry._installed):
        kept.cache_clear()
    yield points
    for kept in (registry.methods, registry._installed):
        kept.cache_clear()


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, registry.ENTRY_POINTS)


def test_one_installed_by_others_stands_among_the_rest(installed: list[EntryPoint]) -> None:
    installed.append(point("theirs", "dross.detect.exact_duplicates:ExactDuplicates"))
    assert registry.methods()["theirs"] is ExactDuplicates


@pytest.mark.parametrize("value", ["no_such_package.method:Method", "dross.detect.exact_duplicates:NoSuchName"])
def test_one_that_cannot_be_imported_is_named_and_left_out(installed: list[EntryPoint], value: str) -> None:
    installed.append(point("theirs", value))
    with pytest.warns(UserWarning, match=f"'theirs' .{value}. is left out"):
        found = registry.methods()
    assert "theirs" not in found
    assert "exact-duplicates" in found


def test_one_named_like_a_built_in_one_is_refused(installed: list[EntryPoint]) -> None:
    installed.append(point("exact-duplicates", "dross.detect.exact_duplicates:ExactDuplicates"))
    with pytest.raises(DrossError, match="is taken"):
        registry.methods()
