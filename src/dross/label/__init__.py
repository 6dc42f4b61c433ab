"""Labelers: one method a file, each giving rows labels with probabilities."""
