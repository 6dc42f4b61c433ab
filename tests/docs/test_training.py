"""The page on training: its commands and examples work as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^dross (train .*?)(?:\s{2,}#.*)?$", PAGE, re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_command_runs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = {1: ["awful", "broken", "waste"], 5: ["great", "love", "happy"]}
    stars = rng.choice([1, 5], 160)
    texts = [" ".join(rng.choice(words[s] + ["box", "today"], 8)) for s in stars.tolist()]
    pl.DataFrame({"body": texts, "stars": stars}).write_csv(tmp_path / "reviews.csv")
    assert len(COMMANDS) == 4
    for command in COMMANDS:
        short = [*command.split(), "--epochs", "2"]
        done = subprocess.run(
            [sys.executable, "-m", "dross", *short], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert (tmp_path / "model" / "weights.safetensors").exists()
    assert (tmp_path / "wrong.csv").exists()


def test_every_example_runs(tmp_path: Path) -> None:
    assert len(PYTHON) == 3
    for block in PYTHON:
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
