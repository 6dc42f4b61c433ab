"""What must be quick and quiet at start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("numpy", "pyarrow", "polars", "sklearn", "scipy", "numba", "faiss", "torch", "pandas", "PIL")


def modules_after(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_import_dross_loads_nothing_heavy() -> None:
    assert not modules_after("import dross") & set(HEAVY)


def test_building_the_command_line_loads_nothing_heavy() -> None:
    assert not modules_after("from dross.cli import _app; _app()") & set(HEAVY)


@pytest.mark.parametrize(("set_before", "after"), [(None, "10000"), ("infinite", "infinite")])
def test_threads_spin_for_a_short_while_unless_somebody_says_otherwise(set_before: str | None, after: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    env |= {} if set_before is None else {"GOMP_SPINCOUNT": set_before}
    code = "import dross, os; print(os.environ['GOMP_SPINCOUNT'])"
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == after


def test_unknown_names_are_refused() -> None:
    import dross

    with pytest.raises(AttributeError):
        _ = dross.nothing_of_that_name
    assert set(dross.__all__) <= set(dir(dross))
