"""Write what a comparison found next to its records."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sra_evaluations.report.summary import summarize
from sra_evaluations.report.task_results import collect
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.records import read_examples, write_whole

__all__ = ["Report", "write_report"]


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """The paths of a report."""

    summary: Path
    html: Path


def write_report(comparison: Comparison, folder: Path | str) -> Report:
    """Write ``summary.md`` and ``report.html``; each is written completely or not at all.

    Parameters
    ----------
    comparison
        The results; some may still be missing.
    folder
        Folder of the run; the texts of examples are read from it.

    Raises
    ------
    ConfigError
        If the examples in the folder cannot be read.
    """
    # Only here, as every subcommand of sra-rag imports this file: Matplotlib takes a while.
    from sra_evaluations.report.html_page import render_page

    folder = Path(folder)
    report = Report(folder / "summary.md", folder / "report.html")
    examples = read_examples(folder)
    results = collect(comparison, examples)
    # Both are made before either is written.
    summary, page = summarize(comparison, examples, results), render_page(comparison, examples, results)
    write_whole(report.summary, summary)
    write_whole(report.html, page)
    return report
