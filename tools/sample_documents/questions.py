"""Write the questions, with the page of each evidence span looked up in the finished PDFs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pypdf import PdfReader


class EvidenceError(ValueError):
    """An evidence span stands on no page of its document, or on several."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span that proves an answer; where several pages hold it, `beside` stands on the right one."""

    text: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class DraftQuestion:
    """A question whose evidence has no pages yet; without an answer it is unanswerable."""

    id: str
    document: str
    question_type: str
    question: str
    answer: str | None = None
    spans: tuple[Span, ...] = ()


def squeeze(text: str) -> str:
    """Replace every run of white space by one space."""
    return " ".join(text.split())


def read_pages(path: Path) -> list[str]:
    """Extract the text of each page, with white space squeezed."""
    return [squeeze(page.extract_text()) for page in PdfReader(path).pages]


def locate(span: Span, pages: list[str], document: str) -> int:
    """Find the one page on which a span stands.

    Returns
    -------
    int
        The zero-based page index.

    Raises
    ------
    EvidenceError
        Where no page, or more than one, holds the span and the text beside it.
    """
    wanted, beside = squeeze(span.text), squeeze(span.beside)
    found = [i for i, text in enumerate(pages) if wanted in text and beside in text]
    if len(found) != 1:
        raise EvidenceError(f"{document}: {wanted!r} stands on pages {found}; it must be exactly one")
    return found[0]


def write_questions(path: Path, drafts: list[DraftQuestion], folder: Path) -> None:
    """Write one JSON object a line.

    Parameters
    ----------
    path
        The file to write.
    drafts
        The questions.
    folder
        Where the finished PDFs lie.
    """
    pages = {name: read_pages(folder / f"{name}.pdf") for name in {d.document for d in drafts}}
    lines: list[str] = []
    for draft in drafts:
        evidence = [
            {"page": locate(span, pages[draft.document], draft.document), "text": span.text} for span in draft.spans
        ]
        fields = {
            "id": draft.id,
            "document": draft.document,
            "question": draft.question,
            "answer": draft.answer,
            "question_type": draft.question_type,
            "evidence": evidence,
        }
        lines.append(json.dumps(fields, ensure_ascii=False))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
