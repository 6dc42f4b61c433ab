"""dross train: training, comparing, the files it writes, what it refuses, and going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dross

WORDS = {"pos": ["great", "love", "happy"], "neg": ["awful", "broken", "waste"]}


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    truth = rng.choice(["pos", "neg"], 300)
    texts = [" ".join(rng.choice(WORDS[t] + ["the", "box", "today"], 9)) for t in truth]
    given = np.where(rng.random(300) < 0.2, np.where(truth == "pos", "neg", "pos"), truth)
    pl.DataFrame({"body": texts, "stars": given}).write_csv(tmp_path / "reviews.csv")
    pl.DataFrame({"body": texts[:50], "stars": truth[:50]}).write_csv(tmp_path / "clean.csv")
    return tmp_path


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dross", "train", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_model_and_its_edits_are_written(reviews: Path) -> None:
    done = run(reviews, "reviews.csv", "--label", "stars", "--method", "elr", "--epochs", "12", "--test", "clean.csv",
               "--out", "model", "--edits", "edits.csv", "--set", "strength=2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Test rows: right" in done.stdout
    edits = pl.read_csv(reviews / "edits.csv")
    assert edits.columns == ["row", "id", "field", "before", "after", "confidence", "reason"]
    assert len(edits) > 20
    model = dross.train.load(reviews / "model")
    assert model.method.strength == 2
    assert model.score(dross.load(reviews / "clean.csv", text="body", label="stars")) > 0.9
    again = run(reviews, "reviews.csv", "--label", "stars", "--out", "model")
    assert (again.returncode, "something already" in again.stderr) == (2, True)


def test_methods_are_compared_in_a_table_and_as_json(reviews: Path) -> None:
    args = ("reviews.csv", "--label", "stars", "--compare", "cross-entropy,elr", "--repeats", "2", "--epochs", "3")
    done = run(reviews, *args)
    assert done.returncode == 0, done.stderr
    assert "early-learning-regularization" in done.stdout
    told = json.loads(run(reviews, *args, "--json").stdout)
    assert set(told["methods"]) == {"cross-entropy", "early-learning-regularization"}
    assert told["verdict"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--method", "elrr"), "did you mean 'elr'"),
        (("--method", "elr", "--set", "strenght=1"), "did you mean 'strength'"),
        (("--method", "elr", "--set", "strength"), "write --set NAME=VALUE"),
        (("--method", "elr", "--network", "cnn"), "no column holds image"),
        (("--compare", "elr,cross-entropy", "--out", "m"), "trains no model to write"),
        (("--method", "cross-entropy", "--epochs", "1", "--edits", "e.csv"), "does not judge labels"),
    ],
)
def test_what_is_wrong_is_one_line(reviews: Path, args: tuple[str, ...], said: str) -> None:
    done = run(reviews, "reviews.csv", "--label", "stars", *args)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (reviews / "m").exists()


def test_without_torch_it_says_what_to_install(reviews: Path) -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom dross.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "reviews.csv", "--label", "stars"]
    done = subprocess.run(command, cwd=reviews, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "dross[torch]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_killed_training_goes_on_to_the_same_model(reviews: Path) -> None:
    args = ("reviews.csv", "--label", "stars", "--method", "elr", "--epochs", "40")
    assert run(reviews, *args, "--out", "whole", "--workspace", "w1").returncode == 0
    code = "import dross.models.checkpoint as c; c.EVERY = 0.0; c.Keeper.__init__.__defaults__ = (0.0,)\n"
    code += "from dross.cli import main; main()"
    command = [sys.executable, "-c", code, "train", *args, "--out", "resumed", "--workspace", "w2"]
    process = subprocess.Popen(command, cwd=reviews, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list(reviews.glob("w2/training/*/*.safetensors")) and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (reviews / "resumed").exists()
    assert run(reviews, *args, "--out", "resumed", "--workspace", "w2").returncode == 0
    whole, resumed = ((reviews / name / "weights.safetensors").read_bytes() for name in ("whole", "resumed"))
    assert whole == resumed
