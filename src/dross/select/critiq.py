"""CritiQ: criteria of quality evolve until they agree with some thirty pairs of a person, then judge the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Selector
from dross.core.paper import Paper
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.statistics import wilson
from dross.llm.asking import Asker, Models
from dross.llm.comparing import Criterion, Manner, Pair, compare
from dross.llm.managing import Tried, propose, refine, replace_low
from dross.llm.shown import TOGETHER
from dross.models.pairwise_rater import SEGMENT, Rater, fit_rater
from dross.models.preference_pairs import Pairs, drawn, read_pairs
from dross.models.rated_sampling import sampled, standardised
from dross.signals.ngrams import SEPARATOR, texts_of
from dross.signals.sampling import row_keys, smallest

Floats = npt.NDArray[np.float64]

KNOWLEDGE = (
    ("grammar", "The text is free of errors of spelling and grammar."),
    ("coherence", "The sentences follow from one another and stay with one matter."),
    ("completeness", "The text is whole: it neither begins nor breaks off in the middle."),
    ("density", "The text says much in few words, without filler or repetition."),
    ("facts", "The text gives verifiable facts, names and numbers."),
    ("teaching", "The text explains, so that a learner understands more after reading it."),
    ("readability", "The text is easy to read, and its words are real words."),
    ("cleanness", "The text is free of navigation, advertisements, markup and other remains of a web page."),
    ("formatting", "Lists, code and paragraphs are set as they should be."),
    ("originality", "The text says something of its own instead of what stands everywhere."),
    ("expertise", "The text shows knowledge of its field."),
    ("reasoning", "Claims are argued for, step by step."),
)
"""Criteria of earlier work on choosing training text, tried before new ones are thought of."""
_WORKER = Manner(both=False, reason=True, abstain=True)


# ---- votes -------------------------------------------------------------------------------------------------------


def scores(votes: Floats, first_better: npt.NDArray[np.bool_]) -> Floats:
    """The share of its votes in which each criterion agrees with the known answers, shape (c,), float64.

    ``votes``, shape (c, m), are the chances that the first text is better, NaN where a criterion does not tell; an
    even chance counts half. As if each had been right once more and wrong once more: few votes prove little.

    >>> scores(np.array([[1.0, 0.0, np.nan], [np.nan] * 3]), np.array([True, False, True])).tolist()
    [0.75, 0.5]
    """
    sure = np.where(first_better, votes, 1 - votes)
    right = np.where(np.isnan(sure), 0.0, (sure > 0.5) + 0.5 * (sure == 0.5)).sum(axis=1)
    return np.asarray((right + 1) / ((~np.isnan(sure)).sum(axis=1) + 2), np.float64)


def majority(votes: Floats) -> Floats:
    """What most criteria say of each pair, shape (m,): 1 the first text, 0 the second, 0.5 where they are even.

    >>> majority(np.array([[1.0, 0.0, 1.0], [1.0, np.nan, 0.0], [0.0, np.nan, np.nan]])).tolist()
    [1.0, 0.0, 0.5]
    """
    lead = np.nansum(np.sign(votes - 0.5), axis=0)
    return np.asarray(0.5 + 0.5 * np.sign(lead))


def voted(
    askers: Sequence[Asker], criteria: Sequence[Criterion], pairs: Sequence[Pair], signals: Signals | None = None
) -> tuple[Floats, list[list[str]]]:
    """The votes of workers by each criterion on each pair, shape (c, m), NaN where they do not tell; and why.

    Which text is shown first alternates over the pairs; each pair is asked about once by each criterion and model.
    """
    votes, reasons = np.full((len(criteria), len(pairs)), np.nan), [[""] * len(pairs) for _ in criteria]
    for start in range(0, len(pairs), TOGETHER):
        part, rows = pairs[start : start + TOGETHER], slice(start, start + TOGETHER)
        turned = [(start + i) % 2 for i in range(len(part))]
        for c, criterion in enumerate(criteria):
            found = compare(askers, part, criterion, _WORKER, turned)
            votes[c, rows], reasons[c][rows] = found.chance, found.reasons
        if signals is not None:
            signals.progress("judging by criteria", start + len(part), len(pairs))
    return votes, reasons


# ---- evolution ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flow:
    """How criteria evolve.

    Attributes
    ----------
    count, rounds
        Criteria at a time, and how often they are revised.
    low, high
        At or below ``low`` a criterion is given up for a new one, from ``high`` on it is kept, between it is refined.
    """

    count: int = 10
    rounds: int = 3
    low: float = 0.5
    high: float = 0.75

    def evolve(
        self,
        manager: Asker,
        workers: Sequence[Asker],
        pairs: Sequence[Pair],
        first_better: npt.NDArray[np.bool_],
        known: Sequence[Criterion],
        signals: Signals | None = None,
    ) -> tuple[list[Tried], list[dict[str, float]]]:
        """All criteria that were tried, each in its best wording, the best first; and the scores of each round."""
        gold = [pair if yes else pair[::-1] for pair, yes in zip(pairs, first_better, strict=True)]
        best: dict[str, Tried] = {}
        tried = self._try(workers, known, pairs, first_better) if known else []
        _keep_best(best, tried)
        fit = sorted((t for t in tried if t.score > self.low), key=lambda t: -t.score)[: self.count]
        current = [t.criterion for t in fit]
        current += propose(manager, gold, self.count - len(current), current)
        history = []
        for number in range(self.rounds + 1):
            tried = self._try(workers, current, pairs, first_better)
            _keep_best(best, tried)
            history.append({t.criterion.name: round(t.score, 4) for t in tried})
            if signals is not None:
                signals.progress("evolving criteria", number, self.rounds)
            if number < self.rounds:
                current = self._revised(manager, tried, gold, best)
        return sorted(best.values(), key=lambda t: -t.score), history

    def _try(
        self,
        workers: Sequence[Asker],
        criteria: Sequence[Criterion],
        pairs: Sequence[Pair],
        first_better: npt.NDArray[np.bool_],
    ) -> list[Tried]:
        votes, reasons = voted(workers, criteria, pairs)
        sure = np.where(first_better, votes, 1 - votes)
        return [
            Tried(
                criterion,
                float(score),
                int((~np.isnan(own)).sum()),
                tuple((int(i), why[i]) for i in np.flatnonzero(own < 0.5)),
            )
            for criterion, score, own, why in zip(criteria, scores(votes, first_better), sure, reasons, strict=True)
        ]

    def _revised(
        self, manager: Asker, tried: list[Tried], gold: Sequence[Pair], best: dict[str, Tried]
    ) -> list[Criterion]:
        kept = [t for t in tried if t.score >= self.high]
        mid = [t for t in tried if self.low < t.score < self.high]
        following = [t.criterion for t in kept] + refine(manager, mid, gold)
        banned = [t for t in best.values() if t.score <= self.low]
        lacking = self.count - len(following)
        new = replace_low(manager, gold, lacking, following, banned) if lacking > 0 else []
        return following + new


def _keep_best(best: dict[str, Tried], tried: Sequence[Tried]) -> None:
    for one in tried:
        before = best.get(one.criterion.name)
        if before is None or one.score >= before.score:
            best[one.criterion.name] = one


# ---- the selector ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Critiq(Selector):
    """The text that does best by criteria which a model found in about thirty pairs judged by a person.

    Guo et al., "CritiQ: Mining Data Quality Criteria from Human Preferences", 2025. A manager proposes criteria;
    workers judge each pair by each criterion alone; criteria that agree with the person are kept, those that half agree
    are refined by what went wrong, the others replaced. Those that reach ``high`` judge pairs of rows; the majority of
    their votes trains a rater, and rows are taken by its ratings. Unlike in the paper, a criterion's agreement is
    counted as if it had been right and wrong once more, so that few votes do not carry it; and the rater is linear on
    n-grams and simple traits. The summary holds the criteria in words, to be read, judged and used again.

    Needs a text column, a model to ask and pairs. The agreement on the given pairs is the one that criteria were
    chosen by: hold some pairs back to judge them.

    Attributes
    ----------
    models
        Whom to ask: of several, the first manages and the others work.
    pairs
        A file of pairs (:func:`~dross.models.preference_pairs.read_pairs`), or pairs (better, worse).
    known
        Criteria, (name, description), that are tried first.
    criteria, rounds, low, high
        See :class:`Flow`.
    judgments
        Pairs of rows that the criteria found judge; the paper takes 25,000.
    keep, temperature
        The share of the text, in bytes, to keep; 0 for the best-rated, above it rows are sampled, ratings over the
        temperature as logits.
    rater
        A folder: a rater that stands there is used as it is, else the one learnt is kept there.
    """

    paper: ClassVar = Paper("CritiQ: Mining Data Quality Criteria from Human Preferences", 2025, "2502.19279")
    needs: ClassVar = (Role.TEXT,)

    models: Models = field(default_factory=Models)
    pairs: str | tuple[tuple[str, str], ...] = ""
    known: tuple[tuple[str, str], ...] = KNOWLEDGE
    criteria: int = 10
    rounds: int = 3
    low: float = 0.5
    high: float = 0.75
    judgments: int = 2_000
    keep: float = 0.3
    temperature: float = 0.0
    rater: str = ""
    seed: int = 0

    def applies(self, data: Dataset) -> NotApplicable | None:
        """Where there are texts, and a model and pairs, or a rater that was kept."""
        lacking = None if self._kept() else self.models.missing()
        if lacking is None and not self.pairs and not self._kept():
            lacking = NotApplicable("needs pairs of texts of which a person says which is better")
        return super().applies(data) or lacking

    def run(self, data: Dataset, signals: Signals) -> Selection | NotApplicable:
        """Find criteria, judge by them, learn, rate, choose."""
        missing = self.applies(data)
        if missing is not None:
            return missing
        self._check()
        texts = texts_of(data)
        sizes = np.asarray(pc.binary_length(texts), np.float64)
        there = np.flatnonzero(sizes > 0)
        if not len(there):
            return NotApplicable("all texts are empty")
        keys = [row_keys(data, [Role.TEXT], 2 * self.seed + i)[there] for i in (0, 1)]
        if self._kept():
            rater, account = Rater.load(Path(self.rater)), {"rater_from": self.rater}
        else:
            rater, account = self._learnt(texts.take(pa.array(there)), keys[0], signals)
        ratings = standardised(rater.rate(texts)[there])
        rows = np.sort(sampled(ratings, sizes[there], keys[1], self.keep, self.temperature))
        summary = {
            **rater.facts,
            "mean_kept": round(float(ratings[rows].mean()), 4),
            "bytes": int(sizes.sum()),
            "bytes_kept": int(sizes[there][rows].sum()),
            **account,
        }
        return Selection(there[rows], summary=summary)

    def _learnt(
        self, texts: pa.LargeStringArray, keys: npt.NDArray[np.uint64], signals: Signals
    ) -> tuple[Rater, dict[str, Any]]:
        with self.models.opened(signals) as opened:
            manager, workers = opened.askers[0], opened.askers[1:] or opened.askers
            chosen, account = self.find(manager, workers, signals)
            pairs = self._drawn(texts, keys)
            votes, _ = voted(workers, chosen, pairs, signals)
            said = majority(votes)
            clear = said != 0.5
            if not clear.any():
                raise DrossError("the criteria found no pair of rows in which one text is better")
            first, second = zip(*(p for p, yes in zip(pairs, clear, strict=True) if yes), strict=True)
            rater = fit_rater(Pairs.of(first, second, said[clear]), self.seed)
            rater.facts.update(judged=len(pairs), undecided=int((~clear).sum()), **account)
            if self.rater:
                rater.save(Path(self.rater))
            return rater, opened.summary()

    def find(
        self, manager: Asker, workers: Sequence[Asker], signals: Signals
    ) -> tuple[list[Criterion], dict[str, Any]]:
        """The criteria that agree with the person, the best first; and how they were found, plain JSON values."""
        gold = self._gold()
        texts = gold.texts.to_pylist()
        pairs = [(texts[i], texts[j]) for i, j in gold.sides.tolist()]
        known = [Criterion(*one) for one in self.known]
        flow = Flow(self.criteria, self.rounds, self.low, self.high)
        best, history = flow.evolve(manager, workers, pairs, gold.chance > 0.5, known, signals)
        chosen = [t for t in best if t.score >= self.high]
        if not chosen:
            top = f", the best in {best[0].score:.0%}: {best[0].criterion.name}" if best else ""
            told = f"no criterion agrees with the pairs in {self.high:.0%}{top}"
            raise DrossError(told, fix="give more pairs, more rounds or a better model, or lower high")
        votes, _ = voted(workers, [t.criterion for t in chosen], pairs)
        said = majority(votes)
        right = float(np.where(gold.chance > 0.5, said, 1 - said).sum())
        low, high = wilson([right], [len(pairs)])
        account = {
            "criteria": [
                {"name": t.criterion.name, "description": t.criterion.description, "agreement": round(t.score, 4)}
                | {"votes": t.spoke}
                for t in chosen
            ],
            "agreement_with_the_pairs": [right / len(pairs), float(low[0]), float(high[0])],
            "rounds": history,
        }
        return [t.criterion for t in chosen], account

    def _gold(self) -> Pairs:
        if isinstance(self.pairs, str):
            found = read_pairs(self.pairs)
            clear = found.chance != 0.5
            found = Pairs(found.texts, found.sides[clear], found.chance[clear])
        else:
            found = Pairs.of(
                [one for one, _ in self.pairs], [other for _, other in self.pairs], np.ones(len(self.pairs))
            )
        if len(found) < 2:
            raise DrossError(f"criteria are found in pairs of which one text is better, and there are {len(found)}")
        return found

    def _drawn(self, texts: pa.LargeStringArray, keys: npt.NDArray[np.uint64]) -> list[Pair]:
        rows = smallest(keys, min(len(keys), 2 * self.judgments))
        rows = rows[np.argsort(keys[rows], kind="stable")]
        cut = [text.replace(SEPARATOR, "\n")[:SEGMENT] for text in texts.take(pa.array(rows)).to_pylist()]
        return [(cut[i], cut[j]) for i, j in drawn(len(cut), self.judgments).tolist()]

    def _kept(self) -> bool:
        return bool(self.rater) and (Path(self.rater) / "value.json").exists()

    def _check(self) -> None:
        if not (0 < self.keep <= 1 and 0 <= self.temperature < np.inf):
            told = f"keep is {self.keep}, temperature {self.temperature}"
            raise DrossError(told, fix="keep a share above 0 and up to 1, at a temperature of 0 or more")
        if not 0 <= self.low < self.high <= 1:
            raise DrossError(f"low is {self.low}, high {self.high}", fix="give 0 <= low < high <= 1")
        if self.criteria < 1 or self.rounds < 0 or self.judgments < 1 or self.seed < 0:
            raise DrossError("there must be a criterion and a judgment or more, and at least no rounds and no seed")
