"""MinHash deduplication: against exact overlaps of all pairs; groups, survivors, bands."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.core.step import Rows
from dross.curate.minhash_deduplication import MinhashDeduplication
from dross.models.banding import band_width
from dross.models.survivors import Rule, groups, survivors
from dross.testing import check_method


def test_contract() -> None:
    check_method(MinhashDeduplication)


def triples(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def test_against_all_pairs() -> None:
    """Texts far above the similarity are one group, texts far below are never joined."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join(rng.choice(words, 60)) for _ in range(60)]
    for i in range(30):
        copy = texts[i].split()
        for at in rng.choice(60, int(rng.integers(0, 12)), replace=False):
            copy[at] = "other"
        texts.append(" ".join(copy))
    rows, _ = MinhashDeduplication(similarity=0.5).over(Rows(pa.table({"text": texts}), "text"), None)
    left = set(rows.addresses.tolist())
    sets = [triples(text) for text in texts]
    for a, b in itertools.combinations(range(len(texts)), 2):
        overlap = len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        if overlap > 0.65:
            assert not {a, b} <= left, (a, b, overlap)
    alike = [max(len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for b in range(90) if b != a) for a in range(90)]
    assert all(a in left for a in range(90) if alike[a] < 0.35)


@pytest.mark.parametrize(
    ("keep", "stays"), [("first", 0), ("longest", 2), ("shortest", 1), ("highest q", 1), ("lowest q", 2)]
)
def test_which_row_of_a_group_stays(keep: str, stays: int) -> None:
    base = " ".join(f"word{i}" for i in range(60))
    table = pa.table({"text": [f"{base} x", base, f"{base} x y"], "q": ["0.5", "0.9", "0.1"]})
    step = MinhashDeduplication(keep=keep, similarity=0.8)
    rows, counts = step.over(Rows(table, "text"), None)
    assert (rows.addresses.tolist(), dict(counts)) == ([stays], {"near_copy": 2})
    assert step.reads() == (("q",) if " " in keep else ())


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_find_what_they_must(similarity: float) -> None:
    width = band_width(similarity, 128)
    assert 1 - (1 - similarity**width) ** (128 // width) >= 0.995 or width == 2


def test_groups_and_survivors_against_a_simple_search() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 60, (2, 40)).astype(np.uint64)
    rows, group = groups(one, other)
    reach = {int(r): {int(r)} for r in rows}
    for _ in range(40):
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            both = reach[a] | reach[b]
            for row in both:
                reach[row] = both
    assert all(reach[a] == set(rows[group == g].tolist()) for a, g in zip(rows.tolist(), group.tolist(), strict=True))
    priority = rng.random(len(rows))
    best = {g: rows[group == g][priority[group == g].argmax()] for g in set(group.tolist())}
    assert survivors(rows, group, priority).tolist() == [best[g] for g in group.tolist()]


def test_what_it_refuses() -> None:
    for given in ({"similarity": 0.0}, {"similarity": 1.5}, {"keep": "best"}, {"keep": "highest"}, {"permutations": 2}):
        with pytest.raises(DrossError):
            MinhashDeduplication(**given)
    assert Rule.of("lowest loss") == Rule("lowest", "loss")


def test_texts_without_words_are_no_copies() -> None:
    rows, _ = MinhashDeduplication().over(Rows(pa.table({"text": ["", None, "!", "?"]}), "text"), None)
    assert len(rows) == 4
