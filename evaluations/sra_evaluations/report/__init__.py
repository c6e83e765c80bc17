"""The report of a comparison: a summary in Markdown, and one HTML file that needs no network."""

from sra_evaluations.report.writing import Report, write_report

__all__ = ["Report", "write_report"]
