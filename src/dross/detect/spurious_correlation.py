"""Spurious correlation: properties that should not matter but predict the label, and that a model leans on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dross.core.attributes import Attribute, attributes_of, cut
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.method import Detector
from dross.core.paper import Paper
from dross.core.results import Findings, Issue, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.core.statistics import wilson
from dross.signals import image_statistics, text_statistics
from dross.signals.image_statistics import ImageStatistics
from dross.signals.probabilities import Probabilities
from dross.signals.text_statistics import TextStatistics

Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]

LEAST_ROWS = 20
"""Rows of a group, an attribute's value and a class, whose accuracy is given."""
STRONG = 0.2
"""How far from chance (0) to certainty (1) an attribute must predict the label, at the low end of the interval."""
NOTABLE = 0.05
"""How much accuracy must be lost where the attribute points elsewhere, at the low end of the interval."""
PIECES = 10
"""Parts that a measured property is cut into."""
MOST_CLASSES = 1000
LEVEL = 0.05

IMAGE_PROPERTIES = ("width", "height", "brightness", "contrast", "sharpness", "entropy", "colourfulness")
TEXT_SHARES = ("capitals", "digits", "punctuation", "tags")


@dataclass(frozen=True)
class Shortcut:
    """What an attribute says about the label, and what a model makes of it; intervals are (estimate, low, high).

    Attributes
    ----------
    strength
        How well the attribute alone predicts the label: balanced accuracy, 0 being chance and 1 certainty.
    lost
        Accuracy of the model where the attribute points to the label less that where it points elsewhere, averaged
        over the classes.
    against
        Whether the attribute points to another label than the row's, shape (n,), bool.
    """

    strength: tuple[float, float, float]
    lost: tuple[float, float, float]
    against: Mask


def pointed_to(attribute: Codes, labels: Codes, values: int, classes: int) -> Codes:
    """The class that the other rows with the same attribute value point to, shape (n,), each row left out of its count.

    Classes count by their share, not their size: the class whose rows have the value most often. Time O(n + v k).

    >>> pointed_to(np.array([0, 0, 0, 1], np.int32), np.array([0, 0, 1, 1], np.int32), 2, 2).tolist()
    [0, 0, 0, 0]
    """
    counts = np.bincount(attribute * classes + labels, minlength=values * classes).reshape(values, classes)
    sizes = np.maximum(np.bincount(labels, minlength=classes), 1)
    shares = counts / sizes
    best = shares.argmax(axis=1)
    rest = shares.copy()
    rest[np.arange(values), best] = -1.0
    second, second_share = rest.argmax(axis=1), rest.max(axis=1)
    own = (counts[attribute, labels] - 1) / np.maximum(sizes[labels] - 1, 1)  # the row's own class without the row
    mine = best[attribute] == labels
    other = np.where(mine, second[attribute], best[attribute])
    other_share = np.where(mine, second_share[attribute], shares[attribute, best[attribute]])
    return np.where(own > other_share, labels, other).astype(np.int32)


def shortcut(attribute: Codes, labels: Codes, right: Mask, values: int, classes: int, level: float) -> Shortcut:
    """Measure how strongly an attribute predicts the label, and how much a model fails where it points elsewhere.

    ``attribute`` and ``labels`` are codes, shape (n,), none missing; ``right`` whether the model's out-of-fold
    prediction is the label. Intervals at ``level`` are normal approximations over the rows of each class.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    against = pointed_to(attribute, labels, values, classes) != labels
    sizes = np.bincount(labels, minlength=classes)
    present = sizes > 0
    k = int(present.sum())
    recall = np.bincount(labels[~against], minlength=classes)[present] / sizes[present]
    deviation = np.sqrt((recall * (1 - recall) / sizes[present]).sum()) / k
    scale = 1 - 1 / k
    strength = (recall.mean() - 1 / k) / scale

    agree, disagree = (np.bincount(labels[m], minlength=classes).astype(float) for m in (~against, against))
    enough = (agree >= 2) & (disagree >= 2)
    weight = np.where(enough, agree * disagree / np.maximum(agree + disagree, 1), 0.0)
    weight /= max(weight.sum(), 1e-300)
    hits = [np.bincount(labels[m & right], minlength=classes) for m in (~against, against)]
    share = [(h + 0.5) / (c + 1) for h, c in zip(hits, (agree, disagree), strict=True)]
    lost = float((weight * (share[0] - share[1])).sum())
    variance = sum(s * (1 - s) / np.maximum(c, 1) for s, c in zip(share, (agree, disagree), strict=True))
    error = float(np.sqrt((weight**2 * variance).sum()))
    half = z * float(deviation) / scale
    return Shortcut(
        (float(strength), float(strength - half), float(strength + half)),
        (lost, lost - z * error, lost + z * error),
        against,
    )


def fewer(against: Mask, labels: Codes, classes: int) -> Mask:
    """Whether a row's class has fewer rows that the attribute points away from than others, shape (n,)."""
    minority = np.bincount(labels[against], minlength=classes) < np.bincount(labels[~against], minlength=classes)
    return np.asarray(minority[labels])


