"""Write the sample PDFs and their questions: ``python -m tools.sample_documents``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sra_pipelines.samples import SAMPLES_DIR

from . import annual_report, services_agreement
from .agreement_questions import agreement_questions
from .company import build_company
from .questions import write_questions
from .report_questions import report_questions


def generate(folder: Path) -> None:
    """Write `annual_report.pdf`, `services_agreement.pdf` and `questions.jsonl`.

    The bytes are the same on every run with the same version of fpdf2.

    Parameters
    ----------
    folder
        Where to write; made if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    company = build_company()
    annual_report.write_annual_report(folder / f"{annual_report.STEM}.pdf", company)
    services_agreement.write_services_agreement(folder / f"{services_agreement.STEM}.pdf")
    drafts = [*report_questions(company), *agreement_questions()]
    write_questions(folder / "questions.jsonl", drafts, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.sample_documents",
        description="Write the two sample PDFs and questions.jsonl. Needs fpdf2 and pypdf. Each run "
        "writes the same bytes, so a change in the committed files is a change in the text.",
    )
    parser.add_argument(
        "--to",
        type=Path,
        default=SAMPLES_DIR,
        metavar="DIR",
        help="folder to write to (default: the folder of the package, %(default)s)",
    )
    generate(parser.parse_args(arguments).to)
