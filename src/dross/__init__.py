"""dross: find what is wrong with training data, repair it reversibly, and prove that it helped.

>>> import dross
>>> data = dross.load({"x": [0.0, 0.1, 5.0, 5.1], "y": ["a", "a", "b", "b"]}, label="y")
>>> data.task.value
'classification'
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# Threads that compute together wait for each other after every small step, spinning at first and asleep then. GNU's
# OpenMP, which torch brings on Linux, by itself spins so long that beside other work on the same cores a small network
# trains many times slower. It is read when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

_HOMES = {
    "load": "dross.io",
    "audit": "dross.job.audit",
    "Audit": "dross.job.audit",
    "prove": "dross.job.prove",
    "train": "dross.train",
    "Ledger": "dross.ledger",
    "Desk": "dross.review.desk",
    "Dataset": "dross.core.dataset",
    "Role": "dross.core.roles",
    "Signals": "dross.core.signal",
    "DrossError": "dross.core.errors",
    "methods": "dross.core.registry",
    "labeling_function": "dross.weak",
    "ABSTAIN": "dross.weak",
}
__all__ = [
    "ABSTAIN",
    "Audit",
    "Dataset",
    "Desk",
    "DrossError",
    "Ledger",
    "Role",
    "Signals",
    "audit",
    "labeling_function",
    "load",
    "methods",
    "prove",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import dross`` stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dross' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    value = home if _HOMES[name] == f"dross.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
