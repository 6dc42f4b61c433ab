"""Claims about the proof of improvement."""
