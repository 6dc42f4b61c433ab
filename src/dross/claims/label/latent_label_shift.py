"""Latent label shift: what shifts together over domains groups together, where similarity of pixels misleads."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.results import Labels
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.latent_label_shift import LatentLabelShift
from dross.signals.principal import Principal

PAPER = "Unsupervised Learning under Latent Label Shift"
CLASSES, DOMAINS, PATTERNS = 5, 10, 5
Array = npt.NDArray[Any]


@claim(
    method="latent-label-shift",
    paper=PAPER,
    says="improves on unsupervised classification; works where feature similarity does not show the true groups",
    fast=False,
)
def domains_reveal_the_classes_that_pixels_hide(budget: Budget) -> Evidence:
    """Five classes of digits over ten domains with Dirichlet(0.3) label mixes; no label is shown.

    Each picture carries one of five strong random patterns, drawn independently of class and domain, which is what
    k-means on the same vectors finds instead. Both are told that there are five classes and scored by the best matching
    of clusters to classes. Measured beside it: no patterns; and no patterns with nearly equal mixes (Dirichlet(3)),
    where the pixels do not mislead and the domains say little.
    """
    kept: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for setting, strength, alpha in (
            ("patterns", 1.0, 0.3), ("no patterns", 0.0, 0.3), ("no patterns, mild shift", 0.0, 3.0),
        ):  # fmt: skip
            ours, theirs = _one(seed, strength, alpha)
            kept.setdefault(f"accuracy, {setting}", []).append(ours)
            kept.setdefault(f"accuracy of k-means, {setting}", []).append(theirs)
            kept.setdefault(f"points over k-means, {setting}", []).append(ours - theirs)
        kept.setdefault("classes found unasked", []).append(_number(seed))
    measured = {name: interval(values) for name, values in kept.items()}
    gain, mild = measured["points over k-means, patterns"], measured["points over k-means, no patterns, mild shift"]
    plain = measured["points over k-means, no patterns"]
    holds = gain[0] >= 20 and gain[1] > 0
    winner = "k-means wins" if mild[2] < 0 else "k-means does not win"
    other = "even so this is no worse" if plain[1] > -1 else "k-means may win there too"
    note = (
        f"Where pixels do not mislead and the mixes are nearly equal, {winner} ({mild[0]:+.0f} points); "
        f"with strong shifts and no patterns, {other} ({plain[0]:+.0f} points)."
    )
    return Evidence(measured, holds, over=budget.seeds, note=note)


def _one(seed: int, strength: float, alpha: float) -> tuple[float, float]:
    from sklearn.cluster import KMeans

    data, truth = digits_in_domains(seed, strength=strength, alpha=alpha)
    signals = Signals(data)
    found = LatentLabelShift(classes=CLASSES, seed=seed).run(data, signals)
    assert isinstance(found, Labels)
    plain = KMeans(CLASSES, n_init=10, random_state=seed).fit_predict(signals[Principal()])
    return matched(found.codes, truth), matched(plain, truth)


def _number(seed: int) -> float:
    data, _ = digits_in_domains(seed, strength=1.0, alpha=0.3)
    found = LatentLabelShift(seed=seed, starts=1).run(data, Signals(data))
    return float(len(found.classes)) if isinstance(found, Labels) else 1.0


def digits_in_domains(seed: int, *, strength: float, alpha: float) -> tuple[Dataset, Array]:
    """Unlabelled digits of five classes, each picture once, spread over ten domains; and their true classes.

    A domain's label mix is drawn from a Dirichlet distribution; a class's pictures go to the domains in proportion to
    its share there. ``strength`` is the brightness of the patterns, where pixels lie in [0, 1].
    """
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    chosen = np.sort(rng.choice(10, CLASSES, replace=False))
    rows = np.flatnonzero(np.isin(y, chosen))
    X, truth = X[rows] / 16, np.searchsorted(chosen, y[rows])
    mix = rng.dirichlet(np.full(CLASSES, alpha), DOMAINS)
    domain = np.array([rng.choice(DOMAINS, p=share / share.sum()) for share in mix.T[truth]])
    patterns = strength * (rng.random((PATTERNS, 64)) < 0.5)
    X = X + patterns[rng.integers(0, PATTERNS, len(X))]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(X.astype(np.float32).ravel()), 64)
    data = Dataset(
        pa.table({"x": flat, "domain": [f"d{d}" for d in domain]}), {Role.EMBEDDING: ["x"], Role.DOMAIN: ["domain"]}
    )
    return data, truth


def matched(found: Array, truth: Array) -> float:
    """Per cent of rows that are right under the best matching of found groups to classes."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((int(found.max()) + 1, int(truth.max()) + 1))
    np.add.at(counts, (found, truth), 1)
    groups, classes = linear_sum_assignment(-counts)
    return float(100 * counts[groups, classes].sum() / len(truth))
