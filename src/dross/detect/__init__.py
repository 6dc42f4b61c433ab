"""Detectors: one method a file, each returning findings."""
