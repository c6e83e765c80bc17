"""Write what a comparison found next to its records."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sra_evaluations.comparison import Comparison
from sra_evaluations.records import write_whole
from sra_evaluations.report.summary import summarize

__all__ = ["Report", "write_report"]


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Where a report lies."""

    summary: Path


def write_report(comparison: Comparison, folder: Path) -> Report:
    """Write ``summary.md``; each file is there whole or not at all."""
    report = Report(folder / "summary.md")
    write_whole(report.summary, summarize(comparison))
    return report
