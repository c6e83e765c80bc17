"""Detect headings by their form in formats that do not mark headings; ambiguous lines are not headings."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

from sra_pipelines.values import Heading, Page

__all__ = ["plain_headings", "without_running_heads"]

_LONGEST = 100
_MARKED = re.compile(
    r"(?:ITEM|Item|ARTICLE|Article|SECTION|Section|SCHEDULE|Schedule|EXHIBIT|Exhibit|ANNEX|Annex|APPENDIX|Appendix|"
    r"PART|Part|CHAPTER|Chapter|CLAUSE|Clause|NOTE|Note)\s+"
    r"(?:\d{1,3}(?:\.\d{1,2})*[A-Z]?|[IVXLC]{1,6}|[A-Z])(?:[.:)]|\s*[-–—])?(?:\s+[A-Z(“\"].*)?"  # noqa: RUF001
)
_BARE = re.compile(r"(?:ITEM|Item|NOTE|Note|EXHIBIT|Exhibit)\s+\S+")  # entries of a list, not titles
_NUMBERED = re.compile(r"(?:\d{1,2}\.|\d{1,2}(?:\.\d{1,2}){1,3}\.?|[IVX]{1,5}\.|\([A-Z]\))\s+[A-Z][^.;:]{2,}")
_CAPITALS = re.compile(r"[A-Z][A-Z0-9 ,.&'’()/:–—-]{7,}")  # noqa: RUF001
_ENDS_WITH_NUMBER = re.compile(r"(?:\s|\.{2,})\d+$")
_REPEATED = 0.1  # share of the pages; a line on more pages is a running head
_LEAST_REPEATED = 4


def plain_headings(text: str) -> tuple[Heading, ...]:
    """Return lines such as ``Item 7. Properties``, ``NOTE 3 - Revenue``, ``4.2 Termination`` or ``BALANCE SHEETS``."""
    headings = []
    start = 0
    for line in text.split("\n"):
        stripped = line.strip()
        first = stripped[:1]
        if (first.isupper() or first.isdecimal() or first == "(") and _is_heading(stripped):
            headings.append(Heading(start + line.index(stripped), " ".join(stripped.split())))
        start += len(line) + 1
    return tuple(headings)


def without_running_heads(pages: Sequence[Page]) -> list[Page]:
    """Remove headings that are repeated on many pages, such as the name of the company."""
    counts = Counter(text for page in pages for text in {heading.text for heading in page.headings})
    most = max(_LEAST_REPEATED, _REPEATED * len(pages))
    return [
        dataclasses.replace(page, headings=tuple(h for h in page.headings if counts[h.text] <= most)) for page in pages
    ]


def _is_heading(line: str) -> bool:
    # A line of a table of contents, or with amounts.
    if len(line) > _LONGEST or (line[-1].isdecimal() and _ends_with_number(line)):
        return len(line) < 15 and not _BARE.fullmatch(line) and _MARKED.fullmatch(line) is not None
    if _BARE.fullmatch(line):
        return False
    if _MARKED.fullmatch(line):
        return not line.endswith((",", ";"))
    words = line.split()
    if _NUMBERED.fullmatch(line):
        return len(words) <= 12 and not line.endswith((",", " and", " or", " the", " of", " to"))
    if not 2 <= len(words) <= 12 or not _CAPITALS.fullmatch(line):
        return False
    return sum(map(str.isalpha, line)) >= 0.7 * len(line.replace(" ", ""))


def _ends_with_number(line: str) -> bool:
    _, space, word = line.rpartition(" ")  # only for speed: most numbers are after a space
    return (bool(space) and word.isdecimal()) or _ENDS_WITH_NUMBER.search(line) is not None
