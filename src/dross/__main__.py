"""``python -m dross``."""

from dross.cli import main

main()
