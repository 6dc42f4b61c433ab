"""Prove: real corrections help and more than placebo edits do; the test raises few false alarms and is not blind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.core.dataset import Dataset
from dross.core.statistics import wilson
from dross.job.prove import Proof, prove
from dross.testing.planted import Planted, digits, flip, table_dataset

ROWS = 700
NULLS = 12
"""Null proofs per seed and set."""
TESTED = 0.3
"""The share of the rows that becomes a clean test set where one is given."""


def breast_cancer(flipped: float, seed: int) -> Planted:
    """scikit-learn's 569 tumours, 30 measurements each, scaled, with a share of labels flipped."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    truth = y.astype(np.int32)
    labels, rows = flip(truth, 2, flipped, np.random.default_rng(seed))
    return Planted(table_dataset(X, labels.astype(str)), rows, truth)


def some(planted: Planted, n: int, seed: int) -> Planted:
    """A random part of the rows."""
    assert planted.truth is not None
    chosen = np.sort(np.random.default_rng(seed).choice(len(planted.data), n, replace=False))
    wrong = np.zeros(len(planted.data), bool)
    wrong[planted.rows] = True
    return Planted(planted.data.take(chosen), np.flatnonzero(wrong[chosen]), planted.truth[chosen])


def relabelled(data: Dataset, codes: npt.NDArray[np.int32]) -> Dataset:
    """The data with other labels."""
    names = pa.array([str(c) for c in data.classes])
    return data.with_column("label", pa.chunked_array([names.take(pa.array(codes))]))


