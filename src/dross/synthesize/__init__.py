"""Synthesizers: one method a file, each making new rows from those there are."""
