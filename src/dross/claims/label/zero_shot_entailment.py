"""Zero-shot entailment: texts of labels never seen are told apart by what the labels are called."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.label._docstrings import topics
from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.zero_shot_entailment import ZeroShotEntailment

PAPER = "Benchmarking Zero-shot Text Classification: Datasets, Evaluation and Entailment Approach"
PER_TOPIC = 30
Names = npt.NDArray[np.object_]


@claim(
    method="zero-shot-entailment",
    paper=PAPER,
    says="a classifier of text and label pairs, taught on seen labels, classifies texts of labels it never saw",
    fast=False,
)
def labels_never_seen_are_told_apart(budget: Budget) -> Evidence:
    """Docstrings of some 80 modules and packages; a quarter of these have no labelled text.

    Each is described by its name and the first line of its own documentation. Accuracy on the unseen labels' texts is
    given apart for both settings of the paper: with only the unseen labels to choose from, and with all. Baselines:
    chance, similarity without any training, and the same classifier with the descriptions dealt out at random.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name, value in _one(seed).items():
            kept.setdefault(name, []).append(value)
    measured = {name: interval(values) for name, values in kept.items()}
    gain = [a - c for a, c in zip(kept["fully unseen"], kept["fully unseen, chance"], strict=True)]
    measured["fully unseen, points above chance"] = interval(100 * np.array(gain))
    holds = (
        measured["fully unseen, points above chance"][1] >= 20
        and measured["partially unseen, unseen labels"][1] > measured["fully unseen, chance"][0]
        and measured["fully unseen, descriptions dealt at random"][0] < measured["fully unseen"][1]
    )
    note = (
        "Training adds little to similarity alone on these texts: compare 'without training'. The default scorer knows "
        "no language but the rows'; the paper's is a BERT taught entailment."
    )
    return Evidence(measured, holds, over=budget.seeds, note=note)


def _one(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    known = topics()
    names = list(known)
    unseen = set(rng.permutation(names)[: len(names) // 4].tolist())
    rows = [(t, known[t][1][i]) for t in names for i in rng.permutation(len(known[t][1]))[:PER_TOPIC]]
    truth: Names = np.array([t for t, _ in rows], object)
    of_unseen = np.isin(truth, list(unseen))
    hidden = of_unseen | (rng.random(len(rows)) < 0.2)
    given = pa.array(truth.tolist(), mask=hidden)
    data = Dataset(
        pa.table({"text": [x for _, x in rows], "label": given}), {Role.TEXT: ["text"], Role.LABEL: ["label"]}
    )
    signals = Signals(data)
    about = {t: f"{t.rpartition('.')[2].replace('_', ' ')}, {known[t][0]}" for t in names}
    dealt = dict(zip(names, rng.permutation(list(about.values())).tolist(), strict=True))
    found = ZeroShotEntailment(descriptions=tuple(about.items()), seed=seed).run(data, signals)
    mixed = ZeroShotEntailment(descriptions=tuple(dealt.items()), seed=seed).run(data, signals)
    bare = Dataset(data.table.select(["text"]), {Role.TEXT: ["text"]})
    own = tuple((t, about[t]) for t in names if t in unseen)
    plain = ZeroShotEntailment(descriptions=own).run(bare, Signals(bare))
    assert isinstance(found, Labels)
    assert isinstance(mixed, Labels)
    assert isinstance(plain, Labels)
    said: Names = np.array(found.classes, object)[found.codes]
    return {
        "fully unseen": _among(found, unseen, of_unseen, truth),
        "fully unseen, chance": 1 / len(unseen),
        "fully unseen, without training": _among(plain, unseen, of_unseen, truth),
        "fully unseen, descriptions dealt at random": _among(mixed, unseen, of_unseen, truth),
        "fully unseen, as estimated by hiding seen labels": found.summary["label_fully_unseen"]["accuracy"],
        "partially unseen, seen labels": float((said == truth)[hidden & ~of_unseen].mean()),
        "partially unseen, unseen labels": float((said == truth)[of_unseen].mean()),
        "labels to choose from": float(len(names)),
    }


def _among(found: Labels, labels: set[str], rows: npt.NDArray[np.bool_], truth: Names) -> float:
    """Accuracy on some rows with only some labels to choose from."""
    columns = np.flatnonzero([name in labels for name in found.classes])
    best = found.probs[np.ix_(np.flatnonzero(rows), columns)].argmax(axis=1)
    return float((np.array(found.classes, object)[columns][best] == truth[rows]).mean())
