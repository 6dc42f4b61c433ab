"""Claims of the methods in ``select``."""
