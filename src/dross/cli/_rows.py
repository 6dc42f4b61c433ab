"""Rows of a second file, read as those of the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dross.core.dataset import Dataset
    from dross.core.roles import Role


def like(path: str, raw: Dataset, *more: Role) -> Dataset:
    """Read rows with the roles of others: what a model reads, what it is to predict, and ``more``."""
    from dross.core.roles import CONTENT, Role
    from dross.io import load

    roles: dict[str, Any] = {role.value: None for role in Role}
    for role in (*CONTENT, Role.LABEL, Role.TARGET, *more):
        if raw.has(role):
            columns = list(raw.roles[role])
            roles[role.value] = columns if role.many else columns[0]
    return load(path, **roles)
