"""What ``sra-rag evaluate`` does with results that are there: write the reports, or print answers to read by hand."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from sra_evaluations.report import write_report
from sra_evaluations.report.judged_sample import judged_sample, write_sample
from sra_evaluations.report.shareable import write_shareable
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.records import read_examples
from sra_evaluations.runs.rescoring import rescored

__all__ = ["print_judged_answers", "report_again", "show_report"]


def report_again(folder: Path, share: Path | None = None) -> None:
    """Score the answers in a folder with the metrics as they are now, and write the reports; ask no model."""
    show_report(rescored(folder), folder, share, Console(stderr=True))


def print_judged_answers(folder: Path, count: int) -> None:
    """Print a sample of the answers in a folder, judged by the metrics as they are now."""
    sys.stdout.write(write_sample(judged_sample(rescored(folder), read_examples(folder), count)))


def show_report(comparison: Comparison, folder: Path, share: Path | None, console: Console) -> None:
    """Write the report, and the one without texts where a file is given; print the summary and where they are."""
    report = write_report(comparison, folder)
    sys.stdout.write(report.summary.read_text(encoding="utf-8"))
    console.print(f"Report: {report.html}", soft_wrap=True, markup=False, highlight=False)
    if share is not None:
        write_shareable(comparison, share)
        console.print(f"Figures to share: {share}", soft_wrap=True, markup=False, highlight=False)
