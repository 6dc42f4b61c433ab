"""Inferers: one method a file, each getting better answers out of frozen models."""
