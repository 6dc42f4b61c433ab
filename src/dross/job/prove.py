"""Prove: raw against treated against placebo, on test rows that nobody cleaned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.signal import Progress, Signals, silent
from dross.core.statistics import holm
from dross.job.arms import Material, arms, gather, splits
from dross.job.learner import MOST_ROWS, Learner, Linear
from dross.job.paired import Estimated, Measured, Scored, measure
from dross.job.verdict import Facts, judge

TEST_SHARE = 0.2
MOST_CLASSES = 30
LEAST_TEST_ROWS = 20
CLASSIFICATION = (("accuracy", True), ("macro-F1", True), ("log-loss", False), ("worst-group accuracy", True))
REGRESSION = (("R²", True), ("mean absolute error", False))


@dataclass(frozen=True)
class Comparison:
    """One score in the three arms and the paired differences between them.

    ``adjusted`` is the p-value of treated minus raw after Holm's correction over the classes; None for whole-data
    scores, of which only the first decides the verdict.
    """

    name: str
    higher_is_better: bool
    raw: Estimated
    treated: Estimated
    placebo: Estimated
    treated_minus_raw: Estimated
    treated_minus_placebo: Estimated
    placebo_minus_raw: Estimated
    adjusted: float | None = None


@dataclass(frozen=True)
class Proof:
    """What treating the data did to a model trained on it.

    Attributes
    ----------
    verdict
        ``helped``, ``no evidence`` or ``hurt``.
    headline
        The verdict in one or two sentences, with its numbers.
    why
        What may explain it, and what it cannot show.
    scores
        Whole-data scores; the first decides.
    classes
        The recall of each class, those with most test rows first.
    edits
        How many edits of each action, among all ``rows``.
    train_rows, test_rows
        Rows per repeat, on average.
    test
        What the test rows are.
    """

    verdict: str
    headline: str
    why: tuple[str, ...]
    scores: tuple[Comparison, ...]
    classes: tuple[Comparison, ...]
    edits: dict[str, int]
    rows: int
    train_rows: int
    test_rows: int
    test: str
    model: str
    repeats: int
    seed: int
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, all fields by name."""
        return asdict(self)


def prove(
    raw: Dataset,
    treated: Dataset,
    *,
    test: Dataset | None = None,
    repeats: int = 20,
    seed: int = 0,
    wrong_labels: float | None = None,
    trainer: str | None = None,
    options: Mapping[str, Any] | None = None,
    signals: Signals | None = None,
    progress: Progress = silent,
) -> Proof:
    """Train on raw, treated and placebo versions of the same rows and compare them on test rows nobody cleaned.

    Each repeat splits the *raw* rows; copies of a row, and rows of one group, stay on one side. The training side is
    used as it was (raw), with the edits that fell on it (treated), and with as many edits of the same kinds given to
    random rows of the same classes (placebo). All three are scored on the same test rows with their original labels,
    also where the treatment changed or dropped those rows. Features are measured, and the model's penalty is chosen,
    once and on the raw data, so that the arms differ in their rows and in nothing else.

    The verdict rests on one score, accuracy or R²: ``helped`` when treated beats raw and placebo, ``hurt`` when it is
    worse than raw, each at the 5 % level of the corrected resampled t-test (Nadeau and Bengio, "Inference for the
    Generalization Error", 2003). That test is cautious: it holds the truth more often than 95 % says, and misses small
    gains. O(repeats) model fits.

    Parameters
    ----------
    raw, treated
        The data before and after; rows are matched by ``row_ids``.
    test
        A clean test set of the user's own, with the raw data's columns. Without one, the rows of a test split are the
        test rows; without a split, a fifth of the rows, drawn anew in each repeat.
    repeats
        How many splits, at least 5.
    seed
        Same seed, same proof.
    wrong_labels
        The share of wrong labels as an audit estimates it; it tells how much of a gain uncleaned test rows can show.
        Without it, the share of labels that the treatment doubts stands in.
    trainer, options
        A method of ``dross.train`` and its settings, to train in the place of a linear model. Plain training of the
        same network on the raw and on the treated rows then stands beside it, and the notes say whether the method
        gains as much on the raw rows as repairing them does for plain training.
    signals
        The signals of ``raw``, where they have been measured already.
    progress
        Called as ``progress("prove", done, repeats)``.

    Raises :class:`DrossError` where nothing was edited, nothing is left, fewer than two classes are left, or there are
    too few test rows.

    >>> from dross.testing.planted import blobs
    >>> import pyarrow as pa
    >>> clean = blobs(500, flipped=0.0).data
    >>> classes = pa.array(clean.classes)
    >>> wrong = np.where(np.arange(500) % 5 < 2, (clean.codes + 1) % 4, clean.codes)  # two in five: the next class
    >>> raw = clean.with_column("label", pa.chunked_array([classes.take(pa.array(wrong))]))
    >>> prove(raw.slice(0, 300), clean.slice(0, 300), test=clean.slice(300, 500)).verdict
    'helped'
    """
    if repeats < 5:
        raise DrossError(f"{repeats} repeats give no interval worth reading", fix="use at least 5")
    material = gather(raw, treated, test, Signals(raw) if signals is None else signals)
    _check(material)
    learner: Learner = Linear() if trainer is None else _network(trainer, options or {})
    runs, sizes = _run(material, learner, repeats, seed, progress)
    facts = _facts(material, sizes, wrong_labels, given=test is not None)
    fixed = material.test is not None
    ratio = TEST_SHARE / (1 - TEST_SHARE) if fixed else facts.test_rows / facts.train_rows
    measured = measure(runs, facts.k, ratio, fixed=fixed, seed=seed)
    named = REGRESSION if facts.k is None else CLASSIFICATION
    scores = [c for q, (name, up) in enumerate(named) if (c := _compare(measured, q, name, higher_is_better=up))]
    verdict, headline, why = judge([asdict(c) for c in scores], facts)
    return Proof(
        verdict=verdict,
        headline=headline,
        why=tuple(why),
        scores=tuple(scores),
        classes=tuple(_per_class(measured, runs, material.changes.classes)),
        edits=material.changes.counts(),
        rows=len(raw),
        train_rows=facts.train_rows,
        test_rows=facts.test_rows,
        test=_what_test(test is not None, fixed),
        model=learner.name(facts.k),
        repeats=repeats,
        seed=seed,
        notes=(*_notes(material, facts.train_rows), *_beside_plain(measured, scores[0].name, trainer)),
    )


