"""Mixed prompts: readings, tuning, the ensemble, pseudo-labels that help, degenerate input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import issparse
from tests.realdata import real

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label import mixed_prompts as m
from dross.label.mixed_prompts import MixedPrompts
from dross.models import text_readings as t

KINDS = {
    "question": ("what which where could would you please tell me", "?"),
    "order": ("open close bring stop the door window lamp now", "!"),
    "number": ("total 12 450 37 sum 88 5 9 of", "."),
}


def made(n: int = 150, labelled: int = 5, seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """Short texts of three kinds, told apart by words and by form, a few of each labelled."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    texts = []
    for c in truth:
        words, end = KINDS[list(KINDS)[c]]
        texts.append(" ".join([*rng.choice(words.split(), 4), *rng.choice("and so it went on then".split(), 3)]) + end)
    mask = np.ones(n, bool)
    for c in range(3):
        mask[np.flatnonzero(truth == c)[:labelled]] = False
    label = pa.array([list(KINDS)[c] for c in truth], mask=mask)
    return Dataset(pa.table({"text": texts, "label": label}), {Role.TEXT: ["text"], Role.LABEL: ["label"]}), truth


def codes_of(data: Dataset, truth: np.ndarray) -> np.ndarray:
    return np.array([data.classes.index(list(KINDS)[c]) for c in truth])


def test_every_template_reads_every_text_and_every_class() -> None:
    data, _ = made(60)
    readings = MixedPrompts().readings(data)
    assert list(readings.templates) == ["words", "meaning", "opening", "closing", "form", "learnt together"]
    for texts, words in readings.templates.values():
        assert texts.shape[0] == 60
        assert words.shape == (3, texts.shape[1])
        assert issparse(texts) == issparse(words)
    assert readings.words == sorted(KINDS)


def test_form_keeps_no_word() -> None:
    assert t.form("See Smith et al. (1999), p. 3!") == t.form("Try Jones or so. (2024), x. 7!")
    assert t.form("what is it?") != t.form("what is it!")
    assert t.form("") == "^$"


def test_ensemble_is_a_weighted_geometric_mean() -> None:
    rng = np.random.default_rng(0)
    probs = [rng.dirichlet(np.ones(4), 7) for _ in range(3)]
    weights = np.array([0.9, 0.3, 0.0])
    slow = np.prod([p**w for p, w in zip(probs, weights, strict=True)], axis=0)
    assert np.allclose(m.ensemble(probs, weights), slow / slow.sum(axis=1, keepdims=True))


def test_weights_of_templates_are_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 40)
    good = 0.7 * np.eye(3)[codes] + 0.1
    left_out = [good, rng.dirichlet(np.ones(3), 40), np.full((40, 3), 1 / 3)]
    got = m.weigh_templates(left_out, codes)

    def cost(weights: np.ndarray) -> float:
        said = m.ensemble(left_out, weights)[np.arange(40), codes]
        return float(-np.log(said).sum() + 3 * ((weights - 1 / 3) ** 2).sum())

    others = np.maximum(got + rng.normal(size=(2000, 3)) * rng.choice([0.003, 0.03, 0.3], (2000, 1)), 0)
    assert min(cost(weights) for weights in others) > cost(got) - 1e-5
    assert got[0] > 1 > got[1]


def test_folds_are_even_in_every_class() -> None:
    codes = np.random.default_rng(1).integers(0, 4, 97)
    fold = m.stratified(codes, 5, 0)
    counts = np.array([[((codes == c) & (fold == f)).sum() for f in range(5)] for c in range(4)])
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1


def test_temperature_is_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 3))
    codes = np.array([rng.choice(3, p=p) for p in m.softened(scores, 0.5)])
    assert m.best_temperature(scores, codes)[0] == 0.5


def test_a_class_missing_from_the_labelled_rows_scores_low() -> None:
    X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
    said = m.linear(X, np.array([0, 2, 0]), np.ones(3), 3, 1.0, X)
    assert said.argmax(axis=1).tolist() == [0, 2, 0]
    assert (said[:, 1] < said[:, [0, 2]].min(axis=1)).all()
    assert m.linear(X, np.array([1, 1, 1]), np.ones(3), 3, 1.0, X).argmax(axis=1).tolist() == [1, 1, 1]


