"""What is found of rows in several parts of the keys is settled once, and files that have been read are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dross.core.step import MATCH, ROW, VALUE
from dross.corpus import meeting
from dross.corpus.curating import curate
from dross.corpus.files import read, write
from dross.curate.minhash_deduplication import MinhashDeduplication


class Equal:
    """Every row has the same claim to stay."""

    def take(self, name: str, addresses: Any) -> Any:
        return np.zeros(len(addresses))


def pairs(rows: list[tuple[int, int]]) -> pa.Table:
    one, other = np.array(rows, np.uint64).reshape(-1, 2).T
    return pa.table({ROW: one, MATCH: other, VALUE: (0.5 + 0.01 * one).astype(np.float32)})


@pytest.mark.parametrize("most", [1, 4, 1000])
def test_what_several_keys_say_counts_once(most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "GATHERED", most)
    rng = np.random.default_rng(0)
    all_of_them = [(i, i + 20) for i in range(12)] + [(3, 40), (23, 41)]
    files = []
    for f in range(6):
        files.append(tmp_path / f"{f}.found")
        write(files[-1], pairs([all_of_them[i] for i in sorted(rng.choice(len(all_of_them), 9, replace=False))]))
    write(tmp_path / "rest.found", pairs(all_of_them))
    write(tmp_path / "once.found", pairs(sorted(all_of_them)))
    step = MinhashDeduplication()
    meeting.settle(step, [*files, tmp_path / "missing.found", tmp_path / "rest.found"], Equal(), tmp_path / "a")
    meeting.settle(step, [tmp_path / "once.found"], Equal(), tmp_path / "b")
    assert read(tmp_path / "a").equals(read(tmp_path / "b"))
    assert read(tmp_path / "a").num_rows == 14


def test_a_run_holds_no_more_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last pass begins, only the segments it reads are left of the passes before."""
    from dross.corpus import closing

    (tmp_path / "in").mkdir()
    rows = "".join(f'{{"text": "row number {i % 40} of some words that repeat"}}\n' for i in range(80))
    (tmp_path / "in" / "a.jsonl").write_text(rows)
    seen: list[str] = []
    close = closing.close

    def look(run: Any, *rest: Any) -> Any:
        seen.extend(path.suffix for path in run.work.rglob("*") if path.is_file())
        return close(run, *rest)

    monkeypatch.setattr(closing, "close", look)
    curate(["exact-deduplication", "minhash-deduplication"], [str(tmp_path / "in")], tmp_path / "out", workers=1)
    assert seen.count(".kept") == 1
    assert not {".sketches", ".npy", ".found"} & set(seen)
