"""Runs that end before their end: killed, interrupted, out of files, out of room; and what they find in the files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from dross.core.errors import DrossError
from dross.corpus import files, reading
from dross.corpus.curating import WORK, Layout, curate
from tests.corpus.conftest import content, dropped, read, rows, write

STEPS = [{"minhash-deduplication": {"similarity": 0.6}}, {"budget": {"share": 0.9}}]
Corpus = Callable[..., str]
RECIPE = "steps:\n- minhash-deduplication: {similarity: 0.6}\n- budget: {share: 0.9}\n"


def start(folder: Path, source: str, out: str = "out") -> subprocess.Popen[str]:
    (folder / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "dross", "curate", "recipe.yaml", "--in", source, "--out", out, "--workers", "1"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("which", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on(corpus: Corpus, tmp_path: Path, which: signal.Signals) -> None:
    source = corpus(2000, 40)
    curate(STEPS, source, tmp_path / "whole", workers=1)
    begun = start(tmp_path, source)
    work = tmp_path / "out" / WORK
    until = time.monotonic() + 120
    while len(list(work.glob("pass-00/*.json"))) < 5 and begun.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    begun.send_signal(which)
    _, told = begun.communicate(timeout=120)
    assert begun.returncode in {-9, 130}, told
    done = {file: file.stat().st_mtime_ns for file in work.glob("pass-00/*.json")}
    assert done
    again = start(tmp_path, source)
    _, told = again.communicate(timeout=300)
    assert again.returncode == 0, told
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert not work.exists()


def test_finished_shards_are_not_done_again(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = corpus(600, 6)
    broken = Path(source) / "004.jsonl"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-40])
    with pytest.raises(DrossError, match=r"row \d+ of this file is not JSON.*004.jsonl"):
        curate(STEPS, source, tmp_path / "out", workers=1)
    broken.write_bytes(whole)
    seen: list[str] = []
    blocks = reading.blocks
    monkeypatch.setattr(
        "dross.corpus.passes.blocks", lambda piece, wanted: seen.append(piece.file) or blocks(piece, wanted)
    )
    curate(STEPS, source, tmp_path / "out", workers=1)
    assert [Path(file).name for file in seen] == ["004.jsonl", "005.jsonl"]
    curate(STEPS, source, tmp_path / "whole", workers=1)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_shard_that_vanishes(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = corpus(600, 6)
    lost = Path(source) / "003.jsonl"
    blocks = reading.blocks

    def vanishing(piece, wanted):  # type: ignore[no-untyped-def]
        if piece.file.endswith("001.jsonl"):
            lost.rename(tmp_path / "elsewhere")
        return blocks(piece, wanted)

    monkeypatch.setattr("dross.corpus.passes.blocks", vanishing)
    with pytest.raises(DrossError, match=r"no such file.*003.jsonl"):
        curate(STEPS, source, tmp_path / "out", workers=1)
    assert len(list((tmp_path / "out" / WORK / "pass-00").glob("*.json"))) == 3
    monkeypatch.undo()
    (tmp_path / "elsewhere").rename(lost)
    assert curate(STEPS, source, tmp_path / "out", workers=1).rows_in == 600


def test_a_full_disk_says_so_and_the_run_goes_on(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = corpus(600, 6)

    def full(self: object, table: pa.Table) -> None:
        with files.full(tmp_path):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.Growing, "add", full)
        with pytest.raises(DrossError, match="the disk is full"):
            curate(STEPS, source, tmp_path / "out", workers=1)
    assert curate(STEPS, source, tmp_path / "out", workers=1).rows_in == 600


def test_two_runs_do_not_share_a_folder(corpus: Corpus, tmp_path: Path) -> None:
    source = corpus(2000, 40)
    begun = start(tmp_path, source)
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "out" / WORK / "run.json").exists() and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(begun.pid, signal.SIGSTOP)
        with pytest.raises(DrossError, match="another run is writing"):
            curate(STEPS, source, tmp_path / "out", workers=1)
        with pytest.raises(DrossError, match="another recipe, or over other files"):
            curate(STEPS[:1], source, tmp_path / "out", workers=1)
    finally:
        begun.kill()
        begun.communicate()


def test_files_that_change_after_they_were_read(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = corpus(300, 3)
    with monkeypatch.context() as patch:
        patch.setattr("dross.corpus.curating.settle", interrupted)
        with pytest.raises(KeyboardInterrupt):
            curate(STEPS, source, tmp_path / "out", workers=1)
    with (Path(source) / "001.jsonl").open("a") as file:
        file.write('{"text": "one more"}\n')
    with pytest.raises(DrossError, match="files have changed since the run was interrupted"):
        curate(STEPS, source, tmp_path / "out", workers=1)
    shutil.rmtree(tmp_path / "out" / WORK)
    assert curate(STEPS, source, tmp_path / "out", workers=1).rows_in == 301


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


# ---- what stands in the files ------------------------------------------------------------------------------------

BAD = {
    "is not UTF-8": b'{"text": "\xff"}',
    "is not JSON": b'{"text": "a"',
    "is not a JSON object": b"[1, 2]",
    "half a character": b'{"text": "\\ud800"}',
}


@pytest.mark.parametrize("told", BAD)
def test_lines_that_cannot_be_read_stop_or_are_dropped(told: str, tmp_path: Path) -> None:
    source = write(tmp_path / "in", rows(20), 1)
    (file,) = Path(source).iterdir()
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([*lines[:5], b"", BAD[told], *lines[5:]]))
    with pytest.raises(DrossError, match=f"row 6 of this file {'is' if told[0] == 'i' else 'holds'}.*{told[3:]}"):
        curate(STEPS, source, tmp_path / "out", workers=1)
    report = curate({"bad_lines": "drop", "steps": STEPS[1:]}, source, tmp_path / "other", workers=1)
    assert (report.rows_in, report.rows_out, report.stages[0].reasons) == (21, 18, {"broken_line": 1})
    gone = dropped(tmp_path / "other", "00-reading")
    assert gone["dross_row"].to_list() == [6]


def test_a_truncated_file_and_a_field_that_one_shard_lacks(tmp_path: Path) -> None:
    source = write(tmp_path / "in", rows(600), 3, "jsonl.zst")
    last = Path(source) / "002.jsonl.zst"
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DrossError, match=r"cut short.*002.jsonl.zst"):
        curate(STEPS, source, tmp_path / "out", workers=1)
    other = b"".join(json.dumps({"body": row["text"]}).encode() + b"\n" for row in rows(20))
    last.write_bytes(pa.compress(other, "zstd", asbytes=True))
    with pytest.raises(DrossError, match=r"no row has the field 'text'.*002.jsonl.zst.*the first row has: body"):
        curate(STEPS, source, tmp_path / "out", workers=1)
    last.write_bytes(whole)
    assert curate(STEPS, source, tmp_path / "out", workers=1).rows_in == 600


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 100_000)
    monkeypatch.setattr(reading, "BLOCK", 10_000)
    source = write(tmp_path / "in", [*rows(5), {"text": "x" * 500_000}], 1)
    with pytest.raises(DrossError, match="a line is longer"):
        curate(STEPS, source, tmp_path / "out", workers=1)


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize("block", [7, 100, 5000])
def test_blocks_of_any_size_give_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, block: int
) -> None:
    monkeypatch.setattr(reading, "BLOCK", block)
    source = write(tmp_path / "in", rows(60), 1, kind)
    curate([{"budget": {"rows": 60}}], source, tmp_path / "out", workers=1, layout=Layout(piece=1000))
    assert read(tmp_path / "out") == rows(60)
