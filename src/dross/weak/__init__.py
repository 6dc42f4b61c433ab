"""Labels from rules: labeling functions in Python, rules in YAML, their application and their analysis.

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
}
__all__ = ["ABSTAIN", "Analysis", "Applied", "LabelingFunction", "Labelled", "Source", "analyse", "apply_rules",
           "label", "labeling_function"]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a file of rules is read by processes that should start at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dross.weak' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
