"""Metric thresholds: texts that lie far outside what is usual in the corpus are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError
from dross.core.paper import Paper
from dross.core.step import Rows, RowStep, Verdict
from dross.signals.document_statistics import DocumentStatistics, shares

Values = npt.NDArray[np.float64]
METRICS = (
    ("words", -1), ("word_length", -1), ("word_length", 1), ("alphabetic", -1), ("symbols", 1), ("repeated_lines", 1),
    ("stop_words", -1),
)  # fmt: skip
"""What is measured, and which side of the usual is bad: -1 where few, 1 where many."""
SHARES = ("alphabetic", "symbols")
"""The metrics that are shares of a text's words; repeated lines are not among them, as most texts have none."""
_EDGE = 0.002


def scaled(name: str, values: Values) -> Values:
    """Values of a metric on a scale without ends, so that a limit beyond the usual can be passed.

    Log-odds of shares, logarithms of sizes, of one more for counts.

    >>> scaled("words", np.array([0.0, 1.0])).round(2).tolist()
    [0.0, 0.69]
    >>> scaled("symbols", np.array([0.5, 1.0])).round(1).tolist()
    [0.0, 6.2]
    """
    if name in SHARES:
        share = np.clip(values, _EDGE, 1 - _EDGE)
        return np.asarray(np.log(share / (1 - share)))
    if name == "word_length":
        return np.asarray(np.log(np.maximum(values, 0.1)))
    return values if name == "repeated_lines" else np.asarray(np.log1p(values))


def bounds(values: Values, quantile: float, reach: float) -> tuple[float, float]:
    """The lowest and the highest usual value: ``reach`` times the range between two quantiles beyond each of them.

    >>> bounds(np.arange(11.0), 0.1, 1.5)
    (-11.0, 21.0)
    """
    low, high = np.quantile(values, [quantile, 1 - quantile])
    return float(low - reach * (high - low)), float(high + reach * (high - low))


@dataclass(frozen=True)
class MetricThresholds(RowStep):
    """Texts far outside the distribution of the corpus's own metrics are dropped; no threshold is set by hand.

    Nguyen et al., "CulturaX: A Cleaned, Enormous, and Multilingual Dataset for Large Language Models in 167 Languages",
    2023, section 3.2: thresholds by the interquartile range, with the 10th and 90th percentiles in place of the
    quartiles, so that they fit each language. Counts and sizes are compared by their logarithms, shares by their
    log-odds: on their own scale a limit often lies below 0 or above 1, where nothing can pass it.

    Attributes
    ----------
    quantile
        The lower of the two quantiles.
    reach
        How many times the range between them a value may lie beyond.
    repeated
        Share of characters in repeated lines that is never too much: where lines hardly ever repeat there is no range.
    """

    paper: ClassVar = Paper(
        "CulturaX: A Cleaned, Enormous, and Multilingual Dataset for Large Language Models in 167 Languages",
        2023,
        "2309.09400",
    )
    reasons: ClassVar[tuple[str, ...]] = (
        "unusually_few_words", "unusually_short_words", "unusually_long_words", "unusually_few_alphabetic_words",
        "unusually_many_symbols", "unusually_many_repeated_lines", "unusually_few_stop_words",
    )  # fmt: skip
    learns: ClassVar[int] = 20_000

    quantile: float = 0.1
    reach: float = 0.8
    repeated: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 0.5 or self.reach < 0:
            told = f"quantile is {self.quantile}, reach {self.reach}"
            raise DrossError(told, where=self.name(), fix="give a quantile between 0 and 0.5, and a reach of 0 or more")

    def _metrics(self, rows: Rows) -> dict[str, Values]:
        found = rows.measured(DocumentStatistics(), self.column)
        return {
            "words": found["words"].astype(np.float64),
            "word_length": shares(found["word_characters"], found["words"]),
            "alphabetic": shares(found["alphabetic"], found["tokens"]),
            "symbols": 1 - shares(found["words"], found["tokens"]),
            "repeated_lines": shares(found["duplicate_line_characters"], found["characters"]),
            "stop_words": found["stop_words"].astype(np.float64),
        }

    def learn(self, rows: Rows, place: Path) -> None:
        """Look at the distribution of each metric in a sample."""
        metrics = self._metrics(rows)
        limits = []
        for name, side in METRICS:
            values = scaled(name, metrics[name])
            low, high = bounds(values, self.quantile, self.reach) if len(rows) else (-np.inf, np.inf)
            limits.append(low if side < 0 else max(high, self.repeated) if name == "repeated_lines" else high)
        np.save(place / "limits.npy", np.array(limits))

    def ready(self, place: Path) -> Values:
        """The limit of each metric, on its scale."""
        limits: Values = np.load(place / "limits.npy")
        return limits

    def judge(self, rows: Rows, ready: Values) -> Verdict:
        """Compare each metric with its limit."""
        metrics = self._metrics(rows)
        tests = []
        for (name, side), limit in zip(METRICS, ready.tolist(), strict=True):
            value = scaled(name, metrics[name])
            tests.append((value < limit if side < 0 else value > limit, metrics[name]))
        return Verdict.first(*tests)
