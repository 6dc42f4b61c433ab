"""Claims of the methods in ``infer``."""
