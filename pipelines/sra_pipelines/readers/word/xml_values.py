"""Read values from the XML of a Word file; all tracked changes are treated as accepted.

Control characters, which XML cannot contain, mark page breaks (a form feed) and the positions of notes and comments
(see `NOTE_MARK`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from docx.oxml.ns import qn

__all__ = [
    "BREAK",
    "NOTE_MARK",
    "REFERENCES",
    "integer",
    "is_on",
    "is_page_break",
    "is_passed_over",
    "number_of",
    "value_of",
]

BREAK = "\f"
NOTE_MARK = re.compile("\x02(footnote|endnote|comment) ([^\x03]*)\x03")  # kind, id
REFERENCES = {
    qn("w:footnoteReference"): "footnote",
    qn("w:endnoteReference"): "endnote",
    qn("w:commentReference"): "comment",
}
# Tab stops, deleted and moved text, and fallback content for old applications.
_PASSED_OVER = {
    qn("w:pPr"),
    qn("w:rPr"),
    qn("w:del"),
    qn("w:moveFrom"),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}
_BR, _RENDERED_BREAK, _TYPE, _VALUE = qn("w:br"), qn("w:lastRenderedPageBreak"), qn("w:type"), qn("w:val")
_OFF = ("0", "false", "off")
_LONGEST_NUMBER = 11  # characters of a 32-bit integer


def is_passed_over(element: Any) -> bool:
    """Return whether an element contains no text of the document."""
    return element.tag in _PASSED_OVER


def is_page_break(element: Any) -> bool:
    """Return whether an element is a page break, either a manual one or one of the last layout in Word."""
    return element.tag == _RENDERED_BREAK or (element.tag == _BR and element.get(_TYPE) == "page")


def value_of(parent: Any | None, path: str) -> str | None:
    """Return the value (``w:val``) of the element at a path such as ``"w:pPr/w:pStyle"``; None if it does not exist."""
    element = _find(parent, path)
    return None if element is None else element.get(_VALUE)


def number_of(parent: Any | None, path: str) -> int | None:
    """Return the value at a path as an integer; None if there is none."""
    return integer(value_of(parent, path))


def is_on(parent: Any | None, path: str) -> bool:
    """Return whether the switch at a path exists and is not off."""
    element = _find(parent, path)
    return element is not None and element.get(_VALUE) not in _OFF


def integer(text: str | None) -> int | None:
    """Return a text as an integer; None if it is not an integer or has too many digits."""
    if text is None or len(text) > _LONGEST_NUMBER:
        return None
    try:
        return int(text)
    except ValueError:
        return None


def _find(parent: Any | None, path: str) -> Any | None:
    if parent is None:
        return None
    name, is_child = _full_names(path)
    return next(parent.iterchildren(name), None) if is_child else parent.find(name)  # a path takes longer to find


@cache
def _full_names(path: str) -> tuple[str, bool]:
    """Return a path with full names, and whether it names a child."""
    tags = path.split("/")
    return "/".join(map(qn, tags)), len(tags) == 1