def _network(method: str, options: Mapping[str, Any]) -> Learner:
    from dross.job.network_learner import Network

    return Network.of(method, **options)


def _run(
    material: Material, learner: Learner, repeats: int, seed: int, progress: Progress
) -> tuple[list[dict[str, Scored]], tuple[int, int, int]]:
    """The answers of all arms in every repeat, and how many rows trained, tested and were edited on average."""
    from threadpoolctl import threadpool_limits

    runs, sizes = [], []
    # one thread of linear algebra: the same bytes on every machine, and many small fits run faster so
    with threadpool_limits(1, user_api="blas"):
        for i, (answers, size) in enumerate(_repeats(material, learner, repeats, seed)):
            runs.append(answers)
            sizes.append(size)
            progress("prove", i + 1, repeats)
    train_rows, test_rows, edited_rows = (round(v) for v in np.mean(sizes, axis=0))
    return runs, (train_rows, test_rows, edited_rows)


def _repeats(
    material: Material, learner: Learner, repeats: int, seed: int
) -> Iterator[tuple[dict[str, Scored], tuple[int, int, int]]]:
    """The answers of all arms in each repeat, and how many rows trained, tested and were edited."""
    rng = np.random.default_rng(seed)
    k = None if material.changes.classes is None else len(material.changes.classes)
    for i, (drawn, rest) in enumerate(splits(material, repeats, TEST_SHARE, rng)):
        train = _at_most(drawn, learner.most_rows(material.vectors.shape[1], k or 1), rng)
        held = _at_most(rest, MOST_ROWS, np.random.default_rng(seed))
        _check_sizes(train, held)
        versions = arms(material, train, rng)
        if not i:
            learner = learner.tuned(versions["raw"], k, seed)
        answers = {name: learner.score(arm, material, held) for name, arm in versions.items()}
        if learner.plain is not None:
            answers |= {
                f"plain {name}": learner.plain.score(versions[name], material, held) for name in ("raw", "treated")
            }
        yield answers, (len(train), len(held), int(material.changes.edited[train].sum()))


# ---- checks ---------------------------------------------------------------------------------------------------------


def _check(material: Material) -> None:
    changes = material.changes
    if not changes.edited.any():
        raise DrossError(
            "the treated data equals the raw data, so there is nothing to prove",
            fix="make edits first: dross apply",
        )
    if changes.dropped.all():
        raise DrossError("the treated data has no rows left to train on", fix="take some edits back: dross undo")
    left = changes.after[~changes.dropped]
    left = left[np.isfinite(left)]
    if changes.classes is not None:
        for name, codes in (("raw", changes.before), ("treated", left)):
            count = len(np.unique(codes[np.isfinite(codes)]))
            if count < 2:
                raise DrossError(
                    f"the {name} data has {count} class{'' if count == 1 else 'es'}; a model needs two to tell apart",
                    fix="take some edits back: dross undo" if name == "treated" else "check the label column",
                )
    elif len(left) < 2:
        raise DrossError("fewer than two rows have a target", fix="check the target column")


