"""The report of a comparison: a summary in Markdown, and one HTML file that needs no network."""

from typing import TYPE_CHECKING

from sra_rag.lazy_imports import lazy_names

if TYPE_CHECKING:
    from sra_evaluations.report.writing import Report, write_report
else:  # type checkers would take any name for public if they saw a __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_evaluations.report.writing": ["Report", "write_report"],
        },
    )

__all__ = ["Report", "write_report"]
