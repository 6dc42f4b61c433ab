"""Claims of the detectors."""
