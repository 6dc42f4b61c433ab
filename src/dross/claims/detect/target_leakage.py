"""Target leakage: what gives the label away is named, what merely looks so in the sample is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.target_leakage import TargetLeakage

PAPER = "Leakage in data mining: formulation, detection, and avoidance"


def entropy_removed(values: pa.Array, codes: npt.NDArray[np.int64]) -> float:
    """The usual shortcut: the share of the label's entropy that a column removes in the sample itself."""
    place = np.unique(np.asarray(values.cast(pa.string()).to_pylist(), dtype=object), return_inverse=True)[1]
    joint = np.zeros((place.max() + 1, codes.max() + 1))
    np.add.at(joint, (place, codes), 1)

    def entropy(counts: npt.NDArray[np.float64]) -> float:
        p = counts[counts > 0] / counts.sum()
        return float(-(p * np.log(p)).sum())

    gained = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint.ravel())
    return gained / entropy(joint.sum(0))


@claim(
    method="target-leakage",
    paper=PAPER,
    says="columns made from the label are named among honest ones; ids, noise and merely good features are not, which "
    "mutual information in the sample calls leaks",
)
def columns_made_from_the_label_are_named(budget: Budget) -> Evidence:
    """Three leaks (a noisy number, other words, ids with a stem) among five honest columns, 500 rows, 4 classes."""
    named, wrong, usual_named, usual_wrong = [], [], [], []
    for seed in budget.seeds:
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 4, 500)
        leaks = {
            "noisy": pa.array(3.0 * y + rng.normal(size=500) * 0.3),
            "words": pa.array([("north", "east", "south", "west")[c] for c in y]),
            "stems": pa.array([f"{'abcd'[c]}-{i:05d}" for i, c in enumerate(y)]),
        }
        honest = {
            "id": pa.array([f"{i:06d}" for i in rng.permutation(500)]),
            "noise": pa.array(rng.normal(size=500)),
            "good": pa.array(1.5 * y + rng.normal(size=500)),
            "better": pa.array(2.0 * y + rng.normal(size=500)),
            "groups": pa.array([f"g{i}" for i in rng.integers(0, 150, 500)]),
        }
        columns = {**honest, **leaks}
        table = pa.table({**columns, "label": [f"class {c}" for c in y]})
        data = Dataset(table, {Role.FEATURES: list(columns), Role.LABEL: ["label"]})
        found = TargetLeakage().run(data, Signals(data))
        assert isinstance(found, Findings)
        told = {one["column"] for one in found.summary["columns"] if one["leaks"]}
        usual = {name for name, values in columns.items() if entropy_removed(values, y) >= 0.9}
        named.append(len(told & set(leaks)) / 3)
        wrong.append(float(len(told & set(honest))))
        usual_named.append(len(usual & set(leaks)) / 3)
        usual_wrong.append(float(len(usual & set(honest))))
    measured = {
        "leaks named": interval(named),
        "honest columns named": interval(wrong),
        "leaks named, in the sample": interval(usual_named),
        "honest columns named, in the sample": interval(usual_wrong),
    }
    holds = min(named) == 1.0 and max(wrong) == 0.0 and min(usual_wrong) > 0
    return Evidence(measured, holds, budget.seeds)
