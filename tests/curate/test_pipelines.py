"""Published pipelines and pairs: functions of source files, documentation, summaries, and the steps they stand for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dross.core.errors import DrossError
from dross.core.step import Rows, alone
from dross.corpus.curating import curate
from dross.corpus.recipe import Recipe
from dross.curate.code2doc import Code2Doc
from dross.curate.code_documentation import CodeDocumentation
from dross.curate.code_functions import CodeFunctions, functions
from dross.curate.culturax import CulturaX
from dross.curate.metric_thresholds import MetricThresholds, bounds
from dross.curate.summary_pairs import SummaryPairs, copied
from dross.models.rouge import rouge_1, rouge_l
from dross.testing import check_method

SOURCE = '''
class A:
    def first(self, x):
        """Give the first of the numbers, or nothing."""
        for one in x:
            if one:
                return one

def bare():
    return 1

async def second(x):
    """Wait a while and then give what was given."""
    return x
'''


@pytest.mark.parametrize("kind", [Code2Doc, CodeDocumentation, CodeFunctions, CulturaX, MetricThresholds, SummaryPairs])
def test_contract(kind: type) -> None:
    check_method(kind)


def test_functions_of_a_source() -> None:
    found = list(functions(SOURCE))
    assert sorted(name for name, *_ in found) == ["first", "second"]
    first = next(one for one in found if one[0] == "first")
    assert "Give the first" not in first[1]
    assert first[3] == 2
    assert list(functions("def f(:")) == list(functions("\0")) == list(functions("")) == []
    assert list(functions('def f():\n    """Only words."""')) == [("f", "def f():\n    pass", "Only words.", 0)]


def test_sources_become_pairs_on_disk_with_their_origin(tmp_path: Path) -> None:
    sources = [SOURCE, "x = 1", SOURCE.replace("first", "third").replace("numbers", "letters")]
    (tmp_path / "in.jsonl").write_text(
        "\n".join(json.dumps({"text": text, "repo": f"r{i}"}) for i, text in enumerate(sources))
    )
    recipe = Recipe.of([Code2Doc(min_words=4)])
    assert [stage.name() for stage in recipe.steps][:2] == ["code-functions", "code-documentation"]
    report = curate(recipe, str(tmp_path / "in.jsonl"), tmp_path / "out", workers=1)
    assert report.stages[1].reasons == {"no_documented_function": 1}
    with pa.input_stream(str(tmp_path / "out" / "part-00000.jsonl.zst"), compression="zstd") as stream:
        rows = [json.loads(line) for line in bytes(stream.read()).splitlines()]
    assert [row["function"] for row in rows] == ["first", "third"]
    assert set(rows[0]) == {"text", "code", "documentation", "function", "branches"}
    origins = pq.read_table(tmp_path / "out" / "origins" / "part-00000.parquet")
    assert origins.column("dross_row").to_pylist() == [1, 3]


def test_documentation_is_judged() -> None:
    code = "def get_name(x):\n    y = x\n    return y"
    cases = {
        "Look the name up in the table of users.": None,
        "TODO": "documentation_is_a_placeholder",
        "Too short.": "documentation_too_short",
        "Fill this in later, TODO for somebody else": "documentation_unfinished",
        "Get the name, the name to get": "documentation_restates_the_name",
        "As an AI language model, I wrote this text for you": "documentation_reads_like_a_language_model",
    }
    n = len(cases)
    table = {"text": [""] * n, "code": [code] * n, "documentation": list(cases), "function": ["get_name"] * n}
    verdict = CodeDocumentation().judge(Rows(pa.table(table), "text"), None)
    assert [None if r < 0 else CodeDocumentation.reasons[r] for r in verdict.reason.tolist()] == list(cases.values())


def test_summaries_are_judged() -> None:
    document = "The ship left the harbour in the morning. Nobody knew where it went, and the wind was strong that day."
    cases = {
        "A vessel sails off, bound for unknown places.": None,
        " ": "summary_is_empty",
        "Ship.": "summary_too_short",
        "the ship left the harbour in the morning": "summary_is_the_lead",
        "Nobody knew where it went, and the wind was strong": "summary_is_cut_out",
        document + " " + document: "summary_too_long",
    }
    n = len(cases)
    table = pa.table({"text": [""] * n, "document": [document] * n, "summary": list(cases)})
    verdict = SummaryPairs().judge(Rows(table, "text"), None)
    assert [None if r < 0 else SummaryPairs.reasons[r] for r in verdict.reason.tolist()] == list(cases.values())


def test_copied_runs_against_sets() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(6)]
    one, other = ([" ".join(rng.choice(words, rng.integers(0, 15))) for _ in range(40)] for _ in range(2))

    def runs(text: str) -> list[tuple[str, ...]]:
        split = text.split()
        return [tuple(split[i : i + 3]) for i in range(len(split) - 2)]

    expected = [sum(run in runs(b) for run in runs(a)) / max(1, len(runs(a))) for a, b in zip(one, other, strict=True)]
    found = copied(pa.array(one, pa.large_string()), pa.array(other, pa.large_string()), 3)
    assert np.allclose(found, expected)


def test_thresholds_are_read_from_the_corpus() -> None:
    assert bounds(np.arange(101.0), 0.1, 0.5) == (10 - 40, 90 + 40)
    with pytest.raises(DrossError):
        MetricThresholds(quantile=0.7)


def test_shares_near_their_end_can_lie_outside_what_is_usual() -> None:
    rng = np.random.default_rng(0)
    sound = [
        "the " * int(n) + "of and to be " * 20 + ", " * int(c) for n, c in rng.integers([20, 10], [60, 300], (200, 2))
    ]
    texts = [*sound, "the " * 40 + "of and to be " * 20 + ", " * 4000]
    rows = Rows(pa.table({"text": pa.array(texts, pa.large_string())}), "text")
    assert alone(MetricThresholds(), rows)[0].addresses.tolist() == list(range(200))


def test_rouge_of_simple_texts() -> None:
    assert rouge_1("a b c", "c b a") == 1
    assert rouge_l("a b c", "c b a") == pytest.approx(1 / 3)
    assert rouge_1("", "a") == rouge_l("", "") == 0
