"""Claims of the methods in ``label``."""
