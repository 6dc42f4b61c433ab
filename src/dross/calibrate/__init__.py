"""Calibration: plant known defects, see how well they are found, and read from it what each finding is worth."""

from dross.calibrate.assessing import assess
from dross.calibrate.assessment import Assessment, Curve, Estimate

__all__ = ["Assessment", "Curve", "Estimate", "assess"]
