"""assess: plant defects, score them as the real rows were scored, and say what each finding is worth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dross.calibrate.assessment import Assessment, Curve
from dross.calibrate.combine import Combined, loudest_of, one_score
from dross.calibrate.decoys import estimate_by_decoys
from dross.calibrate.merge import merge_findings, union_rows
from dross.calibrate.mixture import LEAST, Worth, choose, estimate_worth, interval, match_frequencies, separation
from dross.calibrate.notes import NOTES
from dross.calibrate.trial import Found, Strata, run_trial
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Findings, Issue, NotApplicable, Rows
from dross.core.signal import Progress, Signals, silent

VERDICT = 0.5
"""From this score on a method itself calls a row defective."""
TOLD_APART = {Issue.OUTLIER: 0.9}
"""Planted defects must outscore a real row at least this often for scores to mean anything; else 0.6. With labels that
have nothing to do with the rows it is 0.5. The tail of the data is an outlier of sorts, so outliers must stand out."""
SAMPLE = 50_000
POINTS = 60
"""Thresholds of the curve at most."""


def assess(
    data: Dataset, signals: Signals, found: Found, fdr: float = 0.1, seed: int = 0, progress: Progress = silent
) -> list[Assessment]:
    """What the findings are worth on this data: one assessment for each issue, in the order of :class:`Issue`.

    Parameters
    ----------
    data, signals
        What was audited; planted variants are scored by signals derived from these.
    found
        For each method that found something to say: the detector and its findings.
    fdr
        The expected share of false alarms among the flagged rows, in (0, 1).
    seed
        Of the planted defects.
    progress
        Called as ``progress(what, done, total)``.

    Examples
    --------
    >>> from dross.detect.exact_duplicates import ExactDuplicates
    >>> from dross.testing.planted import texts_with_copies
    >>> data = texts_with_copies(300, copies=20).data
    >>> signals = Signals(data)
    >>> method = ExactDuplicates()
    >>> [one] = assess(data, signals, {"exact-duplicates": (method, method.run(data, signals))})
    >>> one.issue.value, int(one.flagged.sum())
    ('duplicate', 20)
    """
    if not 0 < fdr < 1:
        raise DrossError(f"fdr must be a number between 0 and 1, not {fdr}", fix="0.1 means one false alarm in ten")
    issues = [issue for issue in Issue if any(findings.issue == issue for _, findings in found.values())]
    assessments = []
    for done, issue in enumerate(issues):
        progress("calibration", done, len(issues))
        own = {name: pair for name, pair in found.items() if pair[1].issue == issue}
        rng = np.random.default_rng([seed, list(Issue).index(issue)])
        assessments.append(_assess_issue(data, signals, issue, own, fdr, rng))
    progress("calibration", len(issues), len(issues))
    return assessments


def uncalibrated(issue: Issue, found: Found, reason: str) -> Assessment:
    """The findings with the detectors' own verdicts, where nothing could be planted."""
    findings = {name: one for name, (_, one) in found.items()}
    rows = union_rows(findings)
    by_method = np.column_stack([_at(one, rows) for one in findings.values()])
    loudest = by_method.argmax(axis=1).astype(np.int8)
    scores = by_method.max(axis=1)
    return Assessment(
        issue,
        merge_findings(issue, findings, rows, scores, loudest),
        tuple(findings),
        loudest,
        flagged=scores >= VERDICT,
        expected_precision=np.full(len(rows), np.nan, np.float32),
        note=f"Not calibrated: {reason}. Flagged is what the methods themselves call defective.",
        summaries={name: dict(one.summary) for name, one in findings.items()},
    )


