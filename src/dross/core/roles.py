"""Roles: what each column is for; and the task that follows from them."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a column means to a method.

    >>> Role("label") is Role.LABEL
    True
    """

    ID = "id"
    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    FEATURES = "features"
    EMBEDDING = "embedding"
    PROBS = "probs"
    LABEL = "label"
    LABELS = "labels"
    TARGET = "target"
    ANNOTATIONS = "annotations"
    VOTES = "votes"
    GROUP = "group"
    DOMAIN = "domain"
    SPLIT = "split"
    TIME = "time"
    PROMPT = "prompt"
    RESPONSE = "response"
    CHOSEN = "chosen"
    REJECTED = "rejected"
    QUERY = "query"
    PASSAGE = "passage"
    SEQUENCE = "sequence"
    EDGES = "edges"

    @property
    def many(self) -> bool:
        """Whether several columns may share the role."""
        return self in _MANY


_MANY = frozenset({Role.FEATURES, Role.ANNOTATIONS, Role.VOTES, Role.GROUP, Role.TEXT})

CONTENT = (Role.TEXT, Role.IMAGE, Role.AUDIO, Role.FEATURES, Role.EMBEDDING)
"""The roles a row's content can stand in: everything a model may learn from."""


class Task(StrEnum):
    """What the data is to teach; follows from the roles."""

    CLASSIFICATION = "classification"
    MULTILABEL = "multi-label"
    REGRESSION = "regression"
    ANNOTATED = "annotated"
    PAIRS = "pairs"
    INSTRUCTIONS = "instructions"
    PREFERENCES = "preferences"
    UNLABELLED = "unlabelled"


def task_of(roles: frozenset[Role]) -> Task:
    """Name the task that a set of roles makes.

    >>> task_of(frozenset({Role.TEXT, Role.LABEL})).value
    'classification'
    >>> task_of(frozenset({Role.TEXT})).value
    'unlabelled'
    """
    order = (
        (Role.LABEL, Task.CLASSIFICATION),
        (Role.LABELS, Task.MULTILABEL),
        (Role.TARGET, Task.REGRESSION),
        (Role.ANNOTATIONS, Task.ANNOTATED),
        (Role.CHOSEN, Task.PREFERENCES),
        (Role.RESPONSE, Task.INSTRUCTIONS),
        (Role.PASSAGE, Task.PAIRS),
    )
    return next((task for role, task in order if role in roles), Task.UNLABELLED)