def partly_corrected(planted: Planted, share: float, seed: int) -> Dataset:
    """What a fallible cleaner leaves: a share of the wrong labels put right, and a tenth as many right ones spoilt."""
    assert planted.truth is not None
    rng = np.random.default_rng(seed)
    codes, k = planted.data.codes.copy(), len(planted.data.classes)
    found = rng.choice(planted.rows, round(share * len(planted.rows)), replace=False)
    codes[found] = planted.truth[found]
    sound = np.setdiff1d(np.arange(len(codes)), planted.rows)
    spoilt = rng.choice(sound, len(found) // 10, replace=False)
    codes[spoilt] = (codes[spoilt] + rng.integers(1, k, len(spoilt))) % k
    return relabelled(planted.data, codes)


def randomly_edited(data: Dataset, share: float, seed: int) -> Dataset:
    """Random edits: half of them drop a row, half give it another label."""
    rng = np.random.default_rng(seed)
    n, k = len(data), len(data.classes)
    rows = rng.permutation(n)[: round(share * n)]
    half = len(rows) // 2
    codes = data.codes.copy()
    codes[rows[:half]] = (codes[rows[:half]] + rng.integers(1, k, half)) % k
    return relabelled(data, codes).take(np.sort(np.setdiff1d(np.arange(n), rows[half:])))


def shifted(planted: Planted, rate: float, seed: int, only: int | None = None) -> Planted:
    """Sound data with a share of the labels (of one class, if ``only``) turned into the next class."""
    assert planted.truth is not None
    truth, k = planted.truth, len(planted.data.classes)
    pool = np.arange(len(truth)) if only is None else np.flatnonzero(truth == only)
    rows = np.sort(np.random.default_rng(seed).choice(pool, round(rate * len(pool)), replace=False))
    codes = truth.copy()
    codes[rows] = (codes[rows] + 1) % k
    return Planted(relabelled(planted.data, codes), rows, truth)


def uniform(seed: int) -> dict[str, Planted]:
    """The two real sets with a quarter of their labels flipped to any other class."""
    return {"digits": some(digits(0.25, seed), ROWS, seed), "breast cancer": breast_cancer(0.25, seed)}


def systematic(seed: int) -> dict[str, Planted]:
    """The same with class-dependent errors: digits called the next one up, malignant tumours called benign."""
    sound = some(digits(0.0, seed), ROWS, seed)
    return {
        "digits": shifted(sound, 0.25, seed),
        "breast cancer": shifted(breast_cancer(0.0, seed), 0.4, seed, only=0),
    }


def on_clean_rows(planted: Planted, treated: Dataset, seed: int) -> Proof:
    """Prove the treatment of a part of the rows on the others with their true labels."""
    assert planted.truth is not None
    order = np.random.default_rng(seed).permutation(len(planted.data))
    held, train = np.sort(order[: round(TESTED * len(order))]), np.sort(order[round(TESTED * len(order)) :])
    clean = relabelled(planted.data, planted.truth).take(held)
    return prove(planted.data.take(train), treated.take(train), test=clean, seed=seed)


def gains(proofs: list[Proof], change: str) -> tuple[float, float, float]:
    """The mean change of accuracy over proofs, with its interval."""
    return interval([getattr(proof.scores[0], change).estimate for proof in proofs])


@claim(
    method="prove",
    says="corrections of systematic errors are called helpful, and do more than as many random edits of the same kinds",
)
def real_corrections_help(budget: Budget) -> Evidence:
    """Put 80 % of class-dependent errors right (and spoil some right labels); prove it on clean test rows."""
    measured: dict[str, float | tuple[float, float, float]] = {}
    holds = True
    for name in systematic(0):
        made = [(s, systematic(s)[name]) for s in budget.seeds]
        proofs = [on_clean_rows(planted, partly_corrected(planted, 0.8, s), s) for s, planted in made]
        gain, over = gains(proofs, "treated_minus_raw"), gains(proofs, "treated_minus_placebo")
        called = float(np.mean([proof.verdict == "helped" for proof in proofs]))
        measured |= {f"{name}: gain": gain, f"{name}: over the placebo": over, f"{name}: called helpful": called}
        holds &= gain[1] > 0 and over[1] > 0 and called >= 0.8
    note = (
        "the placebo itself helps here: edits of the same class-to-class counts undo a part of the shift whichever"
        " rows they hit, which is why beating raw alone is not called helpful"
    )
    return Evidence(measured, holds=holds, over=budget.seeds, note=note)


@claim(
    method="prove",
    says="where errors are spread at random, as many random edits of the same kinds do not help; real ones do better",
)
def placebo_edits_do_not_help(budget: Budget) -> Evidence:
    """A quarter of all labels flipped to any class, 80 % of them put right; proven on uncleaned test rows."""
    measured: dict[str, float | tuple[float, float, float]] = {}
    holds = True
    for name in uniform(0):
        made = [(s, uniform(s)[name]) for s in budget.seeds]
        proofs = [prove(planted.data, partly_corrected(planted, 0.8, s), seed=s) for s, planted in made]
        gain, chance = gains(proofs, "treated_minus_raw"), gains(proofs, "placebo_minus_raw")
        over = gains(proofs, "treated_minus_placebo")
        measured |= {f"{name}: placebo gain": chance, f"{name}: gain": gain, f"{name}: over the placebo": over}
        holds &= chance[0] <= 0 and over[1] > 0 and all(proof.verdict != "hurt" for proof in proofs)
    note = "a well held back linear model averages such errors out, so putting them right gains it little"
    return Evidence(measured, holds=holds, over=budget.seeds, note=note)


@claim(
    method="prove",
    says="random edits are told from the placebo, or called helpful, in at most 7 % of proofs",
    fast=False,
)
def random_edits_raise_few_false_alarms(budget: Budget) -> Evidence:
    """Prove random edits many times: treated and placebo are then two draws of one thing."""
    rejected, helped = [], []
    for seed in budget.seeds:
        for i in range(NULLS):
            draw = 1000 * seed + i
            for planted in uniform(draw).values():
                proof: Proof = prove(planted.data, randomly_edited(planted.data, 0.1, draw), seed=draw)
                rejected.append(proof.scores[0].treated_minus_placebo.p < 0.05)
                helped.append(proof.verdict == "helped")
    n = len(rejected)
    low, high = wilson([sum(rejected), sum(helped)], [n, n])
    measured = {
        "told from the placebo at the 5 % level": (float(np.mean(rejected)), float(low[0]), float(high[0])),
        "called helpful": (float(np.mean(helped)), float(low[1]), float(high[1])),
    }
    holds = float(np.mean(rejected)) <= 0.07 and float(np.mean(helped)) <= 0.07
    note = f"{n} proofs; the corrected test is meant to be cautious"
    return Evidence(measured, holds=holds, over=budget.seeds, note=note)


@claim(
    method="prove",
    says="a change on clean labels can be read from uncleaned ones: the measured change divided by the slope",
    fast=False,
)
def the_change_on_clean_labels_is_foretold(budget: Budget) -> Evidence:
    """Wreck 40 % of the training labels of digits; compare the loss foretold from noisy test rows with the true one."""
    foretold, true = [], []
    for seed in budget.seeds:
        planted = digits(0.25, seed)
        assert planted.truth is not None
        order = np.random.default_rng(seed).permutation(len(planted.data))
        train, rest = np.sort(order[:1000]), np.sort(order[1000:])
        data, clean = planted.data, relabelled(planted.data, planted.truth)
        codes = data.codes.copy()
        wrecked = order[:400]
        codes[wrecked] = (planted.truth[wrecked] + 1) % 10
        treated = relabelled(data, codes)
        noisy = prove(data.take(train), treated.take(train), test=data.take(rest), seed=seed)
        sound = prove(data.take(train), treated.take(train), test=clean.take(rest), seed=seed)
        foretold.append(noisy.scores[0].treated_minus_raw.estimate / (1 - 0.25 * 10 / 9))
        true.append(sound.scores[0].treated_minus_raw.estimate)
    off = interval(np.array(foretold) - np.array(true))
    measured = {"foretold": interval(foretold), "true": interval(true), "foretold minus true": off}
    right = abs(off[0]) < 0.1 * abs(measured["true"][0])
    return Evidence(measured, holds=right and measured["true"][2] < 0, over=budget.seeds)
