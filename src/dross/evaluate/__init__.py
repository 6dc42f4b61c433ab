"""Evaluators: one method a file, each measuring."""
