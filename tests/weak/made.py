"""Small data and files of rules for the tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pyarrow as pa

from dross.core.dataset import Dataset
from dross.core.roles import Role

TEXTS = ["win a free prize", "hello mum", "FREE entry!!!", "see you at 5", "call now to win", "ok"]
GOLD = ["spam", "ham", "spam", "ham", "spam", "ham"]


def messages(*, gold: bool = False, texts: list[str] = TEXTS) -> Dataset:
    columns: dict[str, Any] = {"text": texts, "length": [len(text) for text in texts]}
    roles: dict[Role, list[str]] = {Role.TEXT: ["text"], Role.FEATURES: ["length"]}
    if gold:
        columns["label"] = GOLD[: len(texts)]
        roles[Role.LABEL] = ["label"]
    return Dataset(pa.table(columns), roles)


def python(folder: Path, body: str, name: str = "rules.py") -> Path:
    path = folder / name
    path.write_text("from dross.weak import labeling_function\n" + dedent(body))
    return path


def yaml(folder: Path, body: str, name: str = "rules.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(body))
    return path


def column(applied: Any, name: str) -> list[Any]:
    return applied.data.table.column(name).to_pylist()
