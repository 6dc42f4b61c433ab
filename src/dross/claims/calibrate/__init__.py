"""Claims about the error rates that calibration gives to findings."""
