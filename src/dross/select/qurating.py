"""QuRating: a model says which of two texts is better; a rater learns it, and texts are sampled by their ratings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.hashing import Hashes
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.llm.asking import Asker, Models
from dross.llm.client import Forecast
from dross.llm.comparing import Criterion, Manner, Pair, compare
from dross.llm.prompt import Prompt
from dross.llm.shown import TOGETHER
from dross.models.pairwise_rater import SEGMENT, Rater, fit_rater
from dross.models.preference_pairs import Pairs, Sides, drawn, read_pairs
from dross.models.rated_sampling import sampled, standardised
from dross.signals.ngrams import SEPARATOR, texts_of
from dross.signals.sampling import row_keys, smallest

Floats = npt.NDArray[np.float64]

CRITERIA = {
    "writing style": "Which text has a more polished and beautiful style of writing?",
    "facts": "Which text holds more facts, also rarely known ones: dates, names, events, findings?",
    "educational value": (
        "Which text is worth more for teaching, as it explains step by step, argues clearly or answers a question?"
    ),
    "required expertise": "Which text takes more expertise and knowledge of its field to understand?",
}
"""The four qualities of the paper, by name."""
ORDERS = ("given", "rising", "falling")


# ---- what is compared --------------------------------------------------------------------------------------------


def excerpt(text: str, key: int) -> str:
    """A stretch of 2,000 characters of a text, somewhere in it, as a number says; the whole text where it is shorter.

    >>> excerpt("short", 7), len(excerpt("long " * 900, 7))
    ('short', 2000)
    """
    spare = len(text) - SEGMENT
    if spare <= 0:
        return text
    start = key % (spare + 1)
    return text[start : start + SEGMENT]


def pairs_of_rows(texts: pa.LargeStringArray, keys: Hashes, most: int) -> tuple[list[str], Sides]:
    """Excerpts of rows in an order that hangs on their content alone, and which of them to compare."""
    rows = smallest(keys, min(len(keys), 2 * most))
    rows = rows[np.argsort(keys[rows], kind="stable")]
    shown = texts.take(pa.array(rows)).to_pylist()
    cut = [excerpt(t.replace(SEPARATOR, "\n"), k) for t, k in zip(shown, (keys[rows] >> 20).tolist(), strict=True)]
    return cut, drawn(len(cut), most)


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Qurating(Selector):
    """A share of the text, sampled by ratings that were learnt from a language model's pairwise judgments.

    Wettig, Gupta, Malik, Chen, "QuRating: Selecting High-Quality Data for Training Language Models", 2024. Pairs of
    excerpts are judged in both orders by each criterion; a Bradley-Terry rater learns the chances and rates all rows;
    rows are drawn without replacement with chances in proportion to exp(rating / temperature), ratings in units of
    their spread. The best-rated rows alone (temperature 0) are poor: they are too much alike. The rater here is linear
    on n-grams and simple traits, not a language model with a head. Ratings by several criteria are added up. The
    summary says how well each rater tells held-out pairs; distrust one whose accuracy is near one half.

    Needs a text column, and a model to ask or a file of pairs.

    Attributes
    ----------
    models
        Whom to ask, within which budget.
    pairs
        A file of judged pairs (:func:`~dross.models.preference_pairs.read_pairs`) in the place of a model; the
        criteria are then not asked about.
    rater
        A folder: raters that stand there are used as they are, else those learnt are kept there. So a rater learnt on
        a sample rates other data.
    criteria
        Names of the paper's qualities (writing style, facts, educational value, required expertise), or a name and a
        question of one's own.
    judgments
        Pairs that are asked about, for each criterion.
    samples
        Answers for each pair and order; the paper takes 20 and their shares. One is enough where the server gives
        log-probabilities.
    keep
        The share of the text, in bytes, to keep.
    temperature
        How far to stray from the best-rated; the paper takes 2.
    by_domain
        Keep that share of each domain, where a column has that role.
    order
        As the rows are given, or a curriculum: rising or falling by rating.
    """

    paper: ClassVar = Paper("QuRating: Selecting High-Quality Data for Training Language Models", 2024, "2402.09739")
    needs: ClassVar = (Role.TEXT,)

    models: Models = field(default_factory=Models)
    pairs: str = ""
    rater: str = ""
    criteria: tuple[tuple[str, str] | str, ...] = ("educational value",)
    judgments: int = 2_000
    samples: int = 1
    keep: float = 0.3
    temperature: float = 2.0
    by_domain: bool = False
    order: str = "given"
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there are texts, and a model to ask, a file of pairs or a rater that was kept."""
        lacking = None if self.pairs or self._kept() else self.models.missing()
        return super().applies(data) or lacking

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Judge, learn, rate, sample."""
        missing = self.applies(data)
        if missing is not None:
            return missing
        self._check(data)
        texts = texts_of(data)
        sizes = np.asarray(pc.binary_length(texts), np.float64)
        there = np.flatnonzero(sizes > 0)
        if not len(there):
            return NotApplicable("all texts are empty")
        raters, account = self._raters(texts, data, there, signals)
        rated = {name: rater.rate(texts) for name, rater in raters.items()}
        total = standardised(np.sum([standardised(r[there]) for r in rated.values()], axis=0))
        groups = self._groups(data)
        keys = row_keys(data, [Role.TEXT], 2 * self.seed + 1)[there]
        own = None if groups is None else groups[there]
        rows = sampled(total, sizes[there], keys, self.keep, self.temperature, own)
        # the mean of what is kept, in spreads of all ratings: how far the sample was drawn upwards
        means = {name: float(standardised(r[there])[rows].mean()) for name, r in rated.items()}
        rows = self._ordered(rows, total)
        summary = {
            "criteria": [
                {"criterion": name, **r.facts, "mean_kept": round(means[name], 4)} for name, r in raters.items()
            ],
            "bytes": int(sizes.sum()),
            "bytes_kept": int(sizes[there][rows].sum()),
            "temperature": self.temperature,
            **account,
        }
        return Selection(there[rows], summary=summary)

    def forecast(self, data: Dataset, signals: Signals) -> dict[str, Forecast]:
        """What the judgments will take, by model, before anything is asked."""
        self._check(data)
        texts = texts_of(data)
        pairs = self._asked(texts, data, np.flatnonzero(np.asarray(pc.binary_length(texts))))
        manner = Manner(self.samples)

        def prompts() -> Iterator[Prompt]:
            for criterion in self._criteria():
                for pair in pairs:
                    yield from manner.prompts(pair, criterion)

        return self.models.forecast(prompts, signals)

    # ---- raters ------------------------------------------------------------------------------------------------------

    def _raters(
        self, texts: pa.LargeStringArray, data: Dataset, there: npt.NDArray[np.int64], signals: Signals
    ) -> tuple[dict[str, Rater], dict[str, Any]]:
        """A rater by criterion: those that were kept, else learnt from the file of pairs, else from judgments."""
        kept = self._kept()
        if kept:
            return {path.name: Rater.load(path) for path in kept}, {"raters_from": self.rater}
        if self.pairs:
            raters, account = {"pairs": fit_rater(read_pairs(self.pairs), self.seed)}, {"pairs_from": self.pairs}
        else:
            raters, account = self._judged(texts, data, there, signals)
        if self.rater:
            for name, rater in raters.items():
                rater.save(Path(self.rater) / name)
        return raters, account

    def _judged(
        self, texts: pa.LargeStringArray, data: Dataset, there: npt.NDArray[np.int64], signals: Signals
    ) -> tuple[dict[str, Rater], dict[str, Any]]:
        pairs = self._asked(texts, data, there)
        raters = {}
        with self.models.opened(signals) as opened:
            for criterion in self._criteria():
                chance = self._ask(opened.askers, pairs, criterion, signals)
                said = ~np.isnan(chance)
                if not said.any():
                    stopped = opened.summary()
                    errors = [error for m in stopped["models"] for error in m["errors"]]
                    why = stopped["stopped"] or next(iter(errors), "no pair was answered")
                    raise DrossError(f"no pair was judged by {criterion.name!r}: {why}", fix="see the models' settings")
                one, other = zip(*(pair for pair, yes in zip(pairs, said, strict=True) if yes), strict=True)
                rater = fit_rater(Pairs.of(one, other, chance[said]), self.seed)
                rater.facts["not_judged"] = int((~said).sum())
                raters[criterion.name] = rater
            return raters, opened.summary()

    def _asked(self, texts: pa.LargeStringArray, data: Dataset, there: npt.NDArray[np.int64]) -> list[Pair]:
        keys = row_keys(data, [Role.TEXT], 2 * self.seed)[there]
        cut, sides = pairs_of_rows(texts.take(pa.array(there)), keys, self.judgments)
        return [(cut[i], cut[j]) for i, j in sides.tolist()]

    def _ask(self, askers: list[Asker], pairs: list[Pair], criterion: Criterion, signals: Signals) -> Floats:
        found, manner = [np.empty(0)], Manner(self.samples)
        for start in range(0, len(pairs), TOGETHER):
            found.append(compare(askers, pairs[start : start + TOGETHER], criterion, manner).chance)
            signals.progress(f"judging by {criterion.name}", min(start + TOGETHER, len(pairs)), len(pairs))
        return np.concatenate(found)

    def _criteria(self) -> list[Criterion]:
        found = []
        for one in self.criteria:
            if isinstance(one, str) and one not in CRITERIA:
                raise DrossError(f"no criterion is called {one!r}", fix=nearest(one, list(CRITERIA)))
            found.append(Criterion(one, CRITERIA[one]) if isinstance(one, str) else Criterion(*one))
        return found

    def _kept(self) -> list[Path]:
        folder = Path(self.rater)
        return sorted(p.parent for p in folder.glob("*/value.json")) if self.rater and folder.is_dir() else []

    # ---- choosing ----------------------------------------------------------------------------------------------------

    def _groups(self, data: Dataset) -> npt.NDArray[np.int64] | None:
        if not self.by_domain:
            return None
        codes = data.column(Role.DOMAIN).combine_chunks().dictionary_encode("encode").indices
        return np.asarray(codes, np.int64)

    def _ordered(self, rows: npt.NDArray[np.int64], ratings: Floats) -> npt.NDArray[np.int64]:
        if self.order == "given":
            return np.sort(rows)
        rising = rows[np.lexsort([rows, ratings[rows]])]
        return rising if self.order == "rising" else rising[::-1]

    def _check(self, data: Dataset) -> None:
        if not (0 < self.keep <= 1 and 0 <= self.temperature < np.inf):
            told = f"keep is {self.keep}, temperature {self.temperature}"
            raise DrossError(told, fix="keep a share above 0 and up to 1, at a temperature of 0 or more")
        if self.judgments < 1 or self.samples < 1 or self.seed < 0:
            raise DrossError("there must be a judgment and a sample or more, and a seed of at least 0")
        if self.order not in ORDERS:
            raise DrossError(f"no order is called {self.order!r}", fix=nearest(self.order, list(ORDERS)))
        names = [c.name for c in self._criteria()]
        odd = next((n for n in names if names.count(n) > 1 or not n.strip() or "/" in n or n.startswith(".")), None)
        if odd is not None or not names:
            raise DrossError(f"the criterion {odd!r} cannot be used", fix="name each once, without a slash")
        if self.by_domain and not data.has(Role.DOMAIN):
            raise DrossError("by_domain, and no column has the role domain", fix="name one: domain=COLUMN")
