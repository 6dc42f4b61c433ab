"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# Kernels compile at their first call and the machines are shared: no test may depend on how long something takes.
settings.register_profile("dross", deadline=None, derandomize=True)
settings.load_profile("dross")
