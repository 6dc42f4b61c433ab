"""Label models: what several fallible sources say together. One model a file, one contract.

=============  ====================  =================  ======================================================
model          abstaining speaks     class balance      suits
=============  ====================  =================  ======================================================
majority       no                    breaks ties        few sources, little overlap
weighted       no                    given or even      a quick look
one-coin       no                    given or even      sources of one accuracy whatever the class
dawid-skene    no                    given or fitted    people or models with many votes each
bayes          no                    given or fitted    the same, with few votes each
subtypes       no                    given or fitted    people or models that stumble over the same rows
glad           no                    given or even      rows of differing difficulty
triplet        no                    given or even      sources that vote for several classes; no iteration
metal          in what a vote says   given or by votes  overlapping rules
abstention     yes                   given or fitted    independent rules, each for one class
dependent      yes for rules         given or fitted    sources of which some repeat one another
auto           as the chosen one                        the default
=============  ====================  =================  ======================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dross.core.errors import DrossError, nearest
from dross.models.crowd import Consensus, glad
from dross.models.label_models.abstention import abstention
from dross.models.label_models.choose import auto
from dross.models.label_models.common import wilson
from dross.models.label_models.dawid_skene import dawid_skene
from dross.models.label_models.dependent import dependent
from dross.models.label_models.majority import majority
from dross.models.label_models.metal import metal
from dross.models.label_models.one_coin import one_coin
from dross.models.label_models.subtypes import bayes, subtypes
from dross.models.label_models.triplet import triplet
from dross.models.label_models.weighted import weighted
from dross.models.votes import Votes, patterns

Floats = npt.NDArray[np.float64]
Model = Callable[[Votes, Floats | None], Consensus]


def _glad(votes: Votes, balance: Floats | None = None) -> Consensus:
    found = glad(votes, balance)
    times = np.ones(len(votes)) if votes.times is None else votes.times
    weights = times[votes.rows] if votes.weights is None else votes.weights * times[votes.rows]
    cast = np.bincount(votes.annotators, weights, len(votes.names)).astype(np.float64)
    return replace(found, model="glad", interval=wilson(found.quality, cast), balance=balance)


MODELS: dict[str, Model] = {
    "majority": majority,
    "weighted": weighted,
    "one-coin": one_coin,
    "dawid-skene": dawid_skene,
    "bayes": bayes,
    "subtypes": subtypes,
    "glad": _glad,
    "triplet": triplet,
    "metal": metal,
    "abstention": abstention,
    "dependent": dependent,
    "auto": auto,
}


def fit(name: str, votes: Votes, balance: npt.ArrayLike | None = None) -> Consensus:
    """Fit a label model by name; ``balance`` is the share of each class, shape (k,), estimated when absent.

    Rows on which nobody voted get what the model believes of such rows; a caller who wants no label there leaves them
    out. Rows with the same votes are computed once where there are few patterns of votes.

    >>> from dross.models.votes import from_matrix
    >>> fit("majority", from_matrix(np.array([[0, 0, 1], [1, -1, 1]]), 2)).probs.round(2).tolist()
    [[0.67, 0.33], [0.0, 1.0]]
    """
    if name not in MODELS:
        raise DrossError(f"no label model is called {name!r}", fix=nearest(name, list(MODELS)))
    k = len(votes.classes)
    if k == 0 or not votes.names:
        raise DrossError("there are no votes: no source voted for any class")
    share = None if balance is None else checked_balance(balance, k)
    if k == 1:
        return majority(votes, share)
    found = patterns(votes)
    if found is None:
        return MODELS[name](votes, share)
    few, place = found
    fitted = MODELS[name](few, share)
    difficulty = None if fitted.difficulty is None else fitted.difficulty[place]
    return replace(fitted, probs=fitted.probs[place], difficulty=difficulty)


def checked_balance(balance: npt.ArrayLike, k: int) -> Floats:
    """A class balance as an array, or an error that says what is wrong with it.

    >>> checked_balance([0.5, 0.6], 2)
    Traceback (most recent call last):
        ...
    dross.core.errors.DrossError: the class balance adds up to 1.1. give the share of each class; together they make 1
    """
    share = np.asarray(balance, np.float64)
    if share.shape != (k,):
        raise DrossError(f"the class balance has {share.size} entries for {k} classes")
    if not np.isfinite(share).all() or (share < 0).any():
        raise DrossError("the class balance holds a number that is not a share: below 0 or missing")
    if abs(share.sum() - 1) > 1e-3:
        raise DrossError(
            f"the class balance adds up to {share.sum():.4g}", fix="give the share of each class; together they make 1"
        )
    together: Floats = share / share.sum()
    return together
