"""The verdict of a proof in words: did it help, and if that cannot be seen, why that may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SIGNIFICANT = 0.05
LITTLE = 0.05
"""Less room than this between the raw model and a perfect one counts as little."""


@dataclass(frozen=True)
class Facts:
    """What else is known about the comparison.

    Attributes
    ----------
    train_rows, test_rows, edited_rows
        Per repeat: rows trained on, rows tested on, and edits that fell on training rows.
    k
        Number of classes; None for regression.
    doubted
        The share of wrong labels: as an audit estimated it, or the share of labelled rows whose label the treatment
        changed, or which it dropped though they are no copies.
    copies
        The share of the edits that only drop a copy of a row that stays.
    clean_test
        Whether the test set was the user's own.
    audited
        Whether ``doubted`` is the estimate of an audit.
    """

    train_rows: int
    test_rows: int
    edited_rows: int
    k: int | None
    doubted: float
    copies: float
    clean_test: bool
    audited: bool = False

    @property
    def slope(self) -> float:
        """How much of a true gain in accuracy shows when a share ``doubted`` of the test labels is wrong.

        With a share w of test labels replaced by other classes at random, a model of true accuracy a is measured at
        ``a (1 - w) + (1 - a) w / (k - 1)``, whose slope in a is ``1 - w k / (k - 1)``.
        """
        if self.k is None or self.clean_test:
            return 1.0
        return max(0.0, 1 - self.doubted * self.k / (self.k - 1))


Score = Mapping[str, Any]


def judge(scores: Sequence[Score], facts: Facts) -> tuple[str, str, list[str]]:
    """The verdict, its sentence and what may explain it; ``scores`` are comparisons, the first decides.

    ``helped``: treated is better than raw and than placebo, each at the 5 % level; ``hurt``: worse than raw.
    """
    first = scores[0]
    raw, placebo = first["treated_minus_raw"], first["treated_minus_placebo"]
    gained = raw["p"] < SIGNIFICANT and raw["estimate"] > 0
    beats_chance = placebo["p"] < SIGNIFICANT and placebo["estimate"] > 0
    change = f"{show(first, 'raw')} to {show(first, 'treated')}, by {interval(first, 'treated_minus_raw')}"
    chance = f"As many random edits changed it by {interval(first, 'placebo_minus_raw')}."
    if gained and beats_chance:
        return (
            "helped",
            f"It helped: {first['name']} rose from {change}. {chance}",
            [*_beyond_chance(first), *_helped(first, facts), *_likelihood(scores)],
        )
    if raw["p"] < SIGNIFICANT and raw["estimate"] < 0:
        return "hurt", f"It hurt: {first['name']} fell from {change}. {chance}", _hurt(facts)
    headline = f"No evidence that it helped: {first['name']} went from {change}. {chance}"
    return "no evidence", headline, [*_unseen(first, facts, gained, beats_chance), *_likelihood(scores)]


def _percent(name: str) -> bool:
    return name not in {"log-loss", "R²", "mean absolute error"}


def _share(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f} %"


def show(score: Score, arm: str) -> str:
    """The level of one arm, as a person writes it.

    >>> show({"name": "accuracy", "raw": {"estimate": 0.8123}}, "raw")
    '81.2 %'
    """
    value = score[arm]["estimate"]
    return f"{100 * value:.1f} %" if _percent(score["name"]) else f"{value:.3f}"


def interval(score: Score, change: str) -> str:
    """A difference with its interval, as a person writes it.

    >>> interval({"name": "accuracy", "d": {"estimate": 0.02, "low": 0.011, "high": 0.03}}, "d")
    '+2.0 points (+1.1 to +3.0)'
    """
    d = score[change]
    if _percent(score["name"]):
        return f"{100 * d['estimate']:+.1f} points ({100 * d['low']:+.1f} to {100 * d['high']:+.1f})"
    return f"{d['estimate']:+.3f} ({d['low']:+.3f} to {d['high']:+.3f})"


def _beyond_chance(first: Score) -> list[str]:
    """Why random edits may help too, where they did: each takes the place of a real edit of the same class."""
    placebo = first["placebo_minus_raw"]
    if placebo["p"] >= SIGNIFICANT or placebo["estimate"] <= 0:
        return []
    return [
        "Random edits helped too, for they are as many of the same kinds between the same classes, and undo a shift"
        f" between classes as real ones do. What choosing the right rows adds to that: "
        f"{interval(first, 'treated_minus_placebo')}."
    ]


def _helped(first: Score, facts: Facts) -> list[str]:
    slope = facts.slope
    if slope > 0.98 or slope < 0.2:
        return []
    gain = 100 * first["treated_minus_raw"]["estimate"]
    source = "audit estimates" if facts.audited else "edits suggest"
    return [
        f"The test labels were not cleaned. If {_share(facts.doubted)} of them are wrong too, as the {source} for all"
        f" of the data, measured gains are {_share(slope)} of true ones: about {gain / slope:.1f} points here."
    ]


def _hurt(facts: Facts) -> list[str]:
    out = ["Take the edits back with dross undo, or apply fewer: only those of the highest expected precision."]
    if facts.doubted > 0.02 and not facts.clean_test:
        out.append(
            "If the errors in the data are systematic, uncleaned test rows carry them too and reward a model that"
            " repeats them; a test set of your own (--test FILE) settles it."
        )
    return out


def _unseen(first: Score, facts: Facts, gained: bool, beats_chance: bool) -> list[str]:
    out = []
    share = facts.edited_rows / max(1, facts.train_rows)
    if not facts.edited_rows:
        return ["None of the edits fell on training rows, so there was nothing to see."]
    if gained:
        out.append("Random edits of the same number did as well: it did not matter which rows were edited.")
    elif beats_chance:
        out.append(
            f"The edits did better than random ones by {interval(first, 'treated_minus_placebo')}: they hit"
            " better rows than chance does, but not to the point where it shows against the raw data."
        )
    if share < 0.02:
        out.append(
            f"Few edits: {facts.edited_rows:,} of {facts.train_rows:,} training rows ({_share(share, 2)}), too few to"
            " move the score of a model much."
        )
    if facts.copies > 0.8:
        out.append("Most edits drop copies of rows that stay. That makes scores honest; it seldom raises them.")
    out += _ceiling(first, facts)
    seen = (first["treated_minus_raw"]["high"] - first["treated_minus_raw"]["low"]) / 2
    amount = f"{100 * seen:.1f} points" if _percent(first["name"]) else f"{seen:.3f}"
    out.append(f"With {facts.test_rows:,} test rows a change smaller than about {amount} cannot be told from chance.")
    return out


def _ceiling(first: Score, facts: Facts) -> list[str]:
    """How noisy test labels, or a model that is nearly perfect, hide a gain."""
    if facts.k is None:
        return []
    out = []
    level = first["raw"]["estimate"]
    if facts.slope < 0.98:
        out.append(
            f"The test labels were not cleaned. If {_share(facts.doubted)} of them are wrong, a perfect model would"
            f" score {_share(1 - facts.doubted)}, and a true gain of 1 point shows as {facts.slope:.2f}. A small clean"
            " test set of your own (--test FILE) sees more."
        )
    best = 1.0 if facts.clean_test else 1 - facts.doubted
    if best - level < LITTLE:
        out.append(f"The raw model is at {_share(level, 1)} already: little is left to gain.")
    if facts.doubted > 0.02:
        out.append(
            "A linear model held back by its penalty shrugs off mistakes that are spread at random; one that can learn"
            " them by heart may gain more."
        )
    return out


def _likelihood(scores: Sequence[Score]) -> list[str]:
    """What the log-loss adds: better probabilities, or a surer model that uncleaned labels punish."""
    loss = next((s for s in scores if s["name"] == "log-loss"), None)
    if loss is None or loss["treated_minus_raw"]["p"] >= SIGNIFICANT:
        return []
    change, over = loss["treated_minus_raw"], loss["treated_minus_placebo"]
    if change["estimate"] > 0:
        return [
            "Log-loss rose: a model of cleaner labels is surer of itself than uncleaned test labels allow, so this"
            " alone is no sign of harm."
        ]
    if over["estimate"] < 0 and over["p"] < SIGNIFICANT:
        return [f"Its probabilities did get better: log-loss changed by {interval(loss, 'treated_minus_raw')}."]
    return []
