"""GISTEmbed: the mask and the loss against loops, guides of every kind, pairs and rows, saving, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from dross.claims._texts import drawn
from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.models.guides import discriminants
from dross.models.paired import Paired, side_vectors
from dross.models.trained import load
from dross.pretrain.gistembed import GISTEmbed, false_negatives, guided_contrast
from dross.testing import check_method
from dross.testing.images import Exam, digits_exam
from dross.testing.planted import texts_with_copies


def test_contract() -> None:
    check_method(GISTEmbed)


def fitted(method: GISTEmbed, data: Dataset) -> Paired:
    model = method.run(data, Signals(data))
    assert isinstance(model, Paired), model
    return model


def pairs(count: int = 200, seed: int = 0) -> Dataset:
    """Halves of real paragraphs; the last pair lacks its passage."""
    texts = [text.split() for text in drawn(count, seed)]
    queries = [" ".join(words[::2][:30]) for words in texts]
    passages = [" ".join(words[1::2][:30]) for words in texts]
    table = pa.table({"q": [*queries, "alone"], "p": pa.array([*passages, None])})
    return Dataset(table, {Role.QUERY: ["q"], Role.PASSAGE: ["p"]})


# ---- the mathematics ---------------------------------------------------------------------------------------------


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_mask_and_loss_against_loops(margin: float) -> None:
    rng = np.random.default_rng(1)
    q, p, gq, gp = (rng.standard_normal((6, 4)) for _ in range(4))
    masked = false_negatives(torch.tensor(gq), torch.tensor(gp), margin).numpy()
    losses = []
    for i in range(6):
        bar = cosine(gq[i], gp[i]) - margin
        kept = [(q[i], p[i])]
        for j in range(6):
            if j == i:
                continue
            told = (cosine(gq[i], gp[j]), cosine(gq[i], gq[j]), cosine(gp[i], gp[j]))
            for block, (value, pair) in enumerate(zip(told, ((q[i], p[j]), (q[i], q[j]), (p[i], p[j])), strict=True)):
                assert masked[i, 6 * block + j] == (value > bar)
                if value <= bar:
                    kept.append(pair)
        scores = np.array([cosine(a, b) for a, b in kept]) / 0.1
        losses.append(np.log(np.exp(scores).sum()) - scores[0])
    found = guided_contrast(torch.tensor(q), torch.tensor(p), torch.tensor(masked), 0.1)
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-5)


def test_copies_of_the_passage_are_no_negatives_and_the_own_one_stays() -> None:
    query, passage = torch.randn(3, 5), torch.randn(3, 5)
    passage[2] = passage[0]
    query[2] = query[0]
    masked = false_negatives(query, passage)
    assert masked[0, 2]
    assert masked[2, 0]
    assert not masked[torch.arange(3), torch.arange(3)].any()


def test_discriminants_hold_classes_apart() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    X = (np.eye(3)[y] @ rng.standard_normal((3, 6)) + rng.standard_normal((300, 6)) @ np.diag([1, 1, 1, 9, 9, 9])) * 1.0
    centre, directions = discriminants(X.astype(np.float32), y)
    assert directions.shape == (6, 2)
    found = (X - centre) @ directions
    means = np.stack([found[y == c].mean(axis=0) for c in range(3)])
    assert np.linalg.norm(found - means[y], axis=1).mean() < 2
    nearest = np.linalg.norm(found[:, None] - means, axis=2).argmin(axis=1)
    flat = np.stack([X[y == c].mean(axis=0) for c in range(3)])
    assert (nearest == y).mean() > (np.linalg.norm(X[:, None] - flat, axis=2).argmin(axis=1) == y).mean() + 0.05


# ---- guides ------------------------------------------------------------------------------------------------------


def few() -> Exam:
    return digits_exam(0, per_class=20, train=300)


def test_the_guide_of_labels_masks_rows_of_the_same_class_more_than_others() -> None:
    exam = few()
    method = GISTEmbed(epochs=1)
    lesson = method.lesson(exam.data, Signals(exam.data))
    guide = method.objective(lesson).guide
    told = guide(lesson.examples.x)
    rng = np.random.default_rng(0)
    first = rng.permutation(300)[:100]
    twins = np.array([rng.choice(np.flatnonzero(exam.truth == exam.truth[i])) for i in first])
    masked = false_negatives(told[first], told[twins])[:, :100].numpy()
    same = exam.truth[first][:, None] == exam.truth[first]
    np.fill_diagonal(same, False)
    other = ~same & ~np.eye(100, dtype=bool)
    assert masked[same].mean() > 0.3
    assert masked[other].mean() < 0.05


def test_a_guide_changes_the_training_and_none_masks_nothing() -> None:
    exam = few()
    plain = fitted(GISTEmbed(guide="none", epochs=2), exam.data)
    ours = fitted(GISTEmbed(epochs=2), exam.data)
    assert plain.summary["left_out"] == 0
    assert 0 < ours.summary["left_out"] < 0.5
    assert not np.array_equal(plain.embed(exam.test), ours.embed(exam.test))
    assert ours.score(exam.test) > 0.5, "labels teach the layer on top"


def test_a_saved_model_guides_another_with_other_scales(tmp_path: Path) -> None:
    exam = few()
    first = fitted(GISTEmbed(epochs=3), exam.data)
    first.save(tmp_path / "guide")
    part = exam.data.slice(0, 200)
    method = GISTEmbed(guide=str(tmp_path / "guide"), epochs=2)
    lesson = method.lesson(part, Signals(part))
    seen = method.objective(lesson).guide(lesson.examples.x)
    told = torch.nn.functional.normalize(seen, dim=1).numpy()
    assert np.allclose(told, first.embed(part), atol=1e-4), "the guide reads what it read when it was trained"
    bare = Dataset(part.table, {Role.EMBEDDING: ["pixels"]})
    assert fitted(method, bare).classes == []
    with pytest.raises(DrossError, match="the guide reads vectors"):
        fitted(GISTEmbed(guide=str(tmp_path / "guide"), network="pixel-mlp"), part)


def test_texts_with_labels_and_the_embedding_signal_guide_too() -> None:
    texts = texts_with_copies(90, copies=6, seed=2).data
    table = texts.table.append_column("label", pa.array([f"c{i % 3}" for i in range(len(texts))]))
    data = Dataset(table, {**texts.roles, Role.LABEL: ["label"]})
    assert fitted(GISTEmbed(epochs=1), data).classes == ["c0", "c1", "c2"]
    assert isinstance(GISTEmbed().run(texts, Signals(texts)), NotApplicable)
    near = fitted(GISTEmbed(guide="embedding", margin=0.3, epochs=1), texts)
    assert near.summary["left_out"] > 0
    with pytest.raises(DrossError, match="views"):
        fitted(GISTEmbed(guide="embedding"), texts)


# ---- pairs -------------------------------------------------------------------------------------------------------


def test_pairs_teach_a_text_embedding_that_finds_the_other_half(tmp_path: Path) -> None:
    data = pairs(120)
    model = fitted(GISTEmbed(epochs=5, learning_rate=3e-2), data)
    asked = data.slice(0, 120)
    assert model.summary["rows"] == 120
    assert model.score(asked) > 0.5
    queries, passages = (model.embed(asked, role) for role in (Role.QUERY, Role.PASSAGE))
    lengths = np.linalg.norm(queries, axis=1)
    assert np.allclose(lengths[lengths > 0], 1, atol=1e-5)
    assert (lengths == 0).sum() < 3, "only a text without a word has no direction"
    assert np.allclose(model.predict_proba(asked)[:, 0], (queries * passages).sum(axis=1))
    plain = Dataset(pa.table({"t": asked.column(Role.QUERY)}), {Role.TEXT: ["t"]})
    assert np.array_equal(model.embed(plain), queries)
    one = Dataset(asked.table, {Role.PASSAGE: ["p"]})
    assert np.array_equal(model.embed(one), passages)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(asked), model.predict_proba(asked))
    assert np.array_equal(fitted(GISTEmbed(epochs=5, learning_rate=3e-2), data).embed(plain), queries)
    told = side_vectors(str(tmp_path / "model"), asked, Signals(asked))
    assert np.allclose(told[:, 0], queries, atol=1e-5)
    for wrong in (asked, Dataset(plain.table, {Role.ID: ["t"]})):
        with pytest.raises(DrossError):
            model.embed(wrong)
    with pytest.raises(DrossError, match="no classes"):
        model.predict_proba(plain)


def test_columns_of_vectors_guide_pairs() -> None:
    data = pairs(60).slice(0, 60)
    own = np.repeat(np.eye(30, dtype=np.float32), 2, axis=0)
    column = pa.FixedSizeListArray.from_arrays(pa.array(own.ravel()), 30)
    data = Dataset(data.table.append_column("a", column).append_column("b", column), data.roles)
    model = fitted(GISTEmbed(guide="a, b", epochs=1, batch_size=60), data)
    assert model.summary["left_out"] == pytest.approx(1 / 59, abs=1e-3), "each pair's twin, and nothing else"
    for wrong, match in (("a, c", "'c'"), ("a, q", "no vectors"), ("a, b, b", "two columns"), ("labels", "no pairs")):
        with pytest.raises(DrossError, match=match):
            fitted(GISTEmbed(guide=wrong, epochs=1), data)


def test_bad_settings_are_explained() -> None:
    exam = few()
    bare = Dataset(exam.data.table, {Role.LABEL: ["label"]})
    assert isinstance(GISTEmbed().run(bare, Signals(bare)), NotApplicable)
    for method, match in (
        (GISTEmbed(temperature=0), "temperature"),
        (GISTEmbed(network="linear"), "gives its inputs back"),
        (GISTEmbed(guide="nowhere"), "nowhere"),
    ):
        with pytest.raises(DrossError, match=match):
            fitted(method, exam.data)
    with pytest.raises(DrossError, match="patience"):
        fitted(GISTEmbed(patience=2), pairs(20))
    with pytest.raises(DrossError, match="teach no embedding"):
        fitted(GISTEmbed(), pairs(20).slice(0, 1))
