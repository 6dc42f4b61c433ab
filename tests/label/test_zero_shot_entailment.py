"""Zero-shot entailment: the closed form, hidden labels, calibration of seen and unseen, degenerate input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label import zero_shot_entailment as z
from dross.label.zero_shot_entailment import ZeroShotEntailment

TOPICS = {
    "farm": "wheat barley tractor harvest cattle plough",
    "sea": "ship harbour anchor sail tide captain",
    "court": "judge verdict lawyer trial jury witness",
    "kitchen": "oven recipe flour pepper knife soup",
    "music": "violin melody chord singer concert piano",
    "space": "rocket orbit planet comet telescope star",
    "sport": "goal referee match striker league coach",
    "health": "doctor fever vaccine clinic nurse surgery",
    "money": "bank loan interest market dividend broker",
    "school": "teacher lesson exam pupil homework class",
}


def made(n: int = 400, unseen: int = 3, labelled: float = 0.6, seed: int = 0) -> tuple[Dataset, np.ndarray, list[str]]:
    """Texts of ten topics, of which the last few have no labelled text; a topic is described by half of its words."""
    rng = np.random.default_rng(seed)
    names = list(TOPICS)
    truth = rng.integers(0, len(names), n)
    filler = "today people said that there was more about this than before".split()
    texts = [" ".join([*rng.choice(TOPICS[names[t]].split(), 5), *rng.choice(filler, 6)]) for t in truth]
    hidden = (truth >= len(names) - unseen) | (rng.random(n) > labelled)
    table = pa.table({"text": texts, "label": pa.array([names[t] for t in truth], mask=hidden)})
    return Dataset(table, {Role.TEXT: ["text"], Role.LABEL: ["label"]}), truth, names


def described() -> tuple[tuple[str, str], ...]:
    return tuple((name, " ".join(words.split()[:3])) for name, words in TOPICS.items())


def test_bilinear_solves_the_ridge_problem() -> None:
    rng = np.random.default_rng(0)
    X, S = rng.normal(size=(40, 5)).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32)
    codes = np.repeat(np.arange(4), 10)
    V = z.bilinear(X, S, codes, 4, strength=1e-9)
    Y = np.where(np.arange(4) == codes[:, None], 1, -1 / 3)
    left, right = np.linalg.pinv(X.astype(float)), np.linalg.pinv(S.astype(float).T)
    assert np.allclose(X @ V @ S.T, X @ left @ Y @ right @ S.T, atol=1e-3)
    assert np.abs(z.bilinear(X, S, codes, 4, strength=100.0)).max() < np.abs(V).max() / 10


def test_overlap_equals_cosines_by_hand() -> None:
    texts = pa.array(["red fox", "red hen", "blue hen", ""], pa.large_string())
    got = z.overlap(texts, ["red fox", "hen"])
    assert got.shape == (4, 2)
    assert got[0, 0] == pytest.approx(1, abs=1e-5)
    assert got[3].tolist() == [0, 0]
    assert got[0, 1] == 0
    assert got[1, 0] < got[0, 0]


def test_a_handicap_trades_seen_for_unseen_labels() -> None:
    scores = np.array([[2.0, 1.0, 0.0], [2.0, 0.0, 1.0], [3.0, 0.0, 1.5], [0.0, 2.0, 1.5]])
    trial = z.Trial(scores, np.array([0, 2, 2, 1]), np.array([True, True, False]))
    assert trial.accuracy(0.0) == (1.0, 0.0)
    assert trial.accuracy(1.2) == (0.5, 0.5)
    assert trial.accuracy(9.0) == (0.0, 1.0)
    assert trial.fully_unseen() == 1.0
    assert z.choose_handicap([trial]) in z.HANDICAPS


def test_every_label_is_hidden_once() -> None:
    for k in (4, 5, 7, 23):
        folds = z.hidden_folds(np.arange(k), 5, np.random.default_rng(k))
        assert sorted(np.concatenate(folds).tolist()) == list(range(k))
        assert min(map(len, folds)) >= 2


def test_texts_of_unseen_labels_get_them_and_both_settings_are_reported() -> None:
    data, truth, names = made()
    found = ZeroShotEntailment(descriptions=described()).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert sorted(found.classes) == sorted(names)
    said = np.array([names.index(found.classes[c]) for c in found.codes])
    unseen = truth >= 7
    assert (said == truth)[unseen].mean() > 0.7
    free = found.origin == 1
    assert (said == truth)[free].mean() > 0.75
    assert abs(found.confidence[free].mean() - (said == truth)[free].mean()) < 0.2
    assert found.summary["label_fully_unseen"]["accuracy"] > found.summary["label_fully_unseen"]["chance"] + 0.3
    assert found.summary["label_partially_unseen"]["harmonic_mean"] > 0.5
    assert (found.codes[~free] == data.codes[~free]).all()


def test_without_any_labelled_text_similarity_decides() -> None:
    data, truth, names = made()
    bare = Dataset(data.table.select(["text"]), {Role.TEXT: ["text"]})
    found = ZeroShotEntailment(descriptions=described()).run(bare, Signals(bare))
    assert isinstance(found, Labels)
    said = np.array([names.index(found.classes[c]) for c in found.codes])
    assert (said == truth).mean() > 0.7
    assert found.summary["trained"] is False


def test_same_answer_twice_and_in_chunks() -> None:
    data, _, _ = made(120)
    cut = Dataset(pa.concat_tables([data.table.slice(i, 17) for i in range(0, 120, 17)]), data.roles)
    answers = [ZeroShotEntailment(descriptions=described()).run(each, Signals(each)) for each in (data, data, cut)]
    assert all(isinstance(a, Labels) for a in answers)
    first, *others = [a.probs for a in answers if isinstance(a, Labels)]
    assert all(np.array_equal(first, other) for other in others)


def test_a_model_of_entailment_is_one_more_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    data, truth, names = made(150)
    asked: list[list[str]] = []

    def judge(model: str, texts: Any, hypotheses: list[str]) -> np.ndarray:
        asked.append(hypotheses)
        order = [h.removeprefix("this text is about ") for h in hypotheses]
        words = [set(TOPICS[n].split()) for n in names]
        by = {d: w for (_, d), w in zip(described(), words, strict=True)}
        return np.array([[len(by[d] & set(t.split())) for d in order] for t in texts.to_pylist()], np.float32)

    monkeypatch.setattr(z, "entailed", judge)
    found = ZeroShotEntailment(descriptions=described(), model="nli").run(data, Signals(data))
    assert isinstance(found, Labels)
    assert all(h.startswith("this text is about ") for h in asked[0])
    said = np.array([names.index(found.classes[c]) for c in found.codes])
    assert (said == truth)[truth >= 7].mean() > 0.9


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_few_rows(n: int) -> None:
    data, _, _ = made(9)
    few = data.slice(0, n)
    found = ZeroShotEntailment(descriptions=described()).run(few, Signals(few))
    assert isinstance(found, Labels if n else NotApplicable)


def test_bad_input() -> None:
    data, _, _ = made(20)
    bare = Dataset(data.table.select(["text"]), {Role.TEXT: ["text"]})
    assert isinstance(ZeroShotEntailment(labels=("one",)).run(bare, Signals(bare)), NotApplicable)
    with pytest.raises(DrossError, match="no place for the label"):
        ZeroShotEntailment(hypothesis="about").run(data, Signals(data))


def test_intents_never_seen_on_real_queries() -> None:
    import polars as pl

    table = pl.read_parquet(real("intent_clinc150_oos") / "clinc150.parquet").filter(pl.col("split") == "val")
    rng = np.random.default_rng(0)
    truth = table["intent"].to_numpy()
    names = sorted(set(truth))
    unseen = set(rng.permutation(names)[: len(names) // 4].tolist())
    mask = np.isin(truth, list(unseen))
    label = pa.array(truth.tolist(), mask=mask)
    data = Dataset(
        pa.table({"text": table["text"].to_arrow(), "label": label}), {Role.TEXT: ["text"], Role.LABEL: ["label"]}
    )
    found = ZeroShotEntailment(labels=tuple(unseen)).run(data, Signals(data))
    assert isinstance(found, Labels)
    columns = [i for i, c in enumerate(found.classes) if c in unseen]
    best = found.probs[np.ix_(np.flatnonzero(mask), columns)].argmax(axis=1)
    accuracy = (np.array(found.classes)[columns][best] == truth[mask]).mean()
    assert accuracy > 1 / len(unseen) + 0.3
