"""Repairers: one method a file, each proposing changes."""
