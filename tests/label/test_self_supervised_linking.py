"""Self-supervised linking: names found, the contrastive gradient, prototypes, ambiguous names resolved, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label import self_supervised_linking as s
from dross.label.self_supervised_linking import SelfSupervisedLinking
from dross.models import contrastive
from dross.models.mentions import Lexicon, around, words_of

ALIASES = (("river bank", ("bank", "riverside")), ("credit bank", ("bank", "savings house")), ("bench", ()))
ABOUT = {
    "river": "water fish boat reed current mud willow ferry".split(),
    "credit": "money loan interest clerk vault account coin teller".split(),
}
FILLER = "we went there on that day and saw how it was then".split()


def sentence(kind: str, name: str, rng: np.random.Generator) -> str:
    words = [*rng.choice(ABOUT[kind], 3), *rng.choice(FILLER, 4)]
    return " ".join([*rng.permutation(words[:4]), name, *rng.permutation(words[4:])])


def made(plain: int = 120, asked: int = 60, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """Texts that name a bank plainly, two of three of them the river's, and texts that do not say which."""
    rng = np.random.default_rng(seed)
    kinds = ["river" if rng.random() < 0.67 else "credit" for _ in range(plain + asked)]
    plainly = {"river": ("river bank", "riverside"), "credit": ("credit bank", "savings house")}
    texts = [
        sentence(kind, str(rng.choice(plainly[kind])) if i < plain else "[[bank]]", rng) for i, kind in enumerate(kinds)
    ]
    return Dataset(pa.table({"text": texts}), {Role.TEXT: ["text"]}), np.array(kinds[plain:])


def test_names_are_found_longest_first_and_without_overlap() -> None:
    lexicon = Lexicon.of({"new york": ["ny"], "york": [], "new york times": ["times"]})
    found = lexicon.find(words_of("The New York Times of York, not NY times"))
    named = [(a, b, [lexicon.entities[i] for i in e]) for a, b, e in found]
    assert named == [
        (1, 4, ["new york times"]),
        (5, 6, ["york"]),
        (7, 8, ["new york"]),
        (8, 9, ["new york times"]),
    ]


def test_rivals_share_a_name() -> None:
    lexicon = Lexicon.of(dict(ALIASES))
    named = {lexicon.entities[i]: [lexicon.entities[j] for j in own] for i, own in enumerate(lexicon.rivals())}
    assert named == {
        "bench": ["bench"],
        "credit bank": ["credit bank", "river bank"],
        "river bank": ["credit bank", "river bank"],
    }


def test_the_name_itself_is_never_in_its_context() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        words = [str(w) for w in rng.choice(list("abcdef"), 15)]
        start = int(rng.integers(0, 14))
        kept = around([*words[:start], "NAME", *words[start + 1 :]], start, start + 1, 4).split()
        assert kept == [*words[max(0, start - 4) : start], *words[start + 1 : start + 5]]


def test_gradient_equals_differences() -> None:
    rng = np.random.default_rng(0)
    A, B = (csr_matrix(rng.random((5, 7)) * (rng.random((5, 7)) < 0.7)) for _ in range(2))
    W = rng.normal(size=(7, 3))
    _, gradient = contrastive.contrast(A, B, W)
    slow = np.zeros_like(W)
    for i in np.ndindex(W.shape):
        up, down = W.copy(), W.copy()
        up[i] += 1e-5
        down[i] -= 1e-5
        slow[i] = (contrastive.contrast(A, B, up)[0] - contrastive.contrast(A, B, down)[0]) / 2e-5
    assert np.allclose(gradient, slow, atol=1e-4)


def test_training_draws_mentions_of_an_entity_together() -> None:
    rng = np.random.default_rng(0)
    X = csr_matrix(np.repeat(np.eye(4), 10, axis=0) + 0.8 * (rng.random((40, 4)) < 0.5))
    members = [np.arange(10 * i, 10 * i + 10) for i in range(4)]
    W = rng.normal(size=(4, 3)).astype(np.float32)
    after = contrastive.improve(X, members, W, np.full((4, 1), 1e-4, np.float32), rng)

    def loss(W: np.ndarray) -> float:
        draws = np.random.default_rng(1)
        return float(
            np.mean(
                [
                    contrastive.contrast(X[a], X[b], W)[0]
                    for a, b in (contrastive.draw_pairs(members, draws) for _ in range(50))
                ]
            )
        )

    assert loss(after) < 0.7 * loss(W)


