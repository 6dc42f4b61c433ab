"""Skill negatives: the pools, the draws, what is labelled by name and what by classifier, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label.skill_negatives import SkillNegatives, drawn, related_pool, rp_at, similar_pool
from dross.testing import check_method

WORDS = {
    "python": "script indent import package loop list",
    "java": "class jvm bean maven interface static",
    "baking": "dough oven flour yeast bread crust",
    "frying": "pan oil sizzle crisp batter heat",
}
TAXONOMY = (("code", "python", ()), ("code", "java", ()), ("food", "baking", ()), ("food", "frying", ()))


def texts(n: int, name: bool, seed: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    skills = rng.choice(list(WORDS), n).tolist()
    out = [" ".join([*rng.choice(WORDS[s].split(), 5), "and", *([s] if name else [])]) for s in skills]
    return out, skills


def dataset(shown: list[str]) -> Dataset:
    return Dataset(pa.table({"text": shown}), {Role.TEXT: ["text"]})


def test_contract() -> None:
    check_method(SkillNegatives)


@pytest.mark.parametrize("strategies", [("random",), ("related",), ("similar",), ("related", "similar", "random")])
def test_topics_are_found_that_are_not_named(strategies: tuple[str, ...]) -> None:
    taught, _ = texts(160, True, 0)
    asked, truth = texts(60, False, 1)
    data = dataset(taught + asked)
    found = SkillNegatives(taxonomy=TAXONOMY, strategies=strategies, per_positive=3).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert [found.classes[i] for i in found.codes[160:]] == truth
    assert found.origin is not None
    assert found.origin.tolist() == [0] * 160 + [1] * 60


def test_pools_against_their_definition() -> None:
    rng = np.random.default_rng(2)
    matches, groups = rng.random((50, 6)) < 0.2, np.array([0, 0, 1, 1, 1, 2])
    for skill in range(6):
        kin = [j for j in range(6) if groups[j] == groups[skill] and j != skill]
        expected = [i for i in range(50) if any(matches[i, j] for j in kin) and not matches[i, skill]]
        assert related_pool(matches, groups, skill).tolist() == expected
    vectors = rng.standard_normal((50, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own, other = np.arange(10), np.arange(10, 50)
    nearest = {int(other[j]) for i in own for j in np.argsort(-(vectors[other] @ vectors[i]))[:3]}
    assert set(similar_pool(vectors.astype(np.float32), own, other, 3).tolist()) == nearest


def test_draws_are_shared_out_and_made_up() -> None:
    pools = [np.arange(10), np.arange(100, 103), np.arange(200, 300)]
    taken = drawn(pools, np.arange(300, 400), 30, np.random.default_rng(0))
    assert len(taken) == len(set(taken.tolist())) == 30
    assert [int(((taken >= a) & (taken < a + 100)).sum()) for a in (0, 100, 200, 300)] == [10, 3, 10, 7]


def test_precision_at_k() -> None:
    probs = np.array([[0.1, 0.9, 0.5], [0.9, 0.1, np.nan]])
    truth = np.array([[True, True, False], [False, True, False]])
    assert rp_at(probs, truth, 2).tolist() == [0.5, 1.0]


def test_a_taxonomy_from_a_file_and_bad_input(tmp_path: Path) -> None:
    taught, _ = texts(80, True, 3)
    data = dataset(taught)
    path = tmp_path / "taxonomy.json"
    path.write_text(json.dumps({"code": {"python": ["py"], "java": []}}))
    found = SkillNegatives(file=str(path)).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert found.classes == ["java", "python"]
    assert isinstance(SkillNegatives().run(data, Signals(data)), NotApplicable)
    path.write_text('["python"]')
    for given in ({"file": str(path)}, {"strategies": ("rnd",)}, {"per_positive": 0}, {"file": str(tmp_path / "none")}):
        with pytest.raises(DrossError):
            SkillNegatives(**given).run(data, Signals(data))  # type: ignore[arg-type]
    with pytest.raises(DrossError, match="stands in two groups"):
        SkillNegatives(taxonomy=(*TAXONOMY, ("other", "java", ()))).run(data, Signals(data))
