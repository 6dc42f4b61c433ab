"""Trainers that learn from rows without labels first: one method a file."""
