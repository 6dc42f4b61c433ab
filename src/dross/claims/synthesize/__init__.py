"""Claims of the methods in ``synthesize``."""
