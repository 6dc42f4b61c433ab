"""The n-gram language model: against dictionaries, sums of chances, batches, disk, and hostile text."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.errors import DrossError
from dross.models import ngram_counts
from dross.models.ngram_counts import BEGIN, discounts, joined, words_of
from dross.models.ngram_language_model import NgramModel, find, fit, fit_batches, judge, load

UNKNOWN = "?unknown"


def strings(texts: list[str | None]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


class Dictionaries:
    """Interpolated modified Kneser-Ney by its definition, on words between spaces."""

    def __init__(self, texts: list[str], order: int) -> None:
        self.order = order
        read = [["<s>", *text.split(), "</s>"] for text in texts]
        counts = [
            Counter(tuple(words[t - n : t + 1]) for words in read for t in range(max(1, n), len(words)))
            for n in range(order)
        ]
        self.counts: list[dict[tuple[str, ...], int]] = [dict(counts[-1])]
        for n in range(order - 2, -1, -1):
            before = defaultdict(set)
            for gram in counts[n + 1]:
                before[gram[1:]].add(gram[0])
            self.counts.insert(0, {g: len(before[g]) if g in before else c for g, c in counts[n].items()})
        self.vocabulary = [*sorted(g[0] for g in self.counts[0]), UNKNOWN]
        self.off = [discounts(np.array(list(each.values()))) for each in self.counts]

    def chance(self, word: str, history: tuple[str, ...]) -> float:
        history = history[max(0, len(history) - self.order + 1) :]
        n = len(history)
        shorter = 1 / len(self.vocabulary) if not history else self.chance(word, history[1:])
        after = {g[-1]: c for g, c in self.counts[n].items() if g[:-1] == history}
        if not after:
            return shorter
        off = {w: self.off[n][min(c, 3) - 1] for w, c in after.items()}
        total = sum(after.values())
        own = (after[word] - off[word]) / total if word in after else 0.0
        return own + sum(off.values()) / total * shorter

    def log10(self, text: str) -> float:
        known = set(self.vocabulary)
        words = ["<s>", *(w if w in known else UNKNOWN for w in text.split()), "</s>"]
        return float(sum(np.log10(self.chance(words[t], tuple(words[:t]))) for t in range(1, len(words))))


WORDS = st.lists(st.sampled_from("a b c d e the of".split()), max_size=9).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=12), st.lists(WORDS, min_size=1, max_size=4), st.integers(1, 5))
def test_chances_are_those_of_dictionaries(texts: list[str], asked: list[str], order: int) -> None:
    texts = [*texts, "a b c"]
    asked = [*asked, "unheard of a b", texts[0]]
    truth = Dictionaries(texts, order)
    logs, counts = fit(strings(texts), order=order).log10(strings(asked))  # type: ignore[arg-type]
    assert counts.tolist() == [len(text.split()) + 1 for text in asked]
    assert logs == pytest.approx([truth.log10(text) for text in asked], rel=1e-5, abs=1e-5)


def prose(seed: int, texts: int, vocabulary: int = 60) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{w}" for w in rng.zipf(1.4, rng.integers(3, 30)).clip(max=vocabulary)) for _ in range(texts)]


def test_a_larger_text_has_the_chances_of_dictionaries() -> None:
    texts = prose(0, 300)
    truth, model = Dictionaries(texts, 4), fit(strings(texts), order=4)  # type: ignore[arg-type]
    asked = [*prose(1, 6), "w1 w2 never w3"]
    assert model.log10(strings(asked))[0] == pytest.approx([truth.log10(t) for t in asked], rel=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [1, 3, 5])
def test_chances_after_any_history_add_up_to_one(order: int) -> None:
    texts = prose(2, 40, vocabulary=15)
    model = fit(strings(texts), order=order)  # type: ignore[arg-type]
    words = sorted({word for text in texts for word in text.split()})
    for history in ("", texts[0], "w1 w1", "unheard w2", "w3 unheard"):
        chances = [last_chance(model, f"{history} {word}") for word in [*words, "unknown"]]
        ended = last_chance(model, history, ends=True)
        assert sum(chances) + ended == pytest.approx(1, abs=1e-5), history
        assert min(chances) > 0


def last_chance(model: NgramModel, text: str, *, ends: bool = False) -> float:
    """The chance of a text's last word, or of its end, after what stands before."""
    numbers = model.cells.view(np.float32)
    read = words_of(strings([text]))[0][: None if ends else -1]
    work, words = (
        np.zeros((len(read) + 1, 6), np.float32),
        np.concatenate([np.array([0, 0, 0, BEGIN], np.uint64), read]),
    )
    begin = find(model.cells, 0, int(model.edges[1]), np.uint64(joined(np.uint64(0), BEGIN)))
    work[0, 0], have = numbers[begin, 3], min(1, model.order - 1)
    judge(words, len(read), have, have, work, np.zeros(len(read), np.uint64), model.cells, numbers, model.edges)
    return float(10 ** work[-1, 4])


