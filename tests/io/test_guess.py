from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dross
from dross.core.roles import Role
from dross.io import describe_roles, remarks

N = 60
SENTENCES = [f"this is sentence number {i}, and it is of some length" for i in range(N)]
LABELS = [["cat", "dog"][i % 2] for i in range(N)]


def roles(columns: dict[str, Any], **options: Any) -> dict[str, tuple[str, ...]]:
    return {role.value: names for role, names in dross.load(columns, **options).roles.items()}


def test_text_leaves_other_columns_alone() -> None:
    columns = {"comment": SENTENCES, "worker_id": [i % 5 for i in range(N)], "seconds": range(N), "label": LABELS}
    columns["seconds"] = np.random.default_rng(0).normal(size=N)
    assert roles(columns) == {"text": ("comment",), "label": ("label",)}
    assert roles(columns, features=["seconds"])["features"] == ("seconds",)


def test_a_table() -> None:
    rng = np.random.default_rng(0)
    columns = {
        "Unnamed: 0": list(range(N)),
        "PassengerId": rng.permutation(N),
        "age": rng.normal(size=N),
        "sex": [["m", "f"][i % 2] for i in range(N)],
        "joined": np.array(rng.integers(0, 9000, N), "datetime64[D]"),
        "zip": [f"{i % 9:05}" for i in range(N)],
        "secret": [f"code {i}" for i in range(N)],
        "y": LABELS,
        "y_pred": LABELS,
    }
    found = roles(columns)
    assert found["id"] in {("PassengerId",), ("Unnamed: 0",)}
    assert found["label"] == ("y",)
    assert found["features"][:3] == ("age", "sex", "joined")
    assert not {"zip", "secret", "PassengerId", "Unnamed: 0"} & set(found["features"])


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("Given Label", LABELS, "label"),
        ("label", list(range(N)), None),
        ("label", [None] * N, None),
        ("y", [i % 3 for i in range(N)], "label"),
        ("target", np.random.default_rng(0).normal(size=N).tolist(), "target"),
        ("label", [["a"], ["a", "b"]] * (N // 2), "labels"),
        ("noisy_label", LABELS, "label"),
        ("split", ["train"] * 50 + ["test"] * 10, "split"),
        ("fold", ["oos_train", "val"] * (N // 2), "split"),
        ("fold", [i % 5 for i in range(N)], "features"),
        ("subset", ["a", "b"] * (N // 2), "features"),
        ("timestamp", np.arange(N).astype("datetime64[s]"), "time"),
        ("birthday", np.arange(N).astype("datetime64[D]"), "features"),
        ("uuid", [f"u{i}" for i in range(N)], "id"),
        ("user_id", [i % 7 for i in range(N)], None),
        ("tweet_id", [5 * i for i in range(N)], "id"),
        ("notes", SENTENCES, "text"),
        ("text", ["ok", "no"] * (N // 2), "features"),
        ("text", [f"w{i}" for i in range(N)], "text"),
        ("日記", [f"今日は{i}回目の散歩をしました。とても楽しかったです。" for i in range(N)], "text"),
        ("photo", [f"img/{i}.JPG" for i in range(N)], "image"),
        ("clip", [f"{i}.wav" for i in range(N)], "audio"),
        ("embedding", np.zeros((N, 4)), "embedding"),
        ("domain", ["a", "b"] * (N // 2), "domain"),
        ("group", ["a", "b"] * (N // 2), "group"),
        ("counter", list(range(7, 7 + N)), None),
        ("one_value", [3] * N, "features"),
    ],
)
def test_one_column(name: str, values: Any, role: str | None) -> None:
    other = {"blob": [[1]] * N}  # lists without a meaning take no role
    assert roles({name: values, **other}) == ({role: (name,)} if role else {})


def test_annotators_only_when_numbered() -> None:
    votes = [i % 2 for i in range(N)]
    found = roles({"text": SENTENCES, "annotator_1": votes, "annotator_2": votes, "Annotator 3": votes})
    assert found["annotations"] == ("annotator_1", "annotator_2", "Annotator 3")
    assert "annotations" not in roles({"text": SENTENCES, "annotator_1": votes})
    assert "annotations" not in roles({"text": SENTENCES, "random_label1": votes, "random_label2": votes})


def test_language_data_keeps_its_text() -> None:
    found = roles({"instruction": SENTENCES, "input": SENTENCES, "output": SENTENCES})
    assert found["text"] == ("instruction", "input", "output")
    assert (found["prompt"], found["response"]) == (("instruction",), ("output",))
    found = roles({"prompt": SENTENCES, "chosen": SENTENCES, "rejected": SENTENCES})
    assert (found["chosen"], found["rejected"]) == (("chosen",), ("rejected",))
    found = roles({"query": SENTENCES, "passage": SENTENCES})
    assert (found["query"], found["passage"]) == (("query",), ("passage",))


def test_columns_that_tell_the_label_are_no_features() -> None:
    data = dross.load({"x": np.random.default_rng(0).normal(size=N), "label": LABELS, "true_label": LABELS})
    assert data.roles[Role.FEATURES] == ("x",)
    assert any("true_label" in remark for remark in remarks(data))


def test_every_role_has_its_reason() -> None:
    data = dross.load({"text": SENTENCES, "label": LABELS, "split": ["train"] * N})
    assert [(role, names) for role, names, _ in describe_roles(data)] == [
        ("text", ("text",)), ("label", ("label",)), ("split", ("split",)),
    ]  # fmt: skip
    assert all(why and why != "given" for _, _, why in describe_roles(data))
