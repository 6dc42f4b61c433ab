"""Claims of corpus steps."""