def test_words_of_a_class_are_one_more_example() -> None:
    texts = np.eye(3)
    said = m.scores_of(texts, np.eye(3)[[0, 2]], np.array([0]), np.array([0]), slice(None), 10.0)
    assert said[2].argmax() == 1


def test_the_rest_is_labelled_and_given_labels_stay() -> None:
    data, truth = made()
    found = MixedPrompts().run(data, Signals(data))
    assert isinstance(found, Labels)
    expected = codes_of(data, truth)
    assert found.origin is not None
    free = found.origin == 1
    assert free.sum() == 135
    assert (found.codes == expected)[free].mean() > 0.9
    assert (found.codes == expected)[~free].all()
    assert set(found.summary["templates"]) >= {"words", "form"}
    assert found.summary["accuracy_on_rows_left_out"] >= found.summary["accuracy_without_pseudo_labels"] - 0.1


def test_same_answer_twice_and_in_chunks() -> None:
    data, _ = made(60)
    cut = Dataset(pa.concat_tables([data.table.slice(i, 7) for i in range(0, 60, 7)]), data.roles)
    answers = [MixedPrompts().run(each, Signals(each)) for each in (data, data, cut)]
    first, *others = [a.probs for a in answers if isinstance(a, Labels)]
    assert len(others) == 2
    assert all(np.allclose(first, other, atol=1e-5) for other in others)


def test_templates_are_put_to_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = made(60)
    asked: list[str] = []

    class Encoder:
        def encode(self, texts: list[str], **_: object) -> np.ndarray:
            asked.extend(texts)
            return np.array([[x.count("?"), x.count("!"), sum(c.isdigit() for c in x) + 0.1] for x in texts])

    monkeypatch.setattr(t, "sentence_model", lambda _: Encoder())
    found = MixedPrompts(model="tiny", templates=("{} It is a",)).run(data, Signals(data))
    assert isinstance(found, Labels)
    assert asked[0].endswith(" It is a")
    assert "{} It is a" in found.summary["templates"]
    with pytest.raises(DrossError, match="no place for the text"):
        MixedPrompts(model="tiny", templates=("It is",)).run(data, Signals(data))


def test_bad_input() -> None:
    data, _ = made(30)
    with pytest.raises(DrossError, match="no class"):
        MixedPrompts(words=(("nonsense", "x"),)).run(data, Signals(data))
    for labelled in (0, 1, 10):
        few, _ = made(30, labelled=labelled)
        assert isinstance(MixedPrompts().run(few, Signals(few)), NotApplicable)
    none = data.slice(0, 0)
    assert isinstance(MixedPrompts().run(none, Signals(none)), NotApplicable)


def test_headlines_with_ten_labels_a_class() -> None:
    import polars as pl
    from sklearn.metrics import f1_score

    table = pl.read_parquet(real("ws_cosine") / "agnews.parquet").sample(800, seed=0)
    truth = table["label"].to_numpy()
    rows = np.sort(np.concatenate([np.flatnonzero(truth == c)[:10] for c in range(4)]))
    free = np.setdiff1d(np.arange(800), rows)
    label = pa.array([str(c) for c in truth], mask=~np.isin(np.arange(800), rows))
    roles = {Role.TEXT: ["text"], Role.LABEL: ["label"]}
    data = Dataset(pa.table({"text": table["text"].to_arrow(), "label": label}), roles)
    about = (
        "world politics government war",
        "sports game team season",
        "business company market oil",
        "technology web",
    )
    method = MixedPrompts(words=tuple((str(c), words) for c, words in enumerate(about)))
    found = method.run(data, Signals(data))
    assert isinstance(found, Labels)
    grams = method.readings(data).templates["words"][0]
    alone = m.linear(grams[rows], truth[rows], np.ones(40), 4, 1.0, grams).argmax(axis=1)
    together = f1_score(truth[free], found.codes[free], average="macro")
    assert together > f1_score(truth[free], alone[free], average="macro") + 0.04