def groups(attribute: Attribute, data: Dataset, labels: Codes, right: Mask) -> list[dict[str, Any]]:
    """The accuracy of every group of an attribute's value and a class with enough rows, the worst first."""
    k = len(data.classes)
    cell = attribute.codes * k + labels
    known = (attribute.codes >= 0) & (labels >= 0)
    counts = np.bincount(cell[known], minlength=len(attribute.values) * k)
    hits = np.bincount(cell[known & right], minlength=len(counts))
    kept = np.flatnonzero(counts >= LEAST_ROWS)
    low, high = wilson(hits[kept], counts[kept])
    order = np.argsort(hits[kept] / counts[kept], kind="stable")
    return [
        {
            "group": attribute.values[kept[i] // k],
            "class": str(data.classes[kept[i] % k]),
            "rows": int(counts[kept[i]]),
            "accuracy": float(hits[kept[i]] / counts[kept[i]]),
            "interval": [float(low[i]), float(high[i])],
        }
        for i in order.tolist()
    ]


@dataclass(frozen=True)
class SpuriousCorrelation(Detector):
    """Attributes that should not matter, yet predict the label, and on which a model relies.

    Attributes are the given groups and domains and simple properties of pictures (size, light, colour, sharpness) and
    texts (length, capitals, digits, punctuation, tags). One is reported as a shortcut when it alone predicts the
    label a fifth of the way from chance to certainty, and when out-of-fold predictions of the same class are at least 5
    percentage points less accurate where it points to another class, both at the low end of intervals that hold for
    all attributes at once. Findings are the rows against it where they are the fewer of their class: those a model
    that learnt the shortcut gets wrong, and that are worth keeping. They are no defects, and score below 0.5.

    It cannot know which properties should matter: night pictures are dark because it is night. Rows with wrong labels
    also lie against a property that matters, and are predicted otherwise. It cannot see attributes that are neither
    given nor measured, nor one that is the same as the label on every row; clusters of the embedding are not used,
    since a good embedding has the label itself in its clusters.

    Groups and worst-group accuracy: Sagawa, Koh, Hashimoto, Liang, "Distributionally Robust Neural Networks for Group
    Shifts", 2019.
    """

    paper: ClassVar = Paper(
        "Distributionally Robust Neural Networks for Group Shifts: On the Importance of Regularization for Worst-Case "
        "Generalization",
        2019,
        "1911.08731",
    )
    finds: ClassVar[Issue] = Issue.SPURIOUS
    needs: ClassVar = (Role.LABEL, Probabilities, TextStatistics, ImageStatistics)

    def run(self, data: Dataset, signals: Signals) -> Findings | NotApplicable:
        """Measure every attribute; the rows against the shortcuts are findings."""
        labels, k = data.codes, len(data.classes)
        if k < 2:
            return NotApplicable("the labels have fewer than two classes")
        if k > MOST_CLASSES:
            return NotApplicable(f"more than {MOST_CLASSES:,} classes")
        attributes = measured_attributes(data, signals)
        if not attributes:
            return NotApplicable("no group, domain, text or image whose properties vary")
        if (labels >= 0).sum() < 2 * LEAST_ROWS:
            return NotApplicable(f"fewer than {2 * LEAST_ROWS} labelled rows")
        probs = signals[Probabilities()]
        if probs.shape[1] != k:
            raise DrossError(f"probabilities for {probs.shape[1]} classes, but the labels have {k}")
        right = probs.argmax(axis=1) == labels
        scores = np.zeros(len(data), np.float32)
        which = np.full(len(data), -1, np.int32)
        facts = []
        for i, attribute in enumerate(attributes):
            rows = np.flatnonzero((attribute.codes >= 0) & (labels >= 0))
            if len(rows) < 2 * LEAST_ROWS:
                continue
            level = 1 - LEVEL / len(attributes)
            found = shortcut(attribute.codes[rows], labels[rows], right[rows], len(attribute.values), k, level)
            relied_on = found.strength[1] >= STRONG and found.lost[1] >= NOTABLE
            facts.append(_fact(attribute, found, groups(attribute, data, labels, right), relied_on))
            if relied_on:
                against = rows[found.against & fewer(found.against, labels[rows], k)]
                better = against[scores[against] < 0.49 * found.lost[0]]
                scores[better], which[better] = min(0.49, 0.49 * found.lost[0]), i
        facts.sort(key=lambda fact: (not fact["shortcut"], -fact["strength"][0], fact["attribute"]))
        rows = np.flatnonzero(which >= 0)
        names = np.array([attribute.name for attribute in attributes], dtype=object)
        return Findings(
            Issue.SPURIOUS,
            rows,
            scores[rows],
            evidence={"attribute": names[which[rows]]},
            summary={"shortcuts": [f["attribute"] for f in facts if f["shortcut"]], "attributes": facts[:20]},
        )


def _fact(attribute: Attribute, found: Shortcut, worst: list[dict[str, Any]], relied_on: bool) -> dict[str, Any]:
    return {
        "attribute": attribute.name,
        "shortcut": relied_on,
        "strength": list(found.strength),
        "accuracy_lost": list(found.lost),
        "rows_against": int(found.against.sum()),
        "worst_groups": worst[:3],
    }


def measured_attributes(data: Dataset, signals: Signals) -> list[Attribute]:
    """The attributes that should not matter: given groups and domains, and what is measured of texts and pictures."""
    given = [c for role in (Role.GROUP, Role.DOMAIN) for c in data.roles.get(role, ())]
    found: list[Attribute | None] = list(attributes_of(data, given, PIECES))
    if data.has(Role.IMAGE):
        read = _columns(signals[ImageStatistics()], image_statistics.COLUMNS)
        shown = read["decodes"] > 0
        found += [cut(f"image {name}", np.where(shown, read[name], np.nan), PIECES) for name in IMAGE_PROPERTIES]
    if data.has(Role.TEXT):
        read = _columns(signals[TextStatistics()], text_statistics.COLUMNS)
        length = np.maximum(read["characters"], 1)
        found.append(cut("text length", read["characters"], PIECES))
        found += [cut(f"share of {name}", read[name] / length, PIECES) for name in TEXT_SHARES]
    return [attribute for attribute in found if attribute is not None]


def _columns(statistics: npt.NDArray[np.float32], names: tuple[str, ...]) -> dict[str, Vector]:
    return {name: statistics[:, i].astype(np.float64) for i, name in enumerate(names)}
