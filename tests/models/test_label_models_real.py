"""The default label model on real votes: never far below the majority vote, and near the best that is measured."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.realdata import real

from dross.models.label_models import fit
from dross.models.votes import from_matrix

SETS = {"ws_youtube": 91.6, "ws_sms_rules": 96.9, "ws_hausa": 50.8, "bluebird": 89.8, "rte": 92.8, "SP": 91.7}
"""The best accuracy of any model, of dross or another package, in docs/benchmarks.md."""


def benchmark(name: str) -> Any:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.data
def test_the_default_is_near_the_best_and_not_below_the_majority_on_real_votes() -> None:
    for name in ("ws_youtube", "ws_sms_rules", "ws_hausa", "ws_cosine", "crowd_truth_inference"):
        real(name)
    sets, models = benchmark("label_model_sets"), benchmark("label_models")
    known = dict(sets.crowds()) | {name: sets.rules(name) for name in SETS if name.startswith("ws_")}
    for name, best in SETS.items():
        votes, truth, k = known[name]
        given = from_matrix(np.asarray(votes), k)
        right = {model: models.accuracy(fit(model, given).probs, votes, truth) for model in ("auto", "majority")}
        assert right["auto"] >= right["majority"] - 0.5, name
        assert right["auto"] >= best - 1.05, name  # the table is rounded