def _check_sizes(train: npt.NDArray[np.int64], held: npt.NDArray[np.int64]) -> None:
    if len(held) < LEAST_TEST_ROWS or len(train) < LEAST_TEST_ROWS:
        raise DrossError(
            f"too few rows for a proof: {len(train)} to train on and {len(held)} with a label to test on",
            fix=f"both must be {LEAST_TEST_ROWS} at least; rows that are copies of each other stay on one side",
        )


def _at_most(rows: npt.NDArray[np.int64], most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


# ---- the comparison -------------------------------------------------------------------------------------------------


def _compare(measured: Measured, q: int, name: str, *, higher_is_better: bool) -> Comparison | None:
    """One score in all arms; None where some repeat leaves it undefined."""
    values = [measured.level(arm, q) for arm in ("raw", "treated", "placebo")]
    pairs = (("treated", "raw"), ("treated", "placebo"), ("placebo", "raw"))
    values += [measured.change(arm, against, q) for arm, against in pairs]
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        return None
    raw, treated, placebo, gain, over_placebo, chance = known
    return Comparison(name, higher_is_better, raw, treated, placebo, gain, over_placebo, chance)


def _per_class(measured: Measured, runs: list[dict[str, Scored]], classes: list[Any] | None) -> list[Comparison]:
    """The recall of the classes with most test rows, p-values adjusted for their number."""
    if classes is None:
        return []
    tested = np.mean([np.bincount(run["raw"].truth.astype(np.int64), minlength=len(classes)) for run in runs], axis=0)
    chosen = [int(c) for c in np.argsort(-tested, kind="stable")[:MOST_CLASSES] if tested[c] >= 5]
    first = len(CLASSIFICATION)
    found = [_compare(measured, first + c, str(classes[c]), higher_is_better=True) for c in chosen]
    there = [c for c in found if c is not None]
    adjusted = holm([c.treated_minus_raw.p for c in there])
    return [replace(c, adjusted=float(p)) for c, p in zip(there, adjusted, strict=True)]


def _facts(material: Material, sizes: tuple[int, int, int], wrong: float | None, *, given: bool) -> Facts:
    changes = material.changes
    families = material.families[: len(changes.dropped)]
    kept = np.zeros(int(material.families.max()) + 1, bool)
    kept[families[~changes.dropped]] = True
    copies = changes.dropped & kept[families]
    doubted = changes.relabelled | (changes.dropped & ~copies)
    labelled = np.isfinite(changes.before)
    return Facts(
        train_rows=sizes[0],
        test_rows=sizes[1],
        edited_rows=sizes[2],
        k=None if changes.classes is None else len(changes.classes),
        doubted=float((doubted & labelled).sum() / max(1, labelled.sum())) if wrong is None else wrong,
        audited=wrong is not None,
        copies=float(copies.sum() / max(1, changes.edited.sum())),
        clean_test=given,
    )


def _what_test(given: bool, fixed: bool) -> str:
    if given:
        return "the test set that was given"
    return (
        "the rows of the test split, uncleaned" if fixed else "a fifth of the raw rows, uncleaned, drawn anew each time"
    )


def _notes(material: Material, train_rows: int) -> list[str]:
    notes = []
    if material.test is not None:
        met = np.isin(material.families[material.train], material.families[material.test])
        if met.any():
            notes.append(f"{int(met.sum()):,} training rows are copies of test rows; no arm was trained on them.")
    if train_rows < 0.7 * len(material.train):
        notes.append(f"To save time each model was trained on {train_rows:,} rows, the same for all three arms.")
    return notes


def _beside_plain(measured: Measured, score: str, method: str | None) -> list[str]:
    """Whether a training method does for the raw rows what repairing them does for plain training."""
    if "plain raw" not in measured.values:
        return []
    raw, treated = measured.level("plain raw", 0), measured.level("plain treated", 0)
    withstands, instead = measured.change("raw", "plain raw", 0), measured.change("raw", "plain treated", 0)
    if raw is None or treated is None or withstands is None or instead is None:
        return []
    return [
        f"Plain training of the same network: {score} {raw.estimate:.3f} on the raw rows and "
        f"{treated.estimate:.3f} on the treated ones.",
        f"On the raw rows {method} is {_with_interval(withstands)} beside plain training there, and "
        f"{_with_interval(instead)} beside plain training on the treated rows.",
    ]


def _with_interval(change: Estimated) -> str:
    return f"{change.estimate:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
