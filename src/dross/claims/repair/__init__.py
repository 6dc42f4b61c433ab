"""Claims of the methods in ``repair``."""
