"""Which label model a set of votes deserves, and why, in words."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dross.core.compiled import threads
from dross.models.crowd import Consensus
from dross.models.label_models.common import covered, every, thin_rows
from dross.models.label_models.dependent import SAMPLE, dependent, dependent_pairs, repeated
from dross.models.label_models.em import Table, by_majority, iterate, likelihoods
from dross.models.label_models.facts import ONE_SIDED, Facts, look
from dross.models.label_models.majority import majority
from dross.models.label_models.structure import repeating
from dross.models.label_models.subtypes import fit_subtypes, subtypes
from dross.models.label_models.weighted import alike_table
from dross.models.votes import Votes, harden, take

Floats = npt.NDArray[np.float64]

FEWEST_SOURCES = 3
LEAST_OVERLAP = 0.10
"""Share of the covered rows with two votes below which sources' accuracies cannot be told."""
LEAST_CONFLICT = 0.02
"""Share of the covered rows with conflicting votes below which there is nothing to gain."""
LEAST_RULES, ENOUGH_RULES = 5, 10
"""Rules a class below which their accuracies cannot be told; and below which not if some are dependent."""
MANY_DEPENDENT = 0.5
"""Share of the sources in dependent pairs above which their structure is not trusted."""
STRAYED = 1 / 3
"""A class's share by the model over its share of the votes below which the model is not trusted."""
LARGE_GROUP = 1 / 3
"""Share of the sources that repeat one another above which a person should look."""
TRIAL_VOTES = 20_000
FULL_SUBTYPES, FEW_SUBTYPES = 10, 3
_ROUGH = 1e-5
"""Convergence of trials, relative."""
_AFFORDABLE = 300_000
"""Votes times classes up to which ten subtypes are fitted."""


def auto(votes: Votes, balance: Floats | None = None) -> Consensus:
    """The model that these votes deserve; ``why`` says what decided it.

    In turn: too few sources, overlap or conflict make it the majority vote. Sources that each vote for one class
    (rules) get the model in which silence speaks, with a forest of dependences where some are dependent; but the
    majority vote where there are fewer than five rules a class, or ten if some are dependent, or where that model
    shrinks a class to a heap. Sources that answer (people, models) vote by group where some repeat one another; else
    models are tried on rows held out: where their votes are not surely (by two standard errors) predicted better by
    sources of different quality than by sources all alike, it is the majority vote; where subtypes predict them surely
    better, those; else Bayesian Dawid-Skene.
    """
    facts = look(every(votes, SAMPLE))
    if facts.sources < FEWEST_SOURCES:
        return _plain(
            votes, balance, facts, f"{_sources(facts.sources)}: their accuracies cannot be told from their votes alone"
        )
    if facts.overlap < LEAST_OVERLAP:
        return _plain(
            votes, balance, facts, f"only {facts.overlap:.1%} of the covered rows have votes of two sources, too few "
            "to tell the sources' accuracies"
        )  # fmt: skip
    if facts.conflict < LEAST_CONFLICT:
        return _plain(
            votes,
            balance,
            facts,
            f"sources disagree on only {facts.conflict:.1%} of the covered rows: there is little to gain",
        )
    return _rules(votes, balance, facts) if facts.left < ONE_SIDED else _answers(votes, balance, facts)


def _sources(count: int) -> str:
    return ("no source votes", "one source votes")[count] if count < 2 else f"only {count} sources vote"


def _plain(votes: Votes, balance: Floats | None, facts: Facts, reason: str) -> Consensus:
    """The majority vote. Ties go to the commoner class where sources answer, to the one voted for less where they are
    rules: a rule that fires more often than its class can be there is wrong the rest of the time.
    """
    found = majority(votes)
    counts = by_majority(votes).votes.sum(axis=(0, 2))
    voted = (counts + 1) / (counts + 1).sum()
    rules = facts.left < ONE_SIDED
    likely = (np.ones(len(voted)) if balance is None else balance) / voted if rules else voted
    likely = balance if balance is not None and not rules else likely
    probs = (found.probs + 1e-6 * likely / likely.sum()) / (1 + 1e-6)
    words = f"ties go to the class that {'rules vote for less' if rules else 'is commoner'}"
    return replace(
        found,
        probs=probs,
        balance=found.balance if balance is None else balance,
        why=(f"majority vote: {reason}", words),
    )


# ---- rules -------------------------------------------------------------------------------------------------------


def _rules(votes: Votes, balance: Floats | None, facts: Facts) -> Consensus:
    if facts.sources < LEAST_RULES * len(votes.classes):
        return _plain(
            votes, balance, facts, f"{facts.sources} rules for {len(votes.classes)} classes are too few to tell each "
            "rule's accuracy from how it meets the others"
        )  # fmt: skip
    kind = f"each source votes mostly for one class ({facts.left:.0%} of the votes' uncertainty is left in sources)"
    found = dependent(votes, balance)
    pairs = found.dependent
    strayed = "" if balance is not None else _strayed(votes, found)
    if strayed or (pairs and facts.sources < ENOUGH_RULES * len(votes.classes)):
        doubt = strayed or (
            f"some of the {facts.sources} err together, so that a model might take what they share for the truth"
        )
        plain = _plain(votes, balance, facts, f"{kind}, and {doubt}")
        return replace(plain, dependent=pairs, why=(*plain.why, _named(votes, found)))
    if pairs:
        return replace(found, why=(f"dependent: {kind}, and some sources err together", _named(votes, found)))
    return replace(found, model="abstention", why=(f"abstention: {kind}, so silence speaks too", _named(votes, found)))


