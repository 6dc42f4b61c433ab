"""The proof as the report shows it: raw, treated and placebo side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from dross.report.charts import forest
from dross.report.text import counted, cut, listed, visible

NAMES = {
    "treated_minus_raw": "treated against raw",
    "placebo_minus_raw": "random edits against raw",
    "treated_minus_placebo": "treated against random edits",
}
ACTIONS = {
    "drop": ("row dropped", "rows dropped"),
    "relabel": ("label changed", "labels changed"),
    "retarget": ("target changed", "targets changed"),
    "reweight": ("row reweighted", "rows reweighted"),
    "content": ("row rewritten", "rows rewritten"),
}
VERDICTS = {"helped": "It helped", "hurt": "It hurt", "no evidence": "No evidence that it helped"}
MOST_CLASSES = 12


def in_points(name: str) -> bool:
    """Whether a score is a share, so that its changes are percentage points."""
    return name not in {"log-loss", "R²", "mean absolute error"}


def level(name: str, score: Mapping[str, float]) -> str:
    """A score in one arm."""
    return f"{100 * score['estimate']:.1f} %" if in_points(name) else f"{score['estimate']:.3f}"


def change(name: str, score: Mapping[str, float]) -> str:
    """A difference with its interval."""
    by, digits = (100, 1) if in_points(name) else (1, 3)
    e, low, high = (f"{by * score[k]:+.{digits}f}" for k in ("estimate", "low", "high"))
    return f"{e} ({low} to {high})"


def edited(counts: Mapping[str, int]) -> str:
    """The edits by action, in words.

    >>> edited({"drop": 1, "relabel": 20})
    '1 row dropped and 20 labels changed'
    """
    return listed([counted(n, *ACTIONS.get(action, (action, action))) for action, n in counts.items()])


def proof_view(proof: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the template needs; None where there is no proof yet."""
    if proof is None:
        return None
    first = proof["scores"][0]
    return {
        "verdict": proof["verdict"],
        "title": VERDICTS.get(proof["verdict"], visible(str(proof["verdict"]))),
        "headline": visible(proof["headline"].split(": ", 1)[-1]),
        "why": [visible(why) for why in [*proof["why"], *proof.get("notes", ())]],
        "edits": edited(proof["edits"]),
        "drawing": _differences(first),
        "scores": [_line(score) for score in proof["scores"]],
        "classes": [_line(score) for score in proof["classes"][:MOST_CLASSES]],
        "more": max(0, len(proof["classes"]) - MOST_CLASSES),
        "how": (
            f"{proof['repeats']} repeats; each trained the same model ({visible(proof['model'])}) three times on"
            f" the same {proof['train_rows']:,} rows: as they were, with the edits, and with as many edits of the same"
            f" kinds given to random rows of the same classes. All were scored on {proof['test_rows']:,} rows:"
            f" {visible(proof['test'])}. Intervals are 95 %, corrected for rows that the repeats share."
        ),
    }


def _differences(score: Mapping[str, Any]) -> Markup:
    by, unit = (100, "points") if in_points(score["name"]) else (1, "")
    rows = [
        (
            words,
            by * score[key]["estimate"],
            by * score[key]["low"],
            by * score[key]["high"],
            key == "treated_minus_raw",
        )
        for key, words in NAMES.items()
    ]
    return forest(rows, unit, f"Change in {score['name']}")


def _line(score: Mapping[str, Any]) -> dict[str, Any]:
    name = score["name"]
    adjusted = score.get("adjusted")
    p = score["treated_minus_raw"]["p"] if adjusted is None else adjusted
    better = (score["treated_minus_raw"]["estimate"] > 0) == score["higher_is_better"]
    return {
        "name": cut(str(name), 60),
        "raw": level(name, score["raw"]),
        "treated": level(name, score["treated"]),
        "placebo": level(name, score["placebo"]),
        "change": change(name, score["treated_minus_raw"]),
        "chance": change(name, score["placebo_minus_raw"]),
        "mark": "" if p >= 0.05 else "better" if better else "worse",
        "lower": not score["higher_is_better"],
    }
