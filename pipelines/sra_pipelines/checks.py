"""Checks of an answer by code: each notes only what it has verified."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sra_pipelines.citations import Citation
from sra_pipelines.figures import find_figures
from sra_pipelines.passages import Passage
from sra_pipelines.support import Support

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
_YEAR = re.compile(r"(?:19|20)\d\d")


def cited_sections(citations: Sequence[Citation], passages: Sequence[Passage]) -> list[str]:
    """Name the section under which each citation's quote stands, where the document has headings."""
    notes = []
    for citation in citations:
        for passage in passages:
            same_page = (passage.document, passage.page_index) == (citation.document, citation.page_index)
            if same_page and passage.section and passage.start <= citation.start < max(passage.end, passage.start + 1):
                notes.append(f"{citation}: under {passage.section.strip()!r}")
                break
    return list(dict.fromkeys(notes))


def lacking_unit_or_period(answer: str, question: str, support: Support) -> list[str]:
    """Note figures of an answer whose sentence names no unit, and answers in figures without a period.

    A unit or period that the question names counts as said.
    """
    notes = []
    figures = [figure for figure in find_figures(answer) if not _YEAR.fullmatch(figure.text.strip("()"))]
    for figure in figures:
        sentence = next((s.text for s in support.sentences if s.start <= figure.start < s.end), answer)
        if not _UNIT.search(sentence) and not _UNIT.search(question):
            notes.append(f"no unit is given with {figure.text}")
    if figures and not _PERIOD.search(answer) and not _PERIOD.search(question):
        notes.append("no period is given")
    return list(dict.fromkeys(notes))
