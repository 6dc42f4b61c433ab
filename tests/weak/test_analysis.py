from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.models.votes import from_matrix
from dross.weak import Analysis, analyse, apply_rules, overlap


def matrix(n: int = 300, m: int = 6, k: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, m)) < 0.4, rng.integers(0, k, (n, m)), -1)


def dataset(codes: np.ndarray, truth: Any = None, **more: Any) -> Dataset:
    columns = {f"s{j}": codes[:, j] for j in range(codes.shape[1])}
    roles = {Role.VOTES: list(columns)}
    columns |= more
    if truth is not None:
        columns["truth"] = truth
        roles[Role.LABEL] = ["truth"]
    if "text" in more:
        roles[Role.TEXT] = ["text"]
    return Dataset(pa.table(columns), roles)


def planted(n: int = 600, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Five sources right on 80 % of the rows, voting on half; the sixth copies the first, the last is mostly wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    codes = np.where(rng.random((n, 7)) < 0.8, truth[:, None], 1 - truth[:, None])
    codes[:, 6] = 1 - codes[:, 6]
    codes[rng.random((n, 7)) < 0.5] = -1
    codes[:, 5] = codes[:, 0]
    return codes, truth


def test_coverage_overlap_and_conflict_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "BLOCK", 64)
    codes = matrix()
    facts, pairs = overlap.measure(from_matrix(codes, 3)), overlap.pairs(from_matrix(codes, 3))
    for j in range(6):
        votes = codes[:, j] >= 0
        others = np.delete(codes, j, axis=1)
        assert facts.votes[j] == votes.sum()
        assert facts.beside[j] == (votes & (others >= 0).any(axis=1)).sum()
        differ = ((others >= 0) & (others != codes[:, [j]])).any(axis=1)
        assert facts.against[j] == (votes & differ).sum() or facts.against[j] >= (votes & differ).sum()
    disputed = [len(set(row[row >= 0])) > 1 for row in codes]
    assert facts.disputed.tolist() == disputed
    assert facts.against.tolist() == [int((np.array(disputed) & (codes[:, j] >= 0)).sum()) for j in range(6)]
    for a, b in itertools.product(range(6), repeat=2):
        both = (codes[:, a] >= 0) & (codes[:, b] >= 0)
        assert pairs.both[a, b] == both.sum()
        assert pairs.agree[a, b] == (both & (codes[:, a] == codes[:, b])).sum()


def test_judging_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "BLOCK", 64)
    codes, k = matrix(seed=3), 3
    rng = np.random.default_rng(0)
    gold = rng.integers(-1, 4, len(codes))
    quality = rng.uniform(0.4, 0.9, 6)
    weight = np.log(quality * (k - 1) / (1 - quality))
    got = overlap.judge(from_matrix(codes, k), quality, gold)
    for j in range(6):
        given = right = met = agree = repaired = broken = 0
        for row, truth in zip(codes, gold, strict=True):
            if row[j] < 0:
                continue
            scores = np.zeros(k)
            for other in np.flatnonzero(row >= 0):
                scores[row[other]] += weight[other]
            without = scores.copy()
            without[row[j]] -= weight[j]
            given += truth >= 0
            right += row[j] == truth
            if (row >= 0).sum() > 1:
                met += 1
                agree += without.argmax() == row[j]
                if truth >= 0:
                    repaired += scores.argmax() == truth and without.argmax() != truth
                    broken += scores.argmax() != truth and without.argmax() == truth
        told = (got.given[j], got.right[j], got.met[j], got.agree[j], got.repaired[j], got.broken[j])
        assert told == (given, right, met, agree, repaired, broken)


def test_planted_rules_are_seen_for_what_they_are() -> None:
    codes, truth = planted()
    found = analyse(apply_rules(dataset(codes, truth)), "weighted")
    by = {rule.name: rule for rule in found.rules}
    worse = [name for name, rule in by.items() if any("votes at random" in why for why in rule.harmful)]
    assert worse == ["s6"]
    # whoever counts the copies twice does harm; the others do not
    assert {name for name, rule in by.items() if rule.harmful} <= {"s0", "s5", "s6"}
    assert [one["rules"] for one in found.redundant] == [["s0", "s5"]]
    for name in ("s0", "s1", "s2", "s3", "s4"):
        own = codes[:, int(name[1])]
        assert by[name].measured[0] == pytest.approx((own == truth)[own >= 0].mean())
        assert by[name].measured[1] < by[name].measured[0] < by[name].measured[2]
    assert by["s6"].measured[2] < 0.3
    assert found.accuracy["model"][0] > 0.8


