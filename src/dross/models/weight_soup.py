"""Model soups: the weights of several fine-tuned networks averaged into one, which costs no more to run than one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dross.core.dataset import Dataset
from dross.core.errors import DrossError

if TYPE_CHECKING:
    from torch import Tensor

    from dross.models.trained import Trained

State = Mapping[str, "Tensor"]
"""The weights of a network by name."""


def averaged(states: Sequence[State]) -> dict[str, Tensor]:
    """The mean of each weight; whole numbers, such as counters, are those of the first.

    >>> import torch
    >>> averaged([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 6.0])}])["w"].tolist()
    [2.0, 4.0]
    """
    import torch

    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in states[0].items()
    }


def greedy_soup(states: Sequence[State], score: Callable[[State], float]) -> tuple[dict[str, Tensor], list[int], float]:
    """The soup of those networks that each made it no worse, their positions, and its score.

    Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
    inference time", 2022, recipe 1: the networks are tried in the order of their own scores, the best first, and one is
    kept where the average with it scores at least as much as without. So it never scores less than the best one.

    >>> import torch
    >>> states = [{"w": torch.tensor(x)} for x in (0.0, 3.0, 2.0)]
    >>> soup, members, value = greedy_soup(states, lambda state: -abs(float(state["w"]) - 1))
    >>> members, value  # 0 and 2 are as good alone, and better together; with 3 they would be worse
    ([0, 2], -0.0)
    """
    if not states:
        raise DrossError("a soup needs a network", fix="give one or more")
    own = [score(state) for state in states]
    order = sorted(range(len(states)), key=lambda i: (-own[i], i))
    members, best = [order[0]], own[order[0]]
    for i in order[1:]:
        value = score(averaged([states[j] for j in [*members, i]]))
        if value >= best:
            members, best = [*members, i], value
    return averaged([states[j] for j in members]), members, best


def soup(models: Sequence[Trained], data: Dataset) -> Trained:
    """One model of several that were fine-tuned from the same one, chosen on rows that none of them learnt from.

    The models must answer with the same network for the same classes. Its summary names the members.

    Raises DrossError where they differ.
    """
    import copy

    first = models[0]
    if any(m.make != first.make or m.classes != first.classes or set(m.nets) != {"net"} for m in models):
        raise DrossError("the models are of different networks or classes", fix="fine-tune one model several times")
    net: Any = copy.deepcopy(first.nets["net"])
    trial = replace(first, nets={"net": net})

    def score(state: State) -> float:
        net.load_state_dict(state)
        return trial.score(data)

    weights, members, value = greedy_soup([m.nets["net"].state_dict() for m in models], score)
    net.load_state_dict(weights)
    return replace(trial, summary={**first.summary, "soup": members, "score": value}, edits=None)