def _assess_issue(
    data: Dataset, signals: Signals, issue: Issue, found: Found, fdr: float, rng: np.random.Generator
) -> Assessment:
    trial = run_trial(data, signals, issue, found, rng)
    if isinstance(trial, NotApplicable):
        return uncalibrated(issue, found, trial.reason)
    findings = {name: found[name][1] for name in trial.names}
    rows = union_rows(findings)
    real = np.column_stack([_at(one, rows) for one in findings.values()])
    if trial.decoys is not None:
        scores = loudest_of(trial.planted, real)
        worth = estimate_by_decoys(scores.planted, trial.decoys.max(axis=1).astype(float), scores.real, len(data), rng)
    else:
        if len(rows) < LEAST:
            return uncalibrated(issue, found, f"{len(rows)} scored rows are too few to compare planted defects with")
        trial = trial.onto(rows, len(data))
        if len(trial.planted) < LEAST:
            return uncalibrated(issue, found, f"only {len(trial.planted)} defects could be planted")
        scores = one_score(trial.planted, real, trial.sources, rng)
        if _told_apart(scores, trial.strata, rng) < TOLD_APART.get(issue, 0.6):
            if issue is Issue.OUTLIER:
                return uncalibrated(issue, found, "rows mixed from others do not stand out from the rows as they are")
            return _hopeless(issue, findings, rows, scores)
        weights = (
            None if trial.frequencies is None else match_frequencies(scores.planted, scores.real, *trial.frequencies)
        )
        sources = trial.sources if trial.in_place else None
        worth = estimate_worth(scores.planted, scores.real, sources, rng, weights)
    notes = [NOTES[issue](data, signals) if issue in NOTES else "", *trial.failed]
    return _calibrated(issue, findings, rows, scores, worth, fdr, " ".join(note for note in notes if note))


def _told_apart(scores: Combined, strata: Strata | None, rng: np.random.Generator) -> float:
    n = len(scores.real)
    some = rng.choice(n, SAMPLE, replace=False) if n > SAMPLE else np.arange(n)
    return separation(scores.planted, scores.real[some], None if strata is None else (strata[0], strata[1][some]))


def _hopeless(issue: Issue, findings: Mapping[str, Findings], rows: Rows, scores: Combined) -> Assessment:
    return Assessment(
        issue,
        merge_findings(issue, findings, rows, scores.shown, scores.loudest),
        tuple(findings),
        scores.loudest,
        flagged=np.zeros(len(rows), np.bool_),
        expected_precision=np.full(len(rows), np.nan, np.float32),
        note="Planted defects score hardly higher than the rows as they are, so the scores say nothing here and "
        "nothing is flagged: the labels have little to do with the content, or the model is too weak.",
        summaries={name: dict(one.summary) for name, one in findings.items()},
    )


def _calibrated(
    issue: Issue,
    findings: Mapping[str, Findings],
    rows: Rows,
    scores: Combined,
    worth: Worth,
    fdr: float,
    note: str,
) -> Assessment:
    chances = worth.chance(scores.real)
    flagged = choose(np.minimum(worth.chance(scores.real, cautious=True), chances), fdr)
    precision, recall = None, (0.0, 0.0, 0.0)
    if flagged.any():
        precision = interval(float(chances[flagged].mean()), worth.chances(scores.real[flagged]))
        recall = worth.found(float(scores.real[flagged].min()))
    return Assessment(
        issue,
        merge_findings(issue, findings, rows, scores.shown, scores.loudest),
        tuple(findings),
        scores.loudest,
        flagged=flagged,
        expected_precision=chances.astype(np.float32),
        share=interval(worth.share, worth.shares),
        precision=precision,
        recall=recall,
        curve=curve_of(scores, worth),
        note=note,
        summaries={name: dict(one.summary) for name, one in findings.items()},
    )


def curve_of(scores: Combined, worth: Worth) -> Curve | None:
    """Precision and recall at up to :data:`POINTS` thresholds."""
    edges = worth.edges[scores.real.max(initial=-np.inf) >= worth.edges]
    if not len(edges):
        return None
    edges = edges[np.unique(np.linspace(0, len(edges) - 1, POINTS).round().astype(np.int64))]
    counts = np.bincount(np.searchsorted(worth.edges, scores.real, "right"), minlength=len(worth.edges) + 1)
    order = np.sort(scores.real)
    sums = np.concatenate([[0.0], np.cumsum(worth.chance(order))])
    precision, recall = [], []
    for edge in edges:
        first = int(np.searchsorted(order, edge, "left"))
        held = np.where(np.arange(len(counts)) > np.searchsorted(worth.edges, edge, "left"), counts, 0)
        replicates = worth.local_replicates @ held / max(1, held.sum())
        precision.append(interval(float((sums[-1] - sums[first]) / (len(order) - first)), replicates))
        recall.append(worth.found(float(edge)))
    return Curve(scores.show(edges).astype(np.float64), np.array(precision), np.array(recall))


def _at(one: Findings, rows: Rows) -> npt.NDArray[np.float32]:
    return one.dense(int(rows[-1]) + 1 if len(rows) else 0)[rows]
