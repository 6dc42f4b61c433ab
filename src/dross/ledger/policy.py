"""Policy: what to do with the findings of each kind of issue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dross.core.errors import DrossError, nearest
from dross.core.results import Issue

CHOICES = ("drop", "relabel", "reweight", "review")
RELABELLED = frozenset({Issue.LABEL, Issue.CONFLICT})
"""The issues whose suggestion is a value for the label or the target."""
TWINNED = frozenset({Issue.DUPLICATE, Issue.NEAR_DUPLICATE, Issue.SEMANTIC_DUPLICATE, Issue.LEAKAGE})
"""The issues whose suggestion is the row's twin: of each group of twins one row always stays."""


@dataclass(frozen=True)
class Rule:
    """What becomes of the flagged findings of one issue.

    Attributes
    ----------
    action
        One of :data:`CHOICES`.
    precision
        Only findings whose expected precision is at least this; the others wait for review.
    """

    action: str
    precision: float = 0.0


@dataclass(frozen=True)
class Policy:
    """A rule for each kind of issue; what has none waits for review. Rules bear on flagged findings only.

    Examples
    --------
    >>> policy = Policy.of("label=relabel, near-duplicate=drop")
    >>> policy.rule(Issue.LABEL).action, policy.rule(Issue.OUTLIER).action
    ('relabel', 'review')
    >>> Policy.of(None).name
    'careful'
    """

    rules: Mapping[Issue, Rule]
    name: str

    @classmethod
    def of(cls, given: str | Mapping[str, str] | None) -> Policy:
        """Read a policy as users write it, ``label=relabel,duplicate=drop``; None is the careful one."""
        if given is None:
            return CAREFUL
        pairs = dict(given) if isinstance(given, Mapping) else _pairs(given)
        rules = {_issue(name): Rule(action) for name, action in pairs.items()}
        for issue, rule in rules.items():
            _check(issue, rule.action)
        return cls(MappingProxyType(rules), ",".join(f"{issue}={rule.action}" for issue, rule in rules.items()))

    def rule(self, issue: Issue) -> Rule:
        """The issue's rule."""
        return self.rules.get(issue, Rule("review"))


CAREFUL = Policy(
    MappingProxyType(
        {
            Issue.DUPLICATE: Rule("drop"),
            Issue.NEAR_DUPLICATE: Rule("drop"),
            Issue.LABEL: Rule("relabel", precision=0.9),
        }
    ),
    "careful",
)
"""The policy when none is given: of copies one stays, labels change where the suggestion is sure, the rest waits."""


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, action = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise DrossError(f"the policy {part!r} names no action", fix=f"write {name}=drop, for example")
        if name in pairs:
            raise DrossError(f"the policy names {name!r} twice")
        pairs[name] = action
    if not pairs:
        raise DrossError("the policy is empty", fix="write label=relabel,duplicate=drop, or leave it out")
    return pairs


def _issue(name: str) -> Issue:
    plain = name.strip().lower().replace("-", "_")
    if plain not in set(Issue):
        raise DrossError(f"no issue is called {name!r}", fix=nearest(plain, [str(issue) for issue in Issue]))
    return Issue(plain)


def _check(issue: Issue, action: str) -> None:
    if action not in CHOICES:
        raise DrossError(f"no policy is called {action!r}", fix=nearest(action, list(CHOICES)))
    if action == "relabel" and issue not in RELABELLED:
        able = ", ".join(sorted(RELABELLED))
        raise DrossError(
            f"findings of {issue} suggest no label", fix=f"relabel goes with {able}; choose drop or review"
        )
