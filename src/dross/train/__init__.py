"""Trainers: one method a file, each fitting a model that withstands some defect of its data.

>>> import dross
>>> from dross.testing.planted import blobs
>>> model = dross.train.fit(blobs(200).data, "cross-entropy", epochs=5)
>>> model.classes[0], round(model.score(blobs(200).data), 1) > 0.8
('class 0', True)
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "fit": "dross.job.training",
    "compare": "dross.job.training",
    "load": "dross.models.trained",
    "Classifier": "dross.models.estimator",
}
__all__ = ["Classifier", "compare", "fit", "load"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dross.train' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
