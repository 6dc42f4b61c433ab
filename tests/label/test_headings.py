"""Headings: rules on headings and sentences, features, what is learnt from sectioned notes, degenerate documents."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Labels, NotApplicable
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.label import headings as h
from dross.label.headings import Headings
from dross.models import sections

PLAN = frozenset({"plan", "treatment plan"})
DRUGS = ("aspirin", "insulin", "ibuprofen", "warfarin", "metformin", "codeine")
SIGNS = ("cough", "fever", "headache", "swelling", "nausea", "rash")


def notes(n: int, headed: float, seed: int = 0) -> tuple[list[str], list[bool]]:
    """Notes of which all but a third have a plan; a share of these says so in a heading."""
    rng = np.random.default_rng(seed)
    texts, has = [], []
    for i in range(n):
        sign, drug = rng.choice(SIGNS), rng.choice(DRUGS)
        seen = f"The patient complains of {sign}. There is no {rng.choice(SIGNS)} today."
        plan = f"We will start {drug} daily. Return to the clinic in {rng.integers(2, 9)} weeks."
        has.append(i % 3 > 0)
        mark = rng.choice(["PLAN:\n", "Treatment plan:\n", "## Plan\n", "3. Plan: "]) if rng.random() < headed else ""
        texts.append(f"HISTORY\n{seen}\n" + (f"{mark}{plan}\n" if has[-1] else ""))
    return texts, has


def dataset(texts: list[str], **more: list[object]) -> Dataset:
    roles = {Role.TEXT: ["text"], **({Role.GROUP: ["note"]} if "note" in more else {})}
    return Dataset(pa.table({"text": texts, **more}), roles)


@pytest.mark.parametrize(
    ("line", "following", "expected"),
    [
        ("Plan:", "", "plan"),
        ("2) PLAN", "", "plan"),
        ("**Treatment Plan**", "", "treatment plan"),
        ("Results", "=======", "results"),
        ("Plan: rest and fluids", "", "plan"),
        ("EXAMINATION OF THE CHEST", "", "examination of the chest"),
        ("the plan is to rest", "", None),
        ("x : array", "", None),
        ("He came in. Plan: none", "", None),
        ("", "", None),
        ("----", "", None),
    ],
)
def test_headings_are_told_from_text(line: str, following: str, expected: str | None) -> None:
    found = sections.heading(line, following, PLAN)
    assert (found[0] if found else None) == expected


def test_a_section_ends_at_the_next_heading_and_inline_text_belongs_to_it() -> None:
    text = "Intro here.\nPlan: rest well.\nMore rest.\n\nExam\n----\nAll fine.\n# plan\nAgain."
    got = [(text[a:b].strip(), wanted) for a, b, wanted in sections.sections(text, PLAN)]
    expected = [("Intro here.", False), ("rest well.\nMore rest.", True), ("All fine.", False), ("Again.", True)]
    assert got == expected


def test_sentences_cover_all_words_once_and_in_order() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        pieces = rng.choice(
            ["Some words", "one. Two", "- item", "  deep", "\n", "\n\n", "3. x y", "(Aa!) B", "é ü."], 12
        )
        text = "".join(str(p) + str(rng.choice([" ", "\n", "\n  "])) for p in pieces)
        spans = sections.sentences(text, 0, len(text))
        assert all(a < b for a, b in spans)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
        covered = "".join(text[a:b] for a, b in spans)
        missed = [word for word in text.replace("-", " ").split() if len(word) > 1 and word not in covered]
        assert not missed


def test_neighbour_moves_within_documents_only() -> None:
    documents = np.array([0, 0, 0, 1, 1, 2])
    values = np.arange(1.0, 7.0)
    for offset in (-2, -1, 1, 2):
        slow = [
            values[i + offset] if 0 <= i + offset < 6 and documents[i + offset] == documents[i] else 0 for i in range(6)
        ]
        assert (h.neighbour(documents, offset) @ values).tolist() == slow


def test_parts_do_not_change_the_features() -> None:
    texts, _ = notes(30, 1.0)
    all_of = h.read(dataset(texts), PLAN)
    terms = h.choose_terms(h.count_ngrams(pa.array(all_of.texts, pa.large_string())))
    whole = h.features(all_of, slice(None), terms).toarray()
    cut = [h.features(all_of, part, terms).toarray() for part in h.parts(all_of.documents, 7)]
    assert len(cut) > 5
    assert np.array_equal(whole, np.concatenate(cut))


def test_plans_without_heading_are_found() -> None:
    texts, has = notes(240, 0.4)
    data = dataset(texts)
    found = Headings().run(data, Signals(data))
    assert isinstance(found, Labels)
    assert found.origin is not None
    unheaded = found.origin == 1
    assert unheaded.sum() > 100
    assert (found.codes == np.array(has))[unheaded].mean() > 0.97
    assert found.summary["f1_on_documents_left_out"] > 0.9
    shown = found.summary["passages"][0]
    assert texts[shown["row"]][shown["start"] : shown["stop"]].startswith(("We will", "Return"))


def test_passages_give_the_sentence_at_its_place() -> None:
    texts, _ = notes(60, 0.5)
    table = Headings().passages(dataset(texts)).to_pylist()
    assert all(texts[p["row"]][p["start"] : p["stop"]] == p["text"] for p in table)
    assert {p["headed"] for p in table} == {True, False, None}


def test_lines_of_a_group_are_one_document() -> None:
    texts, _ = notes(120, 0.5)
    lines = [(line, i) for i, text in enumerate(texts) for line in text.splitlines()]
    data = dataset([line for line, _ in lines], note=[i for _, i in lines])
    found = Headings().run(data, Signals(data))
    assert isinstance(found, Labels)
    truth = np.array([line.startswith(("We will", "3. Plan")) or "Return to" in line for line, _ in lines])
    said = ~found.abstained
    assert (found.codes == 1)[said].tolist() == truth[said].tolist()
    assert found.abstained[[line == "HISTORY" for line, _ in lines]].all()


def test_same_answer_twice_and_in_chunks() -> None:
    texts, _ = notes(90, 0.5)
    data = dataset(texts)
    pieces = Dataset(pa.concat_tables([data.table.slice(i, 7) for i in range(0, 90, 7)]), data.roles)
    first, again, cut = (Headings().run(each, Signals(each)) for each in (data, data, pieces))
    assert isinstance(first, Labels)
    assert isinstance(again, Labels)
    assert isinstance(cut, Labels)
    assert np.array_equal(first.probs, again.probs)
    assert np.array_equal(first.probs, cut.probs)


@pytest.mark.parametrize("texts", [[], [""], ["no heading here"] * 30, ["Plan:\nonly a plan."] * 30])
def test_nothing_to_learn_from_does_not_apply(texts: list[str]) -> None:
    data = Dataset(pa.table({"text": pa.array(texts, pa.string())}), {Role.TEXT: ["text"]})
    assert isinstance(Headings().run(data, Signals(data)), NotApplicable)
    with pytest.raises(DrossError, match="headings of your documents"):
        Headings().passages(data)


def test_one_fold_is_an_error() -> None:
    with pytest.raises(DrossError, match="folds"):
        Headings(folds=1).passages(dataset(["x"]))