def test_prototypes_are_ranked_by_the_nearest() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [0, 1]], np.float32)
    prototypes = s.Prototypes(vectors, np.array([0, 0, 1, 1]), np.array([2, 2, 0]))
    asked = np.array([[1.0, 0.0]], np.float32)
    assert prototypes.likeness(asked, (0, 1, 2))[0].tolist() == pytest.approx([0.8, 0.0, -1.0])
    even = prototypes.scores(asked, (0, 1), 0.0, 1.0)
    assert even[0, 0] == even[0, 1]


def test_gather_keeps_a_bounded_number_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "PROTOTYPES", 3)
    entities = np.array([0] * 5 + [2] * 2)
    totals = np.array([50, 0, 2])
    kept = s.gather(np.arange(7, dtype=np.float32)[:, None], entities, totals, np.random.default_rng(0))
    assert np.bincount(kept.entities, minlength=3).tolist() == [3, 0, 2]
    assert kept.counts.tolist() == [50, 0, 2]


def test_the_prior_counts_mentions_that_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "MOST_PER_ENTITY", 20)
    data, _ = made(300, 10)
    river = sum("river" in text for text in data.table["text"].to_pylist()[:300]) / 300
    found = SelfSupervisedLinking(ALIASES).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert found.summary["plain_mentions"] == 300
    assert found.summary["accuracy_of_the_commonest"] == pytest.approx(river, abs=1e-6)
    assert river > 0.55


def test_ambiguous_names_are_resolved_by_context() -> None:
    data, kinds = made()
    found = SelfSupervisedLinking(ALIASES).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert found.classes == ["bench", "credit bank", "river bank"]
    assert found.origin is not None
    assert (found.origin[:120] == 0).all()
    assert (found.origin[120:] == 1).all()
    said = np.array([found.classes[c].split()[0] for c in found.codes[120:]])
    assert (said == kinds).mean() > 0.95
    assert (kinds == "river").mean() < 0.8
    assert (found.probs[120:, 0] == 0).all()
    assert found.summary["accuracy"] > found.summary["accuracy_of_the_commonest"] + 0.1


def test_rows_without_a_name_abstain_and_plain_dictionaries_need_no_model(tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_text(json.dumps({"oak": ["quercus"], "elm": []}))
    data = Dataset(pa.table({"text": ["a Quercus here", "nothing", None, "the elm"]}), {Role.TEXT: ["text"]})
    found = SelfSupervisedLinking(dictionary=str(file)).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert found.codes.tolist() == [1, -1, -1, 0]


def test_same_answer_twice() -> None:
    data, _ = made(60, 20)
    first, again = (SelfSupervisedLinking(ALIASES).run(data, Signals(data)) for _ in range(2))
    assert isinstance(first, Labels)
    assert isinstance(again, Labels)
    assert np.array_equal(first.probs, again.probs)


def test_nothing_to_learn_from_does_not_apply() -> None:
    data, _ = made(2, 5)
    assert isinstance(SelfSupervisedLinking(ALIASES).run(data, Signals(data)), NotApplicable)
    assert isinstance(SelfSupervisedLinking().run(data, Signals(data)), NotApplicable)
    none = data.slice(0, 0)
    assert isinstance(SelfSupervisedLinking(ALIASES).run(none, Signals(none)), NotApplicable)


@pytest.mark.parametrize("content", ["not json", "[1]", '{"a": "b"}'])
def test_bad_dictionary(tmp_path: Path, content: str) -> None:
    file = tmp_path / "names.json"
    file.write_text(content)
    data, _ = made(2, 2)
    with pytest.raises(DrossError, match="dictionary"):
        SelfSupervisedLinking(dictionary=str(file)).run(data, Signals(data))
    with pytest.raises(DrossError, match="cannot be read"):
        SelfSupervisedLinking(dictionary=str(tmp_path / "none.json")).run(data, Signals(data))
