"""The label model that rules are judged and combined by: the one call behind which it stands."""

from __future__ import annotations

from collections.abc import Mapping

from dross.core.errors import DrossError, nearest
from dross.models.crowd import Consensus
from dross.models.votes import Votes


def models() -> list[str]:
    """The names of the label models that can be asked for, ``auto`` first.

    >>> models()[0]
    'auto'
    """
    from dross.models.label_models import MODELS

    return ["auto", *(name for name in MODELS if name != "auto")]


def check(model: str) -> None:
    """Refuse a model that does not exist."""
    if model not in models():
        raise DrossError(f"there is no label model {model!r}", fix=nearest(model, models()))


def estimate(votes: Votes, model: str = "auto", balance: Mapping[str, float] | None = None) -> Consensus:
    """What the votes say together: the chance of each class on each row and the quality of each source.

    ``balance`` is the share of each class by its text; the model finds its own when it is absent. Raises DrossError
    for a model of another name, and for a balance that contradicts itself or the votes.

    >>> from dross.models.votes import from_matrix
    >>> import numpy as np
    >>> estimate(from_matrix(np.array([[0, 0], [1, 1], [1, -1]]), 2), "majority").probs.argmax(axis=1).tolist()
    [0, 1, 1]
    """
    from dross.models.label_models import fit

    check(model)
    return fit(model, votes, None if balance is None else _in_order(balance, votes))


def _in_order(balance: Mapping[str, float], votes: Votes) -> list[float]:
    named, voted = {str(name): share for name, share in balance.items()}, [str(name) for name in votes.classes]
    for name, share in named.items():
        if name not in voted:
            raise DrossError(
                f"the class balance gives {share:g} to {name!r}, for which no rule votes",
                fix=nearest(name, voted),
            )
    for name in voted:
        if name not in named:
            raise DrossError(
                f"the class balance leaves out {name!r}, for which rules vote", fix="give every class a share"
            )
    return [float(named[name]) for name in voted]
