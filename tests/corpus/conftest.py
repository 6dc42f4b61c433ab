"""Small corpora with copies."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

Row = dict[str, Any]


def texts(n: int, seed: int = 0) -> list[str]:
    """Texts of 20 to 60 words; a tenth are exact copies of others, a tenth near ones."""
    rng = np.random.default_rng(seed)
    words = np.array(["".join(chr(97 + c) for c in rng.integers(0, 26, 6)) for _ in range(3000)])
    out = [" ".join(rng.choice(words, rng.integers(20, 60))) for _ in range(n)]
    for i in range(n // 10):
        out[n - 1 - i] = out[i]
        near = out[n // 10 + i].split()
        near[3] = "changed"
        out[n - 1 - n // 10 - i] = " ".join(near)
    return out


def rows(n: int, seed: int = 0) -> list[Row]:
    """Rows with an id, a text, a number, a domain and something nested."""
    rng = np.random.default_rng(seed + 1)
    found = zip(texts(n, seed), rng.random(n).round(4).tolist(), rng.choice(["web", "wiki"], n).tolist(), strict=True)
    return [
        {"id": f"d{i}", "text": text, "score": score, "domain": domain, "meta": {"n": [i, None]}}
        for i, (text, score, domain) in enumerate(found)
    ]


def write(folder: Path, given: Sequence[Row], files: int = 1, kind: str = "jsonl") -> str:
    """Write the rows into so many files of unequal size; the folder."""
    folder.mkdir(parents=True)
    edges = np.unique(np.round(len(given) * (np.arange(files + 1) / files) ** 2).astype(int))
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        part = given[a:b]
        if kind == "parquet":
            pl.DataFrame(part).write_parquet(folder / f"{i:03d}.parquet", row_group_size=50)
            continue
        content = "".join(json.dumps(row) + "\n" for row in part).encode()
        if kind == "jsonl.gz":
            content = gzip.compress(content)
        if kind == "jsonl.zst":
            content = pa.compress(content, "zstd", asbytes=True)
        (folder / f"{i:03d}.{kind}").write_bytes(content)
    return str(folder)


def read(folder: Path) -> list[Row]:
    """The rows of a curated corpus of JSON Lines."""
    out = []
    for file in sorted(folder.glob("part-*")):
        with pa.input_stream(str(file), compression="zstd") as stream:
            out += [json.loads(line) for line in bytes(stream.read()).splitlines()]
    return out


def content(folder: Path) -> bytes:
    """All bytes of the rows that are left."""
    return b"".join(file.name.encode() + file.read_bytes() for file in sorted(folder.glob("part-*")))


def dropped(folder: Path, step: str = "*") -> pl.DataFrame:
    """The record of dropped rows."""
    return pl.concat([pl.read_parquet(file) for file in sorted((folder / "dropped").glob(f"{step}/*.parquet"))])


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., str]:
    """Writes a corpus: so many rows, in so many files, of a kind."""
    return lambda n=600, files=1, kind="jsonl": write(tmp_path / f"in-{n}-{files}-{kind}", rows(n), files, kind)
