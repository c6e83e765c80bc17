"""Checks of an answer by code: each notes only what it has verified."""

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
    """Name the section under which each citation's quote stands, and its clause where the section numbers them.

    Parameters
    ----------
    citations
        With quotes that were verified to stand on their pages.
    pages
        All passages of each page, as the index has them: packed ones may reach over several sections.
    """
    notes = []
    for citation in citations:
        section, clause = _place(citation, pages.get((citation.document, citation.page_index), ()))
        if section:
            notes.append(f"{citation}: under {section!r}{f', {clause}' if clause else ''}")
    return list(dict.fromkeys(notes))


def _place(citation: Citation, page: Sequence[Passage]) -> tuple[str, str]:
    """Return the last heading above a quote and the last numbered clause under it that begins above its end."""
    ordered = sorted(page, key=lambda passage: passage.start)
    holding = [p for p in ordered if p.start <= citation.start < p.end]
    if not holding:
        return "", ""
    section = holding[-1].section
    names = {" ".join(passage.section.split()) for passage in ordered}
    clause = ""
    behind = False  # whether the heading that the passage is known by stands behind the quote
    for merged in merge_passages(ordered):
        at = merged.start
        for line in merged.text.split("\n"):
            plain = " ".join(line.split())
            if at > citation.start and plain and plain == section:
                behind = True
            if at <= citation.start and plain and plain in names:
                section, clause = plain, ""
            elif at <= citation.start and (numbered := _CLAUSE.match(line)):
                clause = numbered[1]
            at += len(line) + 1
    if behind:
        before = [p.section for p in ordered if p.start < holding[-1].start]
        return (before[-1] if before else ""), clause
    return section, clause


def lacking_unit_or_period(answer: str, question: str, support: Support) -> list[str]:
    """Note figures of an answer whose sentence names no unit, and answers in figures without a period.

    A unit or period that the question names counts as said.
    """
    notes = []
    figures = [figure for figure in find_amounts(answer) if not _YEAR.fullmatch(figure.text.strip("()"))]
    for figure in figures:
        sentence = next((s.text for s in support.sentences if s.start <= figure.start < s.end), answer)
        if not _UNIT.search(sentence) and not _UNIT.search(question):
            notes.append(f"no unit is given with {figure.text}")
    if figures and not _PERIOD.search(answer) and not _PERIOD.search(question):
        notes.append("no period is given")
    return list(dict.fromkeys(notes))