def test_accuracy_is_estimated_without_given_labels() -> None:
    rng = np.random.default_rng(3)
    truth, right = rng.integers(0, 2, 3000), np.array([0.9, 0.8, 0.7, 0.6, 0.75])
    codes = np.where(rng.random((3000, 5)) < right, truth[:, None], 1 - truth[:, None])
    codes[rng.random((3000, 5)) < 0.3] = -1
    found = analyse(apply_rules(dataset(codes)), "dawid-skene")
    for rule, share in zip(found.rules, right, strict=True):
        assert rule.estimated == pytest.approx(share, abs=0.03)


def test_without_given_labels_a_harmful_rule_disagrees() -> None:
    codes, _ = planted()
    found = analyse(apply_rules(dataset(codes)), "weighted")
    assert [rule.name for rule in found.rules if rule.harmful] == ["s6"]
    assert "less than votes at random" in found.rules[6].harmful[0]
    assert all(rule.measured is None for rule in found.rules)
    assert found.accuracy == {}


def test_rules_without_fault_are_not_accused() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 800)
    codes = np.where(rng.random((800, 12)) < 0.65, truth[:, None], 1 - truth[:, None])
    codes[rng.random((800, 12)) < 0.7] = -1
    found = analyse(apply_rules(dataset(codes, truth)), "weighted")
    assert [rule.name for rule in found.rules if rule.harmful] == []


def test_conflicts_have_true_examples() -> None:
    codes, _ = planted()
    found = analyse(apply_rules(dataset(codes, text=[f"text {i}" for i in range(len(codes))])), "majority")
    counts = [one["rows"] for one in found.conflicts]
    assert counts == sorted(counts, reverse=True)
    for one in found.conflicts:
        a, b = (int(name[1:]) for name in one["rules"])
        differ = (codes[:, a] >= 0) & (codes[:, b] >= 0) & (codes[:, a] != codes[:, b])
        assert one["rows"] == differ.sum()
        assert len(one["examples"]) == min(3, differ.sum())
        for example in one["examples"]:
            assert differ[example["row"]]
            assert example["votes"] == [str(codes[example["row"], a]), str(codes[example["row"], b])]
            assert example["text"] == f"text {example['row']}"


def test_subjects_that_no_rule_is_about() -> None:
    rng = np.random.default_rng(0)
    words = {"sport": "match goal team coach league", "food": "soup bread oven salt recipe", "rain": "cloud storm wind"}
    texts, codes = [], []
    for subject, vocabulary in words.items():
        for _ in range(80):
            texts.append(" ".join(rng.choice(vocabulary.split(), 6)))
            codes.append([0, 0] if subject == "rain" else [-1, -1])
    found = analyse(apply_rules(dataset(np.array(codes), text=texts)), "majority")
    names = " ".join(group["name"] for group in found.uncovered)
    assert any(word in names for word in words["sport"].split())
    assert any(word in names for word in words["food"].split())
    assert not any(word in names for word in words["rain"].split())
    assert sum(group["rows"] for group in found.uncovered) <= 160


def notes(codes: Any, truth: Any = None) -> Analysis:
    return analyse(apply_rules(dataset(np.array(codes), truth)), "majority")


def test_all_abstain() -> None:
    found = notes([[-1, -1]] * 5)
    assert found.notes == ["no rule votes on any row, so nothing can be labelled"]
    assert (found.covered, found.rules[0].remarks) == (0, ["it never votes"])


def test_one_source() -> None:
    found = notes([[0], [1], [-1]] * 20)
    assert "only one rule votes" in found.notes[0]
    assert found.rules[0].estimated is None


def test_rules_that_never_meet() -> None:
    assert "no two rules vote on the same row" in notes([[0, -1], [-1, 1]] * 20).notes[0]


def test_one_class_only_and_given_labels_nobody_votes_for() -> None:
    found = notes([[0, 0], [0, -1]] * 10, ["0", "2"] * 10)
    assert "10 rows have a given label that no rule ever votes for" in found.notes
    assert "every vote is for '0'" in found.notes[1]
    assert found.rules[0].measured[0] == 0.5


def test_everything_is_plain_json() -> None:
    codes, truth = planted(100)
    text = json.dumps(analyse(apply_rules(dataset(codes, truth)), "majority").plain(), allow_nan=False)
    assert json.loads(text)["rows"] == 100


def test_the_same_twice() -> None:
    codes, truth = planted(200)
    first, second = (analyse(apply_rules(dataset(codes, truth))).plain() for _ in range(2))
    assert first == second