def test_long_texts_are_read_in_pieces_that_do_not_show() -> None:
    texts = [" ".join(prose(s, 60)) for s in range(3)]
    truth, model = Dictionaries(texts, 5), fit(strings(texts), order=5)  # type: ignore[arg-type]
    logs, counts = model.log10(strings([*texts, " ".join(prose(9, 40))]))
    assert counts.min() > 300
    assert logs[3] == pytest.approx(truth.log10(" ".join(prose(9, 40))), rel=1e-5)
    assert logs[0] == pytest.approx(truth.log10(texts[0]), rel=1e-5)


def test_how_the_reference_is_cut_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = prose(3, 200)
    whole = fit(strings(texts))  # type: ignore[arg-type]
    monkeypatch.setattr(ngram_counts, "PIECE", 300)
    for cut in (1, 7, 200):
        parts = fit_batches(strings(texts[i : i + cut]) for i in range(0, 200, cut))  # type: ignore[arg-type]
        assert np.array_equal(parts.cells, whole.cells)
        assert np.array_equal(parts.edges, whole.edges)


def test_a_text_is_judged_by_itself() -> None:
    model, asked = fit(strings(prose(4, 100))), prose(5, 700)  # type: ignore[arg-type]
    whole = model.perplexity(strings(asked))  # type: ignore[arg-type]
    alone = np.concatenate([model.perplexity(strings(asked).slice(i, 9)) for i in range(0, 700, 9)])  # type: ignore[arg-type]
    assert np.array_equal(whole, alone)
    assert (whole >= 1).all()


def test_words_and_marks_case_and_form() -> None:
    model = fit(strings(["The cat, sat.", "Ein Käse"]))
    same = model.perplexity(
        strings(["the CAT, sat.", "The  cat ,sat .", "The cat,\nsat.", "ein KÄSE", "Ein Ka\u0308se"])
    )
    assert same[0] == same[1] == same[2]
    assert same[3] == same[4]
    empty = model.perplexity(strings(["", None, "  \n"]))
    assert empty[0] == empty[1] == empty[2]


def test_it_is_kept(tmp_path: Path) -> None:
    texts = prose(6, 50)
    model = fit(strings(texts), order=3)  # type: ignore[arg-type]
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.order == 3
    assert np.array_equal(again.perplexity(strings(texts)), model.perplexity(strings(texts)))  # type: ignore[arg-type]
    with pytest.raises(DrossError, match="something already"):
        model.save(tmp_path / "m")
    (tmp_path / "m" / "cells.npy").write_bytes((tmp_path / "m" / "cells.npy").read_bytes()[:-8])
    with pytest.raises(DrossError, match="damaged"):
        load(tmp_path / "m")
    with pytest.raises(DrossError, match="no n-gram model"):
        load(tmp_path / "nothing")


def test_bad_input() -> None:
    for texts in ([], ["", "  "]):
        with pytest.raises(DrossError, match="no word"):
            fit(strings(texts))  # type: ignore[arg-type]
    for order in (0, 6):
        with pytest.raises(DrossError, match="order"):
            fit(strings(["a"]), order=order)


def test_hostile_text_has_a_perplexity() -> None:
    model = fit(strings(prose(7, 50)))  # type: ignore[arg-type]
    asked = ["\x00" * 50, "a" * 100_000, "\u202e" * 9, "! " * 5000, "文字" * 100, "w1 " * 20_000]
    found = model.perplexity(strings(asked))  # type: ignore[arg-type]
    assert np.isfinite(found).all()
