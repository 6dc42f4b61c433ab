"""Every command and every Python example of docs/curation.md runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dross.claims._texts import drawn

GUIDE = Path(__file__).parents[2] / "docs" / "curation.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("curation")
    texts = drawn(400, 0)
    for name, some in (("raw/a", texts[:250] + texts[:20]), ("raw/b", texts[240:330]), ("old/o", texts[:5])):
        path = where / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(json.dumps({"id": f"{name}{i}", "text": text}) for i, text in enumerate(some)))
    for name in ("good", "benchmark"):
        (where / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts[330:]))
    recipe, other = blocks("yaml")
    (where / "recipe.yaml").write_text(recipe)
    (where / "strict.yaml").write_text("steps: [exact-deduplication]")
    (where / "against.yaml").write_text(other)
    return where


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], cwd=folder, capture_output=True, text=True, check=False)


def test_the_commands(folder: Path) -> None:
    lines = [line.split("   #")[0] for block in blocks("sh") for line in block.splitlines() if line.startswith("dross")]
    assert len(lines) == 5
    for line in lines:
        done = run(folder, "-m", *shlex.split(line.replace("'", '"')))
        assert done.returncode == 0, (line, done.stderr)
    parts = {
        name: b"".join(f.read_bytes() for f in sorted((folder / name).glob("part-*")))
        for name in ("clean", "clean-ray")
    }
    assert parts["clean"] == parts["clean-ray"]
    done = run(folder, "-m", "dross", "curate", "against.yaml", "--in", "raw", "--out", "clean4", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stages"][1]["reasons"]["in_the_other_corpus"] == 10


@pytest.mark.parametrize("number", range(2))
def test_the_examples(folder: Path, number: int) -> None:
    if number == 0 and not (folder / "clean").exists():
        pytest.skip("the commands did not run")
    done = run(folder, "-W", "error", "-c", blocks("python")[number])
    assert done.returncode == 0, done.stderr
