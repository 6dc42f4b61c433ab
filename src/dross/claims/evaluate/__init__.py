"""Claims of the methods in ``evaluate``."""
