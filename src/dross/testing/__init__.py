"""For authors of methods: datasets with planted defects, and the checks every method must pass."""

from dross.testing.check_method import check_method

__all__ = ["check_method"]
