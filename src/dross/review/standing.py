"""Standing: what people have said of the findings of one audit, kept up with the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dross.ledger import Ledger
from dross.ledger.chain import Chain
from dross.ledger.opinions import Opinion, agreed, asked_for
from dross.review.queue import State

Rows = npt.NDArray[np.int64]


class Standing:
    """The opinions and comments that stand, by issue and by the row's position in the audited data.

    Parameters
    ----------
    ledger, chain
        The workspace, and the data that the audit's edits are about.
    positions
        Where the audited rows stand in the base of the chain, shape (n,).
    needed
        How many opinions decide.
    """

    def __init__(self, ledger: Ledger, chain: Chain, positions: Rows, needed: int) -> None:
        self.ledger, self.chain, self.needed = ledger, chain, needed
        self.newest = 0
        self._order = np.argsort(positions, kind="stable")
        self._sorted = positions[self._order]
        self._said: dict[str, dict[int, list[Opinion]]] = {}
        self._asked: dict[str, set[int]] = {}

    @property
    def issues(self) -> dict[str, dict[int, list[Opinion]]]:
        """All that stands."""
        return self._said

    def about(self, issue: str) -> dict[int, list[Opinion]]:
        """What stands about one kind of issue, by row."""
        return self._said.get(issue, {})

    def of(self, issue: str, row: int) -> list[Opinion]:
        """What stands about one finding, oldest first."""
        return list(self.about(issue).get(row, ()))

    def state(self, issue: str, row: int) -> State:
        """How far the decision on a finding has come."""
        every = self.about(issue).get(row, ())
        if agreed(every, self.needed) is not None:
            return State.DECIDED
        said = votes(every)
        if len(said) < asked_for(every, self.needed):
            return State.OPEN
        return State.DISPUTED if any(one.says != "unsure" for one in said) else State.UNSURE

    def wanted(self, issue: str, row: int) -> int:
        """How many opinions decide on a finding."""
        return asked_for(self.about(issue).get(row, ()), self.needed)

    def asks(self, issue: str) -> bool:
        """Whether some finding waits for more opinions than one."""
        return self.needed > 1 or bool(self._asked.get(issue))

    def by(self, issue: str, author: str | None) -> frozenset[int]:
        """The rows on which a person has given an opinion."""
        said = self.about(issue).items()
        return frozenset(row for row, own in said if any(one.author == author for one in votes(own)))

    def refresh(self) -> dict[str, list[int]]:
        """Take in what has been written since; the rows on which something changed, by issue."""
        news = self.ledger.opinions(self.chain, since=self.newest)
        self.newest = news.newest
        fresh: dict[str, dict[int, list[Opinion]]] = {}
        at = self._audited(np.array([one.row for one in news.opinions], np.int64)).tolist()
        for one, row in zip(news.opinions, at, strict=True):
            if row >= 0:
                fresh.setdefault(one.issue, {}).setdefault(row, []).append(one)
        looked_at = self._audited(news.rows).tolist()
        changed: dict[str, list[int]] = {}
        for issue in {*self._said, *fresh}:
            said, new = self._said.setdefault(issue, {}), fresh.get(issue, {})
            rows = changed[issue] = [row for row in looked_at if row in said or row in new]
            asked = self._asked.setdefault(issue, set())
            for row in rows:
                said.pop(row, None)
                asked.discard(row)
                if row in new:
                    said[row] = new[row]
                    if asked_for(new[row], 1) > 1:
                        asked.add(row)
        return changed

    def _audited(self, rows: Rows) -> Rows:
        """Where rows of the base stand in the audited data; -1 for one that is not in it."""
        at = np.minimum(np.searchsorted(self._sorted, rows), max(len(self._sorted) - 1, 0))
        return np.where(self._sorted[at] == rows, self._order[at], -1)


def votes(said: Sequence[Opinion]) -> list[Opinion]:
    """The opinions among opinions, comments and questions."""
    return [one for one in said if one.votes]
