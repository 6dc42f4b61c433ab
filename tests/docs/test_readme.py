"""The README's commands and Python are run as they stand, on a file made for them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (dross .*?)(?:\s{2,}#.*)?$", README, re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews with a few wrong stars and a few copies."""
    rng = np.random.default_rng(0)
    words = {1: ["awful", "broken", "refund", "waste", "never"], 5: ["great", "love", "perfect", "happy", "again"]}
    filler = ["the", "product", "arrived", "box", "today", "shop", "colour", "size", "price", "ordered"]
    stars = rng.choice([1, 5], 400)
    texts = [" ".join(rng.choice(words[s] * 2 + filler, 14)) + f" {i}" for i, s in enumerate(stars.tolist())]
    stars[:24] = 6 - stars[:24]
    texts[390:] = texts[100:110]
    stars[390:] = stars[100:110]
    where = tmp_path_factory.mktemp("readme")
    pl.DataFrame({"body": texts, "stars": stars}).write_csv(where / "reviews.csv")
    return where


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def served(folder: Path) -> int:
    """Start the review page, wait for its address, end it as Ctrl-C does; its exit code."""
    command = [sys.executable, "-m", "dross", "review", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("Review page: http://127.0.0.1:")
        server.stdout.readline()
        server.send_signal(signal.SIGINT)
        return server.wait(60)


def test_every_command_of_the_readme_runs(folder: Path) -> None:
    before = (folder / "reviews.csv").read_bytes()
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        if command == "dross review":
            assert served(folder) == 0
            continue
        done = run(folder, *[sys.executable, "-m", *command.split()])
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert (folder / "reviews.csv").read_bytes() == before
    assert pl.read_csv(folder / "clean.csv").columns == ["body", "stars"]


def test_the_python_of_the_readme_runs(folder: Path) -> None:
    elsewhere = folder / "python"
    elsewhere.mkdir()
    shutil.copy(folder / "reviews.csv", elsewhere)
    for block in PYTHON:
        done = run(elsewhere, sys.executable, "-c", block)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "<html" in (elsewhere / "report.html").read_text(encoding="utf-8")


def test_links_and_pictures_of_the_readme_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_demo_runs(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    done = run(tmp_path, sys.executable, "-m", "dross", "demo", "--out", str(tmp_path / "demo"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "report" in done.stdout
    assert list((tmp_path / "demo").rglob("report.html"))


def test_make_targets_named_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\$ make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile
    assert shutil.which("make") is None or os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_python_of_the_guide_runs(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
        done = run(tmp_path, sys.executable, "-c", block)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_python_of_the_review_guide_runs(tmp_path: Path) -> None:
    audit = "import dross; from dross.testing.planted import blobs; "
    audit += "dross.audit(blobs(300, flipped=0.2).data, only=['confident-learning'], workspace='.dross')"
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "review.md").read_text(), re.MULTILINE | re.DOTALL)
    done = run(tmp_path, sys.executable, "-c", f"{audit}\n{block}")
    assert done.returncode == 0, done.stdout + done.stderr
