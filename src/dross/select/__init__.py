"""Selectors: one method a file, each choosing rows."""
