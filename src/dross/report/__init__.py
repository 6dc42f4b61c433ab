"""The report: one HTML file that needs no network, and its short form for the terminal."""

from dross.report.build import write_report

__all__ = ["write_report"]
