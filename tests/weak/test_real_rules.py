"""Published rules on real texts: the votes are those that were published with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import dross
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.models.votes import votes_of
from dross.weak import label
from tests.realdata import real

pytestmark = pytest.mark.data


def dense(data: Dataset) -> np.ndarray:
    votes = votes_of(data, Role.VOTES)
    out = np.full((len(votes), len(votes.names)), -1)
    out[votes.rows, votes.annotators] = np.array([int(name) for name in votes.classes])[votes.labels]
    return out


def test_sms_rules_in_yaml_and_in_python_vote_as_published(tmp_path: Path) -> None:
    folder = real("ws_sms_rules")
    rules = pq.read_table(folder / "rules.parquet").to_pylist()
    lines = [f"  - {{name: y{r['rule']}, label: {r['label']}, pattern: {json.dumps(r['regex'])}}}\n" for r in rules]
    (tmp_path / "rules.yaml").write_text("classes: [0, 1]\nrules:\n" + "".join(lines))
    told = [(f"p{r['rule']}", r["label"], r["regex"]) for r in rules]
    (tmp_path / "rules.py").write_text(
        "import re\nfrom dross.weak import labeling_function\n\n"
        "def make(name, label, regex):\n"
        "    pattern = re.compile(regex)\n"
        "    @labeling_function(name=name)\n"
        "    def rule(row):\n"
        "        return label if pattern.search(row['text'].lower()) else None\n"
        f"for one in {told!r}:\n    make(*one)\n"
    )
    data = dross.load(str(folder / "texts.parquet"), text="text", label="label")
    done = label(data, [tmp_path / "rules.yaml", tmp_path / "rules.py"], model="majority")
    votes = dense(done.applied.data)
    published = np.load(folder / "votes.npz")["votes"]
    np.testing.assert_array_equal(votes[:, :73], published)
    np.testing.assert_array_equal(votes[:, 73:], published)
    assert len(done.analysis.redundant) >= 20  # each rule that votes ten times beside its twin


def test_sms_analysis(tmp_path: Path) -> None:
    folder = real("ws_sms_rules")
    published = np.load(folder / "votes.npz")["votes"]
    texts = pq.read_table(folder / "texts.parquet")
    for j in range(73):
        texts = texts.append_column(f"r{j}", [published[:, j].astype(np.int64)])
    roles = {Role.TEXT: ["text"], Role.LABEL: ["label"], Role.VOTES: [f"r{j}" for j in range(73)]}
    done = label(Dataset(texts, roles), model="majority")
    found = done.analysis
    assert found.covered == (published >= 0).any(axis=1).sum()
    truth = texts.column("label").to_numpy()
    for j in (0, 11, 26):
        votes = published[:, j] >= 0
        assert found.rules[j].measured[0] == pytest.approx((published[votes, j] == truth[votes]).mean())
    assert found.accuracy["majority"][0] == pytest.approx(0.968, abs=2e-3)
    assert found.uncovered
    assert found.uncovered[0]["examples"]


def test_youtube() -> None:
    folder = real("ws_youtube")
    published = np.load(folder / "votes.npz")["votes"]
    texts = pq.read_table(folder / "texts.parquet")
    for j in range(10):
        texts = texts.append_column(f"r{j}", [published[:, j].astype(np.int64)])
    roles = {Role.TEXT: ["text"], Role.LABEL: ["label"], Role.VOTES: [f"r{j}" for j in range(10)]}
    found = label(Dataset(texts, roles), model="majority").analysis
    truth = texts.column("label").to_numpy()
    assert found.covered / found.rows == pytest.approx(0.883, abs=1e-3)
    assert found.accuracy["majority"][0] == pytest.approx(0.800, abs=2e-3)
    measured = [(published[v, j] == truth[v]).mean() for j in range(10) for v in [published[:, j] >= 0]]
    np.testing.assert_allclose([rule.measured[0] for rule in found.rules], measured)
