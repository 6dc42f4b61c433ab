"""Small audits of every shape, made by hand, so that the report is tested without the audit."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from dross.calibrate.assessment import Assessment, Curve
from dross.core.dataset import Dataset, Source
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.job.table import tabulate
from dross.signals.embedding import Embedding
from dross.signals.probabilities import Probabilities

METHODS = {
    "confident-learning": {"status": "ok", "reason": "", "seconds": 0.02},
    "glad": {"status": "not applicable", "reason": "needs a column with the role annotations", "seconds": 0.0},
}


class Measured(Signals):
    """Signals whose values are given."""

    def __init__(self, data: Dataset, vectors: Any = None, probs: Any = None) -> None:
        super().__init__(data)
        if vectors is not None:
            self._values[Embedding()] = vectors
        if probs is not None:
            self._values[Probabilities()] = probs


def label_errors(data: Dataset, flagged: int = 8, *, note: str = "", seed: int = 0) -> Assessment:
    """Every labelled row scored at random, the highest flagged, calibrated."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(data.codes >= 0)
    score = rng.random(len(rows)).astype(np.float32)
    chosen = np.zeros(len(rows), bool)
    chosen[np.argsort(-score)[:flagged]] = True
    thresholds = np.linspace(0.5, 1, 20)
    band = np.linspace(0.6, 0.98, 20)[:, None] + np.array([0.0, -0.05, 0.02])
    k = max(len(data.classes), 1)
    return Assessment(
        Issue.LABEL,
        Findings(
            Issue.LABEL,
            rows,
            score,
            suggestion=((data.codes[rows] + 1) % k).astype(np.int64),
            evidence={"confident_learning": score, "votes": rng.random((len(rows), 3))},
        ),
        ("confident-learning",),
        np.zeros(len(rows), np.int8),
        chosen,
        np.clip(score * 0.95, 0, 1).astype(np.float32),
        share=(0.09, 0.07, 0.11),
        precision=(0.91, 0.86, 0.95),
        recall=(0.8, 0.7, 0.9),
        curve=Curve(thresholds, band, band[::-1]),
        note=note or "Systematic errors look right.",
        summaries={"confident-learning": {"estimated_errors": 12, "worst": [{"class": "a", "share": 0.2}]}},
    )


def twins(issue: Issue, pairs: Mapping[int, int]) -> Assessment:
    """Rows that repeat others, not calibrated."""
    rows = np.array(sorted(pairs))
    twin = np.array([pairs[r] for r in rows])
    m = len(rows)
    found = Findings(issue, rows, np.linspace(1, 0.6, m).astype(np.float32), suggestion=twin, evidence={"twin": twin})
    return Assessment(
        issue, found, ("minhash",), np.zeros(m, np.int8), np.ones(m, bool), np.full(m, np.nan, np.float32)
    )


def nothing(issue: Issue, **summary: Any) -> Assessment:
    """An issue that was looked for and not found."""
    empty = np.zeros(0, np.float32)
    none = Findings.none(issue)
    return Assessment(issue, none, ("some-method",), np.zeros(0, np.int8), np.zeros(0, bool), empty,
                      summaries={"some-method": summary} if summary else {})  # fmt: skip


def run_of(data: Dataset, assessments: list[Assessment], **more: Any) -> dict[str, Any]:
    """The summary of a run, as the audit writes it."""
    source = data.source
    return {
        "dross": "0.1.0",
        "run": "r1",
        "time": "2026-01-02T03:04:05+00:00",
        "command": "dross audit data.csv --label y",
        "source": {"path": source.path, "format": source.format, "options": {}} if source else None,
        "rows": len(data),
        "task": str(data.task),
        "roles": {str(role): list(columns) for role, columns in data.roles.items()},
        "classes": [str(c) for c in data.classes] if data.has(Role.LABEL) else [],
        "fingerprint": data.fingerprint(),
        "fdr": 0.1,
        "seed": 0,
        "issues": {str(one.issue): issue_of(one) for one in assessments},
        "methods": METHODS,
        "signals": {"embedding": 1.5},
        **more,
    }


def issue_of(one: Assessment) -> dict[str, Any]:
    flagged = one.findings.scores[one.flagged]
    curve = one.curve
    return {
        "findings": len(one.findings),
        "flagged": int(one.flagged.sum()),
        "threshold": float(flagged.min()) if len(flagged) else None,
        "share": one.share,
        "precision": one.precision,
        "recall": one.recall,
        "methods": list(one.methods),
        "summaries": {name: dict(summary) for name, summary in one.summaries.items()},
        "note": one.note,
        "curve": curve
        and {
            "thresholds": curve.thresholds.tolist(),
            "precision": curve.precision.tolist(),
            "recall": curve.recall.tolist(),
        },
    }


def tables_of(data: Dataset, assessments: list[Assessment]) -> dict[str, pa.Table]:
    return {str(one.issue): tabulate(data, one) for one in assessments}


