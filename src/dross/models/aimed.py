"""Which rows say what a choice is for, and which it is made among."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dross.core.dataset import Dataset
from dross.core.errors import DrossError, nearest
from dross.core.splits import splits_of
from dross.models.lesson import VALIDATION

Rows = npt.NDArray[np.int64]
TARGETS = ("target", *VALIDATION)
"""Names of the part that a choice is for, in lower case, the first that is there."""


@dataclass(frozen=True)
class Aimed:
    """Positions of the rows to choose among and of those that the choice is for, ascending."""

    pool: Rows
    target: Rows


def aimed(data: Dataset, target: str = "") -> Aimed:
    """The training part as the pool, and the part that the choice is for; no target rows where there is no such part.

    ``target`` names a part (role split); empty takes the one called ``target``, else the validation part.

    Raises
    ------
    DrossError
        When no part besides the training part has the name.

    >>> import pyarrow as pa
    >>> from dross.core.roles import Role
    >>> data = Dataset(pa.table({"x": [1, 2, 3], "part": ["train", "target", "train"]}), {Role.SPLIT: ["part"]})
    >>> aimed(data).pool.tolist(), aimed(data).target.tolist()
    ([0, 2], [1])
    """
    parts = splits_of(data)
    others = parts.names[1:]
    if target and target not in others:
        told = f"no part of the data besides the training part is called {target!r}"
        raise DrossError(told, fix=nearest(target, list(others)) if others else "give a column the role split")
    known = {name.strip().lower(): name for name in reversed(others)}
    name = target or next((known[usual] for usual in TARGETS if usual in known), None)
    of_it = np.zeros(len(data), bool) if name is None else parts.codes == parts.names.index(name)
    return Aimed(np.flatnonzero(parts.training), np.flatnonzero(of_it))
