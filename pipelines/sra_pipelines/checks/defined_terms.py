"""Look up where a contract defines its terms and parties, and quote the definitions."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.support import Claim
from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.retrieval.packing import Pages
from sra_pipelines.values import Passage

__all__ = ["Definition", "date_pages", "find_definitions", "used_terms"]

_TERM = r"[A-Z][\w-]*(?:\s+(?:(?:of|and)\s+)?[A-Z][\w-]*){0,4}"
# "Commencement Date means 1 May 2025.", also after a number such as "1.1", "(a)" or "2."
_MEANS = re.compile(
    r"^(?:(?:-|\d{1,3}(?:\.\d{1,3})*\.?|\(?[a-z\d]{1,5}[.)])[ \t]+)?"
    rf"(?P<text>[\"\u201c]?(?P<term>{_TERM})[\"\u201d]?\s+(?:means|shall\s+mean|has\s+the\s+meaning)\b"
    r"(?:[^.]|\.(?=\S)){0,600}\.)",
    re.MULTILINE,
)
# "Pellworth Data Services Limited, a company ... (the Supplier)"
_BRACKETS = re.compile(
    rf"\((?:(?:together|collectively),?\s+)?(?P<the>the\s+)?(?P<quote>[\"\u201c])?(?P<term>{_TERM})[\"\u201d]?\)"
)
_BREAK = re.compile(r"(?<=[.;:])\s+(?:and\s+|or\s+)?(?=\S)|\n(?=\(?[a-z0-9]{1,3}[.)]\s)")
_LONGEST = 400  # characters before the parentheses
_SHOWN = 160  # characters of a definition in a note


@dataclasses.dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a term in a document.

    Parameters
    ----------
    term
        The term as written in the document.
    text
        The text of the definition on the page, with white space normalized.
    document, page_label
        Document and page of the definition.
    """

    term: str
    text: str
    document: str
    page_label: str

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN].rsplit(' ', 1)[0]} ..."
        return f"{self.term!r} is defined in {self.document}, page {self.page_label}: {shown}"


def find_definitions(pages: Pages, documents: Iterable[str]) -> list[Definition]:
    """Find the definitions in documents: ``X means ...`` at the start of a line, and ``... (the X)``.

    Parameters
    ----------
    pages
        All passages of each page.
    documents
        Names of the documents to search.
    """
    wanted = set(documents)
    definitions = []
    for (document, _), passages in sorted(pages.items()):
        if document not in wanted:
            continue
        for passage in merge_passages(passages):
            for means in _MEANS.finditer(passage.text):
                definitions.append(_definition(means["term"], means["text"], passage))
            for brackets in _BRACKETS.finditer(passage.text):
                if brackets["the"] or brackets["quote"]:
                    before = passage.text[max(0, brackets.start() - _LONGEST) : brackets.start()]
                    clause = _BREAK.split(before)[-1]
                    definitions.append(_definition(brackets["term"], clause + brackets[0], passage))
    return definitions


def used_terms(answer: str, pages: Pages, citations: Sequence[Citation]) -> list[str]:
    """Return a note for each defined term in an answer, with its definition in the cited documents.

    A term that is part of a longer term counts only if it also occurs on its own. If a document defines a term twice,
    the first definition is used.
    """
    notes: dict[str, str] = {}
    left = " ".join(answer.split())
    definitions = find_definitions(pages, {citation.document for citation in citations})
    for definition in sorted(
        definitions, key=lambda d: -len(d.term)
    ):  # stable: the first definition of a term comes first
        pattern = re.compile(rf"\b{re.escape(definition.term)}(?:s|es)?\b")
        if definition.term not in notes and pattern.search(left):
            notes[definition.term] = str(definition)
            left = pattern.sub(" ", left)
    return list(notes.values())


def date_pages(claims: Sequence[Claim], passages: Sequence[Passage]) -> list[str]:
    """Return a note for each date in an answer, with the pages that contain the date."""
    notes = []
    for claim in claims:
        if claim.kind != "date" or not claim.passages:
            continue
        places = dict.fromkeys(
            f"{passages[number].document}, page {passages[number].page_label}" for number in claim.passages
        )
        notes.append(f"{claim.text} is in {'; '.join(places)}")
    return list(dict.fromkeys(notes))


def _definition(term: str, text: str, passage: Passage) -> Definition:
    return Definition(" ".join(term.split()), " ".join(text.split()), passage.document, passage.page_label)
