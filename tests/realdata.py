"""Where the real data sets stand, for the tests that use them."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "shared" / "data"


def real(name: str) -> Path:
    """The folder of one data set, or a skipped test where it is not beside the checkout."""
    folder = ROOT / name
    if not folder.is_dir():
        pytest.skip(f"the data set {name} is not beside this checkout")
    return folder
