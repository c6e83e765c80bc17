"""The lines of a page, with the label of each table row."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Line", "page_lines", "plain_label"]

_CELL = re.compile(
    r"[$€£¥(\u2212+-]*\d[\d,.\u00a0]*\)?[%x]?\)?(?:\([a-z0-9]\))?|[-\u2013\u2014$€£¥%)(]+"
    r"|nil|n/?[am]\.?|bps|pts\.?",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d,?|\d{1,2},")  # a year or a day: the line names columns
_FOOTNOTE = re.compile(r"\(?[a-z]\)|\*+", re.IGNORECASE)
_FOOTNOTES = re.compile(r"(?:\s*\((?:\d{1,2}|[a-z])\)|\s*\*+)+$")
_LAST = frozenset("0123456789)%-\u2013\u2014x*lLaAsmM.")  # characters that can end a row
_LONGEST = 240  # characters; a longer line is a paragraph


class Line(NamedTuple):
    """A line of a page.

    Parameters
    ----------
    text
        The line without surrounding white space.
    label
        The text before the amounts in lower case, if the line is a table row: a label followed by amounts and empty
        cells only. Otherwise empty.
    """

    text: str
    label: str


def page_lines(text: str) -> list[Line]:
    """Return the lines of a page, without empty lines."""
    return [Line(line, _label(line)) for raw in text.split("\n") if (line := raw.strip())]


def plain_label(label: str) -> str:
    """Return the label of a row in lower case with plain dashes and quotes, without marks of footnotes."""
    plain = re.sub("[\u2013\u2014\u2212]+", "-", label.replace("\u2019", "'")).lower()
    return " ".join(_FOOTNOTES.sub("", plain.strip(" .:|$")).split()).strip(" .:")


def _label(line: str) -> str:
    if line[-1] not in _LAST or len(line) > _LONGEST:
        return ""
    words = line.split()
    amounts = 0
    while words:
        if _CELL.fullmatch(words[-1]):
            amounts += any(character.isdigit() for character in words[-1]) and not _DATE.fullmatch(words[-1])
        elif not (_FOOTNOTE.fullmatch(words[-1]) and not amounts):
            break
        words.pop()
    label = " ".join(words).strip(" .$|:").lower()
    return label if amounts and any(character.isalpha() for character in label) else ""
