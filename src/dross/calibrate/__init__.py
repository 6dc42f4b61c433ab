"""Calibration: plant known defects, see how well they are found, and read from it what each finding is worth."""
