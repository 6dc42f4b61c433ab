"""The worked example of CONTRIBUTING.md is carried out: its files are added to a copy of the package and must work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"^`([\w/.]+\.py)`\n\n```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(files) == 3
    for name, text in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def run(copy: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "NUMBA_CACHE_DIR": str(copy / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_new_method_is_listed(copy: Path) -> None:
    assert '"id": "shouting"' in run(copy, "-m", "dross", "methods", "--json")


def test_its_claim_holds(copy: Path) -> None:
    assert "holds" in run(copy, "-m", "dross", "claims", "shouting")


def test_its_test_and_doctest_pass(copy: Path) -> None:
    out = run(
        copy,
        "-m",
        "pytest",
        "-q",
        "-c",
        "pyproject.toml",
        "tests/detect/test_shouting.py",
        "src/dross/detect/shouting.py",
    )
    assert "4 passed" in out


def test_it_is_written_as_the_house_wants(copy: Path) -> None:
    run(copy, "-m", "ruff", "check", "src/dross/detect/shouting.py", "src/dross/claims/detect/shouting.py")
    run(copy, "-m", "ruff", "format", "--check", "src/dross/detect/shouting.py", "src/dross/claims/detect/shouting.py")
