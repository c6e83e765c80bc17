"""Checks of the section, the unit and the period of an answer; each reports only what it has verified."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sra_pipelines.checks.amounts import find_amounts
from sra_pipelines.checks.citations import Citation
from sra_pipelines.checks.support import Support
from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.retrieval.packing import Pages
from sra_pipelines.values import Passage

__all__ = ["cited_sections", "lacking_unit_or_period"]

_UNIT = re.compile(
    r"[$€£¥]|%|\bper ?cent\b|\b(?:thousand|million|billion|trillion|bn|mn)s?\b"
    r"|\b(?:USD|EUR|GBP|CHF|JPY|dollars?|euros?|pounds?|shares?|employees|people|days|months|years|times|x)\b",
    re.IGNORECASE,
)
_PERIOD = re.compile(
    r"\b(?:FY\s?)?(?:19|20)\d\d\b|\b(?:Q[1-4]|first|second|third|fourth) ?(?:quarter|half)?\b|\bFY\d\d\b"
    r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"\s*(\d{1,3}\.\d{1,3}(?:\.\d{1,3})*)\.?\s")
_YEAR = re.compile(r"(?:19|20)\d\d")


def cited_sections(citations: Sequence[Citation], pages: Pages) -> list[str]:
    """Return a note with the section of each citation's quote, and with its clause if the section numbers its clauses.

    Parameters
    ----------
    citations
        Citations with quotes that were verified to be on their pages.
    pages
        All passages of each page, from the index; packed passages may span several sections.
    """
    notes = []
    for citation in citations:
        section, clause = _place(citation, pages.get((citation.document, citation.page_index), ()))
        if section:
            notes.append(f"{citation}: under {section!r}{f', {clause}' if clause else ''}")
    return list(dict.fromkeys(notes))


def _place(citation: Citation, page: Sequence[Passage]) -> tuple[str, str]:
    """Return the last heading before a quote, and the last numbered clause after that heading that starts before it."""
    ordered = sorted(page, key=lambda passage: passage.start)
    holding = [p for p in ordered if p.start <= citation.start < p.end]
    if not holding:
        return "", ""
    section = holding[-1].section
    names = {" ".join(passage.section.split()) for passage in ordered}
    clause = ""
    heading_follows = False  # whether the heading of the passage's section comes after the quote
    for merged in merge_passages(ordered):
        at = merged.start
        for line in merged.text.split("\n"):
            plain = " ".join(line.split())
            if at > citation.start and plain and plain == section:
                heading_follows = True
            if at <= citation.start and plain and plain in names:
                section, clause = plain, ""
            elif at <= citation.start and (numbered := _CLAUSE.match(line)):
                clause = numbered[1]
            at += len(line) + 1
    if heading_follows:
        before = [p.section for p in ordered if p.start < holding[-1].start]
        return (before[-1] if before else ""), clause
    return section, clause


def lacking_unit_or_period(answer: str, question: str, support: Support) -> list[str]:
    """Return notes on amounts in an answer whose sentence has no unit, and on answers with amounts but no period.

    A unit or period in the question counts as given.
    """
    notes = []
    amounts = [amount for amount in find_amounts(answer) if not _YEAR.fullmatch(amount.text.strip("()"))]
    for amount in amounts:
        sentence = next((s.text for s in support.sentences if s.start <= amount.start < s.end), answer)
        if not _UNIT.search(sentence) and not _UNIT.search(question):
            notes.append(f"no unit is given with {amount.text}")
    if amounts and not _PERIOD.search(answer) and not _PERIOD.search(question):
        notes.append("no period is given")
    return list(dict.fromkeys(notes))
