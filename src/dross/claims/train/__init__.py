"""Claims of the methods in ``train``."""
