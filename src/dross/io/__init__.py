"""Reading and writing: ``load`` for every source, ``write`` for every format, one file per format family."""

from __future__ import annotations

from dross.io.load import describe_roles, load, remarks
from dross.io.rewrite import rewrite_csv
from dross.io.write import write

__all__ = ["describe_roles", "load", "remarks", "rewrite_csv", "write"]