def _strayed(votes: Votes, found: Consensus) -> str:
    """Whether the model took a small heap of rows for a class, as where rules fire together unseen; in words."""
    voted = by_majority(votes).rows
    share = voted / max(float(voted.sum()), 1e-12)
    ratio = np.ones(len(share)) if found.balance is None else found.balance / np.maximum(share, 1e-12)
    worst = int(ratio.argmin())
    if found.balance is None or ratio[worst] >= STRAYED:
        return ""
    return (
        f"the model makes {votes.classes[worst]} {found.balance[worst]:.0%} of the rows, with {share[worst]:.0%} "
        "of the votes: it seems to take a heap of similar rows for a class"
    )


def _named(votes: Votes, found: Consensus, most: int = 5) -> str:
    if not found.dependent:
        return "no dependent pairs were found"
    pairs = [f"{votes.names[i]} and {votes.names[j]} ({s:.2f})" for i, j, s in found.dependent[:most]]
    more = f" and {len(found.dependent) - most} more pairs" if len(found.dependent) > most else ""
    return f"dependent beyond what the class explains: {', '.join(pairs)}{more}"


# ---- answers -----------------------------------------------------------------------------------------------------


def _trials(votes: Votes, balance: Floats | None, folds: int) -> dict[str, Floats]:
    """The log-likelihood of each row's votes under each candidate fitted to the other folds."""
    fold = np.random.default_rng(0).permutation(len(votes)) % folds
    candidates: dict[str, Callable[[Votes], Table]] = {
        "majority": lambda part: iterate(part, lambda c: alike_table(c, balance), tolerance=_ROUGH)[0],
        "bayes": lambda part: fit_subtypes(part, 1, balance=balance, tolerance=_ROUGH).means,
        "subtypes": lambda part: fit_subtypes(part, FEW_SUBTYPES, balance=balance, rounds=60, tolerance=_ROUGH).means,
    }
    logs = {name: np.zeros(len(votes)) for name in candidates}

    def one(name: str, out: int) -> None:
        mine = np.flatnonzero(fold == out)
        table = candidates[name](take(votes, np.flatnonzero(fold != out)))
        logs[name][mine] = likelihoods(take(votes, mine), table)

    with ThreadPoolExecutor(threads()) as pool:
        for done in [pool.submit(one, name, out) for name in reversed(candidates) for out in range(folds)]:
            done.result()
    return logs


def _surely_better(one: Floats, other: Floats) -> bool:
    """Whether the mean of paired differences is above 0 by two standard errors."""
    gain = one - other
    return bool(gain.mean() > 2 * gain.std() / max(1.0, float(np.sqrt(len(gain)))))


def _answers(votes: Votes, balance: Floats | None, facts: Facts) -> Consensus:
    pairs = repeating(every(covered(votes), SAMPLE))
    bound = len({i for pair in pairs for i in pair[:2]})
    if 0 < bound <= MANY_DEPENDENT * facts.sources:
        found = repeated(votes, balance, pairs)
        why = f"dependent: {bound} of {facts.sources} sources repeat one another, so each group of them votes once"
        if bound > LARGE_GROUP * facts.sources:
            why += "; with so many, votes alone cannot say whether they or the others follow the truth: check some rows"
        return replace(found, why=(why, _named(votes, found)))
    seen = covered(votes)
    most = max(500, int(TRIAL_VOTES * len(seen) / max(len(seen.labels), 1)))
    trials = _trials(take(seen, thin_rows(seen, most)), balance, 5 if len(seen) <= most else 2)
    best = "subtypes" if _surely_better(trials["subtypes"], trials["bayes"]) else "bayes"
    gain = float((trials[best] - trials["majority"]).mean())
    if not _surely_better(trials[best], trials["majority"]):
        return _plain(
            votes, balance, facts, "held-out votes are predicted no better by sources of different quality "
            f"({gain:+.3f} nats a row) than by sources that are all alike"
        )  # fmt: skip
    small = len(seen.labels) * len(votes.classes) <= _AFFORDABLE
    count = 1 if best == "bayes" else FULL_SUBTYPES if small else FEW_SUBTYPES
    found = subtypes(votes, balance, count=count)
    rows = thin_rows(votes, SAMPLE)
    found = replace(found, dependent=dependent_pairs(harden(take(votes, rows)), found.probs[rows], silence=False))
    reasons = [f"{best}: predicts held-out votes better than sources that are all alike, by {gain:.3f} nats a row"]
    if count > 1:
        more = float((trials["subtypes"] - trials["bayes"]).mean())
        reasons.append(
            f"sources err together on some kinds of rows: {count} subtypes a class predict held-out votes better than "
            f"independent sources, by {more:.3f} nats a row"
        )
    if found.dependent:
        reasons.append(_named(votes, found))
    return replace(found, why=tuple(reasons))
