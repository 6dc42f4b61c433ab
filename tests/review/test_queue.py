"""The queue against a plain sort of plain lists."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import Issue
from dross.core.roles import Role
from dross.review.queue import KEPT, Filter, Queue, State, chances_of, importance
from dross.review.teach import Evidence, rescore

LABELS = ("cat", "dog", "owl")
SPLITS = ("train", "test", None)


def made(n: int = 60, m: int = 40, seed: int = 0) -> tuple[Dataset, pa.Table]:
    """A dataset in several chunks, and findings about some of its rows."""
    rng = np.random.default_rng(seed)
    words = np.array(["Alpha", "beta", "GAMMA", "ÄÖ", "a.c", ""])
    columns = {
        "text": pa.array([" ".join(rng.choice(words, 2)) if rng.random() < 0.9 else None for _ in range(n)]),
        "label": pa.array([LABELS[i] for i in rng.integers(0, 3, n)]),
        "part": pa.array([SPLITS[i] for i in rng.choice(3, n, p=[0.7, 0.2, 0.1])]),
        "ann": pa.array([LABELS[i] if i < 3 else None for i in rng.integers(0, 4, n)]),
    }
    table = pa.table(columns)
    table = pa.concat_tables([table.slice(0, n // 3), table.slice(n // 3)])
    roles = {Role.TEXT: ["text"], Role.LABEL: ["label"], Role.SPLIT: ["part"], Role.ANNOTATIONS: ["ann"]}
    rows = np.sort(rng.choice(n, m, replace=False))
    precision = np.round(rng.random(m), 1).astype(np.float32)
    findings = pa.table(
        {
            "row": rows,
            "id": [f"Key-{row:03d}" for row in rows],
            "score": np.round(rng.random(m), 2).astype(np.float32),
            "flagged": rng.random(m) < 0.5,
            "suggestion": pa.array([LABELS[i] if i < 3 else None for i in rng.integers(0, 4, m)], pa.string()),
            "expected_precision": pa.array(precision, mask=rng.random(m) < 0.3),
        }
    )
    return Dataset(table, roles), findings


def passes(data: Dataset, finding: dict[str, Any], chance: float, state: int, chosen: Filter) -> bool:
    """What a filter says, one finding at a time."""
    row = data.table.slice(finding["row"], 1).to_pylist()[0]
    said = (row["text"] or "").lower() + "\n" + finding["id"].lower()
    return all(
        (
            chosen.label is None or row["label"] == chosen.label,
            chosen.suggestion is None or finding["suggestion"] == chosen.suggestion,
            chosen.split is None or row["part"] == chosen.split,
            chosen.annotator is None or row[chosen.annotator] is not None,
            chosen.at_least is None or chance >= np.float32(chosen.at_least),
            chosen.at_most is None or chance <= np.float32(chosen.at_most),
            not chosen.text or chosen.text.lower() in said,
            chosen.cluster is None or finding["row"] % 4 == chosen.cluster,
            not chosen.flagged or finding["flagged"],
            chosen.rows is None or finding["row"] in chosen.rows,
            chosen.wanted is None or state == chosen.wanted,
        )
    )


def expected(queue: Queue, chosen: Filter) -> list[int]:
    """The order by a plain sort."""
    listed = queue.table.to_pylist()
    own = [
        i for i, finding in enumerate(listed) if passes(queue.data, finding, queue.chances[i], queue.states[i], chosen)
    ]
    return sorted(own, key=lambda i: (-queue.chances[i] * queue.importance[i], -listed[i]["score"], i))


asked = {
    "label": st.sampled_from(LABELS),
    "suggestion": st.sampled_from(LABELS),
    "split": st.sampled_from(("train", "test")),
    "annotator": st.just("ann"),
    "at_least": st.sampled_from((0.0, 0.3, 0.7)),
    "at_most": st.sampled_from((0.5, 0.9)),
    "text": st.sampled_from(("", "ALPHA", "a.", "äö", "key-01", "nowhere", "\ud800")),
    "cluster": st.integers(0, 3),
    "flagged": st.booleans(),
    "rows": st.lists(st.integers(0, 59), max_size=50).map(tuple),
}
filters = st.tuples(
    st.sampled_from(("open", "all", "decided", "unsure", "disputed")),
    st.lists(st.sampled_from(sorted(asked)), max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: asked[name] for name in names})
    ),
).map(lambda both: Filter(state=both[0], **both[1]))
steps = st.lists(
    st.tuples(st.lists(st.integers(0, 59), max_size=6), st.integers(0, 3)) | st.integers(0, 99), max_size=5
)


@given(st.integers(0, 5), st.lists(filters, min_size=1, max_size=3), steps)
def test_every_answer_is_that_of_a_plain_sort(seed: int, chosen: list[Filter], changes: list[Any]) -> None:
    data, table = made(m=np.random.default_rng(seed).integers(1, 60), seed=seed)
    queue = Queue(data, Issue.LABEL, table, clusters=(np.arange(60) % 4).astype(np.int32))
    for change in (None, *changes):
        if isinstance(change, tuple):
            queue.set_state(*change)
        elif change is not None:
            queue.with_chances(np.round(np.random.default_rng(change).random(len(queue)), 1))
        for one in chosen:
            order = expected(queue, one)
            assert queue.order(one).tolist() == order
            assert queue.count(one) == len(order)
            assert queue.page(one, 2, 3).tolist() == order[2:5]
            counts = queue.progress(one)
            assert [counts[s] for s in State] == [
                len(expected(queue, Filter(**{**one.__dict__, "state": s.name.lower()}))) for s in State
            ]


@given(st.integers(0, 5), filters, st.integers(0, 29))
def test_the_next_one_follows_in_value_and_begins_again(seed: int, chosen: Filter, after: int) -> None:
    data, table = made(m=30, seed=seed)
    queue = Queue(data, Issue.LABEL, table, clusters=(np.arange(60) % 4).astype(np.int32))
    queue.set_state(queue.rows[::2], State.DECIDED)
    order = expected(queue, chosen)
    assert queue.next_open(chosen) == (order[0] if order else None)
    everything = expected(queue, Filter(state="all"))
    later = [i for i in order if everything.index(i) > everything.index(after)]
    assert queue.next_open(chosen, after) == next(iter(later or order), None)
    assert queue.place(chosen, after) == sum(everything.index(i) < everything.index(after) for i in order)


def test_pages_put_together_are_the_order_beyond_one_block() -> None:
    m = 50_000
    rng = np.random.default_rng(1)
    table = pa.table(
        {
            "row": np.arange(m),
            "id": pa.array(np.arange(m)).cast(pa.string()),
            "score": rng.random(m).astype(np.float32),
            "flagged": np.zeros(m, bool),
            "suggestion": pa.nulls(m, pa.string()),
            "expected_precision": pa.nulls(m, pa.float32()),
        }
    )
    queue = Queue(Dataset(pa.table({"x": np.arange(m)}), {Role.FEATURES: ["x"]}), Issue.OUTLIER, table)
    best = queue.order(Filter(state="all"))
    queue.set_state(best[:40_000], State.DECIDED)  # the whole head of the queue is done
    assert queue.next_open(Filter()) == best[40_000]
    assert queue.next_open(Filter(), int(best[3])) == best[40_000]
    pages = [queue.page(Filter(), start, 999) for start in range(0, 12_000, 999)]
    assert np.array_equal(np.concatenate(pages), best[40_000:])
    assert queue.page(Filter(), 5, 0).tolist() == []


def test_a_row_named_twice_keeps_its_last_state_and_strangers_are_passed_over() -> None:
    data, table = made()
    queue = Queue(data, Issue.LABEL, table)
    stranger = next(row for row in range(60) if row not in queue.rows)
    known = int(queue.rows[3])
    queue.count(Filter())
    queue.set_state([known, stranger, known], [State.DECIDED, State.UNSURE, State.DISPUTED])
    assert queue.progress(Filter()).tolist() == [39, 0, 0, 1]
    assert queue.order(Filter(state="disputed")).tolist() == [3]
    assert queue.index_of(known) == 3
    with pytest.raises(DrossError, match="no finding"):
        queue.index_of(stranger)


def test_what_was_answered_does_not_change_in_the_hand() -> None:
    data, table = made()
    queue = Queue(data, Issue.LABEL, table)
    order = queue.order(Filter())
    before = order.tolist()
    version = queue.version
    queue.set_state(queue.rows[:5], State.DECIDED)
    assert order.tolist() == before
    with pytest.raises(ValueError, match="read-only"):
        order[0] = 7
    assert queue.version > version
    for i in range(3 * KEPT):  # more filters than are kept
        queue.count(Filter(rows=tuple(range(i, 60))))
    assert queue.order(Filter()).tolist() == expected(queue, Filter())


def test_many_threads_decide_and_look_at_once() -> None:
    data, table = made(3000, 2000)
    queue = Queue(data, Issue.LABEL, table)
    chosen = [Filter(), Filter(label="cat"), Filter(text="beta"), Filter(at_least=0.3), Filter(state="all")]

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for one in rng.integers(0, len(chosen), 200).tolist():
            queue.set_state(rng.choice(queue.rows, 3), rng.integers(0, 4, 3))
            at = queue.next_open(chosen[one])
            if at is not None:
                assert queue.place(chosen[one], at) <= 2000
            queue.page(chosen[one], 0, 20)
            if not rng.integers(0, 40):
                queue.with_chances(rng.random(2000))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    for one in chosen:
        assert queue.order(one).tolist() == expected(queue, one)
        assert queue.count(one) == len(expected(queue, one))


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"label": "cta"}, "did you mean 'cat'"),
        ({"suggestion": "dgo"}, "did you mean 'dog'"),
        ({"split": "tets"}, "did you mean 'test'"),
        ({"annotator": "anm"}, "did you mean 'ann'"),
        ({"cluster": 0}, "not grouped yet"),
        ({"rows": (60,)}, "rows are 0 to 59"),
        ({"state": "opne"}, "did you mean 'open'"),
        ({"at_least": 1.5}, "between 0 and 1"),
        ({"at_most": float("nan")}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_found_says_what_was_meant(chosen: dict[str, Any], says: str) -> None:
    data, table = made()
    with pytest.raises(DrossError, match=says):
        Queue(data, Issue.LABEL, table).count(Filter(**chosen))


def test_a_dataset_without_labels_or_splits_says_to_leave_them_out() -> None:
    _, table = made()
    data = Dataset(pa.table({"x": np.arange(60)}), {Role.FEATURES: ["x"]})
    queue = Queue(data, Issue.OUTLIER, table)
    assert queue.count(Filter()) == 40
    for wrong in (Filter(label="cat"), Filter(split="train"), Filter(annotator="ann")):
        with pytest.raises(DrossError, match="leave out"):
            queue.count(wrong)


@pytest.mark.parametrize("encode", [False, True])
def test_labels_in_lists_are_found_in_every_chunk(encode: bool) -> None:
    lists = pa.array([["a", "b"], [], None, ["b"], ["c", None]], pa.list_(pa.string()))
    if encode:
        lists = lists.cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))
    column = pa.chunked_array([lists.slice(0, 2), lists.slice(2)])
    data = Dataset(pa.table({"tags": column}), {Role.LABELS: ["tags"]})
    table = made(5, 5)[1].slice(0, 0)
    table = pa.concat_tables([table, made(5, 5)[1]])
    queue = Queue(data, Issue.LABEL, table)
    assert queue.matcher.labels == ["a", "b", "c"]
    assert sorted(queue.order(Filter(label="b")).tolist()) == [0, 3]
    assert sorted(queue.order(Filter(label="c")).tolist()) == [4]


def test_texts_are_searched_whatever_their_type() -> None:
    texts = ["Straße", None, "x\x00y", "<b>", "5"]
    kinds = (
        pa.array(texts),
        pa.array(texts, pa.large_string()),
        pa.array(texts).dictionary_encode(),
        pa.array([None if t is None else [t, "other"] for t in texts]),
    )
    for column in kinds:
        data = Dataset(pa.table({"x": column}), {Role.PROMPT: ["x"]})
        queue = Queue(data, Issue.FORM, made(5, 5)[1])
        for i, wanted in (
            (0, "STRASSE"),
            (0, "straße"),
            (2, "X\x00Y" if column is not kinds[3] else "00Y"),
            (3, "<B>"),
        ):
            found = queue.order(Filter(text=wanted)).tolist()
            assert found == ([] if wanted == "STRASSE" else [i])


def test_a_search_among_few_findings_looks_at_their_rows_only() -> None:
    n = 1000
    data = Dataset(pa.table({"x": [f"row {i} end" for i in range(n)]}), {Role.TEXT: ["x"]})
    queue = Queue(data, Issue.FORM, made(n, 10)[1])
    row = int(queue.rows[4])
    assert queue.order(Filter(text=f"ROW {row} end")).tolist() == [4]
    other = next(i for i in range(n) if i not in queue.rows)
    assert queue.count(Filter(text=f"row {other} end")) == 0


def test_no_finding_is_an_empty_queue() -> None:
    data, table = made()
    queue = Queue(data, Issue.LABEL, table.slice(0, 0))
    assert len(queue) == queue.count(Filter()) == len(queue.order(Filter(text="a", at_least=0.5)))
    assert queue.next_open(Filter()) is None
    assert queue.page(Filter(), 0, 50).tolist() == []
    with pytest.raises(DrossError, match="leave out"):
        queue.count(Filter(suggestion="dog"))


def test_findings_of_other_data_are_refused() -> None:
    data, table = made()
    with pytest.raises(DrossError, match="not about this dataset"):
        Queue(data.slice(0, 20), Issue.LABEL, table)
    with pytest.raises(DrossError, match="between 0 and 1"):
        Queue(data, Issue.LABEL, table, chances=np.full(40, np.nan, np.float32))
    with pytest.raises(DrossError, match="40 numbers"):
        Queue(data, Issue.LABEL, table, chances=np.zeros(39, np.float32))
    queue = Queue(data, Issue.LABEL, table)
    with pytest.raises(DrossError, match="groups of"):
        queue.set_clusters(np.zeros(40, np.int32))
    with pytest.raises(DrossError, match="from 0 to 3"):
        queue.set_state([1], 4)


def test_a_row_of_a_small_split_matters_more_up_to_ten_times() -> None:
    codes = np.repeat(np.array([0, 1, 2, -1], np.int32), [1000, 200, 5, 3])
    assert np.unique(importance(codes)).tolist() == [1, 5, 10]
    assert importance(codes)[-1] == 1
    assert importance(np.full(3, -1, np.int32)).tolist() == [1, 1, 1]
    assert len(importance(np.empty(0, np.int32))) == 0


def test_chances_are_what_the_audit_expects_else_half_the_score() -> None:
    _, table = made()
    chances = chances_of(table)
    for chance, finding in zip(chances, table.to_pylist(), strict=True):
        known = finding["expected_precision"]
        expected = finding["score"] / 2 if known is None else known
        assert chance == pytest.approx(min(expected, 0.999)), "no finding is certain"


def test_among_equal_chances_the_higher_score_comes_first() -> None:
    n = 200
    rng = np.random.default_rng(4)
    data = Dataset(pa.table({"x": [str(i) for i in range(n)]}), {Role.TEXT: ["x"]})
    score = rng.permutation(np.linspace(0, 1, n)).astype(np.float32)
    steps = np.where(score > 0.5, 1.0, np.where(score > 0.2, 0.6, 0.1)).astype(np.float32)
    table = pa.table(
        {
            "row": np.arange(n), "id": [str(i) for i in range(n)], "score": score, "flagged": score > 0.5,
            "suggestion": pa.nulls(n, pa.string()), "expected_precision": steps, "issue": ["label"] * n,
        }
    )  # fmt: skip
    queue = Queue(data, Issue.LABEL, table)
    assert queue.order(Filter()).tolist() == np.argsort(-score, kind="stable").tolist()
    evidence = Evidence.of_table(table)
    decided = np.arange(0, n, 9)
    chances = rescore(evidence, decided, score[decided] > 0.7)
    queue.with_chances(chances.p)
    assert queue.order(Filter()).tolist() == chances.order().tolist(), "the order that was measured is the page's"
