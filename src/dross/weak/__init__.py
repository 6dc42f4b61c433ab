"""Labels from rules, annotators and other weak sources: their application, their analysis, what they say together.

>>> from dross.weak import labeling_function
>>> @labeling_function
... def short(row):
...     return "spam" if len(row["text"]) < 4 else None
>>> short.name, short({"text": "hey"})
('short', 'spam')
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "ABSTAIN": "dross.weak.functions",
    "LabelingFunction": "dross.weak.functions",
    "labeling_function": "dross.weak.functions",
    "Applied": "dross.weak.apply",
    "Source": "dross.weak.apply",
    "apply_rules": "dross.weak.apply",
    "Analysis": "dross.weak.analysis",
    "analyse": "dross.weak.analysis",
    "Labelled": "dross.weak.api",
    "label": "dross.weak.api",
    "Automatic": "dross.weak.automation",
    "automatic": "dross.weak.automation",
    "ask_again": "dross.weak.opinions",
    "with_votes": "dross.weak.long",
}
__all__ = ["ABSTAIN", "Analysis", "Applied", "Automatic", "LabelingFunction", "Labelled", "Source", "analyse",
           "apply_rules", "ask_again", "automatic", "label", "labeling_function", "with_votes"]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a file of rules is read by processes that should start at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dross.weak' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
