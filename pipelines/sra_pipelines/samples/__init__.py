"""Two invented documents, and questions with gold answers and the pages on which they stand.

The files are written by ``python -m tools.sample_documents`` in the repository; a test checks that the committed
files are what it writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SAMPLES_DIR", "Evidence", "SampleQuestion", "demo_questions", "sample_documents", "sample_questions"]

SAMPLES_DIR = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span of text and where it stands.

    Attributes
    ----------
    page
        Zero-based index of the page.
    text
        The span; between words it may differ from the page in white space only.
    """

    page: int
    text: str


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A question about one sample document.

    Attributes
    ----------
    id
        A name that does not change between versions.
    document
        The PDF's file name without its suffix.
    question
        The question.
    answer
        The gold answer, or None where no sample document answers the question.
    question_type
        `extraction`, `table`, `calculation`, `clause`, `definition` or `unanswerable`.
    evidence
        Where the answer stands; empty for an unanswerable question.
    """

    id: str
    document: str
    question: str
    answer: str | None
    question_type: str
    evidence: tuple[Evidence, ...]


def sample_documents() -> list[Path]:
    """Return the paths of the sample PDFs, in alphabetical order."""
    return sorted(SAMPLES_DIR.glob("*.pdf"))


def sample_questions() -> list[SampleQuestion]:
    """Return the questions about the sample PDFs, in the order of their file."""
    return _read_questions("questions.jsonl")


def demo_questions() -> list[SampleQuestion]:
    """Return the questions of ``sra-rag demo``: parties, a date, a notice period, a price, and one not answered."""
    return _read_questions("demo.jsonl")


def _read_questions(file: str) -> list[SampleQuestion]:
    return [_read_question(line) for line in (SAMPLES_DIR / file).read_text(encoding="utf-8").splitlines()]


def _read_question(line: str) -> SampleQuestion:
    fields = json.loads(line)
    evidence = tuple(Evidence(**item) for item in fields.pop("evidence"))
    return SampleQuestion(**fields, evidence=evidence)
