"""Profiles, comparisons and taking drops back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dross.claims._texts import drawn
from dross.core.errors import DrossError
from dross.corpus.comparing import compare
from dross.corpus.curating import curate
from dross.corpus.profiling import profile
from dross.corpus.recipe import Recipe
from dross.corpus.restoring import restore
from tests.corpus.conftest import content, dropped, read, rows

Corpus = Callable[..., str]
STEPS = ["exact-deduplication", {"minhash-deduplication": {"similarity": 0.6}}]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_profile_shows_what_a_recipe_would_drop(corpus: Corpus, kind: str) -> None:
    found = profile(corpus(600, 3, kind), recipe=Recipe.of(STEPS), rows=5000)
    assert (found.files, found.rows) == (3, 600)
    assert found.columns == ["id", "text", "score", "domain", "meta"]
    assert found.copies == pytest.approx(0.1)
    assert [(drop.reason, drop.rows) for drop in found.drops] == [("copy", 60), ("near_copy", 60)]
    share, low, high = found.drops[0].share
    assert share == pytest.approx(0.1)
    assert low < share < high
    assert len(found.drops[0].examples) == 2
    assert "copy  10.00%" in found.text()
    json.dumps(found.plain())


def test_a_profile_of_a_sample_alone(corpus: Corpus) -> None:
    found = profile(corpus(600, 3), rows=100)
    assert found.rows <= 120
    assert found.report is None
    assert "100.0%" in found.text()


def test_drops_come_back_where_they_were(corpus: Corpus, tmp_path: Path) -> None:
    curate(STEPS, corpus(600), tmp_path / "out", workers=1)
    before = content(tmp_path / "out")
    done = restore(tmp_path / "out", tmp_path / "some", "1")
    assert (done.back, done.rows) == (60, 540)
    gone = set(dropped(tmp_path / "out", "02*")["text"])
    assert read(tmp_path / "some") == [
        row for row in rows(600) if row["text"] not in gone or row in read(tmp_path / "some")
    ]
    assert content(tmp_path / "out") == before
    told = json.loads((tmp_path / "some" / "report.json").read_text())
    assert told["restored"] == [{"step": "01-exact-deduplication", "reason": "", "rows": 60}]


def test_all_drops_of_the_only_step_give_the_corpus_again(corpus: Corpus, tmp_path: Path) -> None:
    source = corpus(300, 4)
    curate([{"budget": {"share": 0.3}}], source, tmp_path / "out", workers=1)
    restore(tmp_path / "out", tmp_path / "all", "budget")
    assert read(tmp_path / "all") == rows(300)
    origins = pl.read_parquet(tmp_path / "all" / "origins" / "*.parquet")
    lines = {str(f): f.read_text().splitlines() for f in Path(source).iterdir()}
    assert [json.loads(lines[f][r - 1]) for f, r in origins.rows()] == rows(300)


def test_a_corpus_in_another_order_keeps_it(corpus: Corpus, tmp_path: Path) -> None:
    curate([{"budget": {"share": 0.5}}, "ordering"], corpus(100), tmp_path / "out", workers=1)
    before = [row["id"] for row in read(tmp_path / "out")]
    restore(tmp_path / "out", tmp_path / "all", "budget")
    after = [row["id"] for row in read(tmp_path / "all")]
    assert after[:50] == before != sorted(before)
    assert after[50:] == [f"d{i}" for i in range(100) if f"d{i}" not in before]


def test_one_row_comes_back(corpus: Corpus, tmp_path: Path) -> None:
    curate([{"budget": {"share": 0.5}}], corpus(100, 2, "parquet"), tmp_path / "out", workers=1)
    gone = dropped(tmp_path / "out")
    name = f"{gone['dross_file'][3]}#{gone['dross_row'][3]}"
    done = restore(tmp_path / "out", tmp_path / "one", "1", reason="over_budget", rows=[name])
    left = pl.read_parquet(tmp_path / "one" / "part-*.parquet")
    assert (done.back, len(left)) == (1, 51)
    assert gone["id"][3] in left["id"]
    numbers = [int(i[1:]) for i in left["id"]]
    assert numbers == sorted(numbers)


def test_what_restoring_refuses(corpus: Corpus, tmp_path: Path) -> None:
    curate(STEPS, corpus(100), tmp_path / "out", workers=1)
    for args, told in (
        (("3",), "no step '3'"),
        (("exact-dedup",), "did you mean"),
        (("1", "near_copy"), "dropped no row for 'near_copy'"),
        (("1", "", ["x#1"]), "1 of these rows"),
    ):
        with pytest.raises(DrossError, match=told):
            restore(tmp_path / "out", tmp_path / "new", *args)  # type: ignore[arg-type]
    with pytest.raises(DrossError, match="no finished corpus"):
        restore(tmp_path, tmp_path / "new", "1")
    with pytest.raises(DrossError, match="something already"):
        restore(tmp_path / "out", tmp_path / "out", "1")


def test_the_recipe_that_keeps_sound_text_wins(tmp_path: Path) -> None:
    """Sound text of one kind against text with its words in random order, which a bad recipe keeps."""
    rng = np.random.default_rng(0)
    texts = drawn(700, 0)
    good = [{"text": text, "spoilt": 0.0} for text in texts[:300]]
    bad = [{"text": " ".join(rng.permutation(list(text))), "spoilt": 1.0} for text in texts[300:600]]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, good + bad)))
    (tmp_path / "held.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts[600:]))
    for how in ("highest", "lowest"):
        (tmp_path / f"{how}.yaml").write_text(f"steps: [{{budget: {{share: 0.5, by: {how} spoilt}}}}]")
    recipes = [tmp_path / "highest.yaml", tmp_path / "lowest.yaml"]
    found = compare(
        recipes, str(tmp_path / "in.jsonl"), str(tmp_path / "held.jsonl"), tokens=60_000, seeds=3, workers=1
    )
    worse, better = found.standings
    assert worse.mean - better.mean > 0.2
    assert found.winner is better
    assert "lowest.yaml wins" in found.text()
    assert found.plain()["winner"] == str(tmp_path / "lowest.yaml")


def test_what_comparing_refuses(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a b c"}\n')
    (tmp_path / "r.yaml").write_text("steps: [exact-deduplication]")
    here = str(tmp_path / "in.jsonl")
    for recipes, options, told in (
        (["r.yaml"], {}, "only one recipe"),
        (["r.yaml", "r.yaml"], {"seeds": 1}, "two seeds"),
        (["r.yaml", "r.yaml"], {"model": "big"}, "no model 'big'"),
        (["r.yaml", "r.yaml"], {"model": f"hf:{tmp_path}"}, "no causal language model"),
    ):
        with pytest.raises(DrossError, match=told):
            compare([tmp_path / name for name in recipes], here, here, workers=1, **options)  # type: ignore[arg-type]