def png(value: int, size: int = 12) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.full((size, size), value % 256, np.uint8)).save(out, "PNG")
    return out.getvalue()


def labelled(columns: dict[str, Any], roles: dict[Role, list[str]], n: int = 60) -> Dataset:
    """Columns with a label of three classes and a split beside them."""
    table = pa.table({**columns, "y": [f"class {i % 3}" for i in range(n)], "part": ["train", "test"] * (n // 2)})
    return Dataset(table, {**roles, Role.LABEL: ["y"], Role.SPLIT: ["part"]}, source=Source("data.csv", "csv"))


def shapes() -> dict[str, tuple[Dataset, list[Assessment], Signals | None]]:
    """Data of every kind with findings of the kinds it may have."""
    rng = np.random.default_rng(0)
    n = 60
    vectors = rng.normal(size=(n, 6)).astype(np.float32)
    probs = rng.dirichlet(np.ones(3), n).astype(np.float32)
    text = labelled({"t": [f"a plain sentence number {i}\nof two lines" for i in range(n)]}, {Role.TEXT: ["t"]})
    image = labelled({"i": pa.array([png(4 * i) for i in range(n)], pa.binary())}, {Role.IMAGE: ["i"]})
    mixed = {f"f{j}": rng.normal(size=n) for j in range(12)} | {"c": ["red", "blue", None] * 20}
    table = labelled(mixed, {Role.FEATURES: list(mixed)})
    points = labelled({"e": pa.array(vectors.tolist(), pa.list_(pa.float32(), 6))}, {Role.EMBEDDING: ["e"]})
    number = Dataset(
        pa.table({"x": rng.normal(size=n), "y": rng.normal(size=n)}), {Role.FEATURES: ["x"], Role.TARGET: ["y"]}
    )
    target = Findings(Issue.LABEL, np.arange(n), rng.random(n).astype(np.float32), suggestion=rng.normal(size=n))
    wrong = Assessment(Issue.LABEL, target, ("m",), np.zeros(n, np.int8), np.arange(n) < 5, np.full(n, 0.8, np.float32))
    many = Dataset(
        pa.table({"t": ["x y z"] * n, "tags": [["a", "b"], ["c"], []] * 20}), {Role.TEXT: ["t"], Role.LABELS: ["tags"]}
    )
    bare = Dataset(pa.table({"t": ["one text", "another"] * 30}), {Role.TEXT: ["t"]})
    pair = {5: 2, 9: 4}
    drift = nothing(Issue.DRIFT, auc=0.5)
    found: dict[str, tuple[Dataset, list[Assessment], bool]] = {
        "text": (text, [label_errors(text), twins(Issue.NEAR_DUPLICATE, pair), drift], True),
        "images": (image, [label_errors(image), twins(Issue.DUPLICATE, pair)], True),
        "table": (table, [label_errors(table), twins(Issue.LEAKAGE, pair)], True),
        "vectors": (points, [label_errors(points)], True),
        "regression": (number, [wrong], False),
        "multi-label": (many, [twins(Issue.DUPLICATE, pair)], False),
        "unlabelled": (bare, [twins(Issue.DUPLICATE, pair)], False),
        "nothing flagged": (text, [label_errors(text, flagged=0), nothing(Issue.OUTLIER)], False),
        "nothing looked for": (bare, [], False),
        "no signals": (text, [label_errors(text)], False),
    }
    return {
        name: (data, assessments, Measured(data, vectors, probs) if known else None)
        for name, (data, assessments, known) in found.items()
    }


def proof_json() -> dict[str, Any]:
    """A proof as ``Proof.to_json`` gives it."""

    def estimated(value: float) -> dict[str, float]:
        return {"estimate": value, "low": value - 0.01, "high": value + 0.01, "p": 0.01}

    def score(name: str, up: bool, adjusted: float | None = None) -> dict[str, Any]:
        return {
            "name": name,
            "higher_is_better": up,
            "raw": estimated(0.7),
            "treated": estimated(0.75),
            "placebo": estimated(0.69),
            "treated_minus_raw": estimated(0.05),
            "treated_minus_placebo": estimated(0.06),
            "placebo_minus_raw": estimated(-0.01),
            "adjusted": adjusted,
        }

    return {
        "verdict": "helped",
        "headline": "It helped: accuracy rose from 70.0 % to 75.0 %, by +5.0 points (+4.0 to +6.0).",
        "why": ["The test labels were not cleaned."],
        "scores": [score("accuracy", up=True), score("log-loss", up=False)],
        "classes": [score(f"class {i}", up=True, adjusted=0.01 * i) for i in range(15)],
        "edits": {"drop": 3, "relabel": 20},
        "rows": 60,
        "train_rows": 48,
        "test_rows": 12,
        "test": "a fifth of the raw rows, uncleaned, drawn anew each time",
        "model": "logistic regression on the embedding",
        "repeats": 15,
        "seed": 0,
        "notes": [],
    }
