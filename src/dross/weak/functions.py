"""Labeling functions: rules that a user writes in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, overload

from dross.core.errors import DrossError

ABSTAIN = None
"""What a rule returns where it has nothing to say."""
_collected: list[list[LabelingFunction]] = []


@dataclass(frozen=True)
class LabelingFunction:
    """A rule in Python: a function from a row to a label.

    Attributes
    ----------
    name
        What the rule is called in reports; unique among the rules applied together.
    function
        Called with a row: a mapping from column name to plain value. Returns a label, or ``ABSTAIN``; or several labels
        (one of these is right); or a mapping from label to chance that adds up to 1. With ``vectorised``, called with a
        ``pyarrow.Table`` of some of the rows, it returns one answer for each: an Arrow or NumPy array, a polars or
        pandas series or a list of labels with nulls where it abstains; or a mapping from label to an array of chances
        (NaN where it abstains).
    resources
        Given to the function as keyword arguments. A ``pathlib.Path`` among them counts as part of the rule: where the
        file changes, the rule is applied anew.
    vectorised
        Whether the function takes many rows at once.
    timeout
        Seconds the rule may take over all rows together; None for what is set for all rules.
    """

    name: str
    function: Callable[..., Any]
    resources: Mapping[str, Any] = field(default_factory=dict)
    vectorised: bool = False
    timeout: float | None = None

    def __call__(self, row: Any) -> Any:
        """The function's answer, for trying a rule out."""
        return self.function(row, **self.resources)


@overload
def labeling_function(function: Callable[..., Any], /) -> LabelingFunction: ...
@overload
def labeling_function(
    function: None = None,
    /,
    *,
    name: str | None = None,
    resources: Mapping[str, Any] | None = None,
    vectorised: bool = False,
    timeout: float | None = None,
) -> Callable[[Callable[..., Any]], LabelingFunction]: ...
def labeling_function(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    resources: Mapping[str, Any] | None = None,
    vectorised: bool = False,
    timeout: float | None = None,
) -> Any:
    """Make a function a rule; used with or without arguments. See :class:`LabelingFunction` for what they mean.

    >>> @labeling_function(name="loud", resources={"least": 3})
    ... def shouts(row, least):
    ...     return "spam" if row["text"].count("!") >= least else ABSTAIN
    >>> shouts({"text": "now!!!"}), shouts({"text": "hello!"})
    ('spam', None)
    """

    def made(f: Callable[..., Any]) -> LabelingFunction:
        called = name if name is not None else getattr(f, "__name__", "")
        if not called or not isinstance(called, str):
            raise DrossError("a labeling function has no name", fix='give one: @labeling_function(name="…")')
        if timeout is not None and not timeout > 0:
            raise DrossError(f"the rule {called!r} has a timeout of {timeout}", fix="give seconds above 0")
        rule = LabelingFunction(called, f, dict(resources or {}), vectorised, timeout)
        if _collected:
            _collected[-1].append(rule)
        return rule

    return made if function is None else made(function)


@contextmanager
def collected() -> Iterator[list[LabelingFunction]]:
    """The rules that are made while this lasts, in order: those of a file that is being imported.

    >>> with collected() as found:
    ...     a = labeling_function(name="a")(len)
    >>> found == [a]
    True
    """
    found: list[LabelingFunction] = []
    _collected.append(found)
    try:
        yield found
    finally:
        _collected.pop()
