"""Claims of the methods in ``pretrain``."""
