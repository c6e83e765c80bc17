"""What a piece of a Word file's XML says: its text as it reads with all tracked changes accepted, its values.

XML holds no control characters, so some of them stand for what text can't say: a form feed for a page break, and what
`NOTE_MARK` matches for the place of a footnote or endnote.
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
    "text_of",
    "value_of",
]

BREAK = "\f"
NOTE_MARK = re.compile("\x02(footnote|endnote) ([^\x03]*)\x03")  # kind, id
REFERENCES = {qn("w:footnoteReference"): "footnote", qn("w:endnoteReference"): "endnote"}
# Tab stops, deleted and moved text, and the second rendering of a drawing for old programs.
_PASSED_OVER = {
    qn("w:pPr"),
    qn("w:rPr"),
    qn("w:del"),
    qn("w:moveFrom"),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}
_TEXT, _TAB, _BR, _CR, _HYPHEN = (qn(f"w:{name}") for name in ("t", "tab", "br", "cr", "noBreakHyphen"))
_RENDERED_BREAK, _TYPE, _VALUE = qn("w:lastRenderedPageBreak"), qn("w:type"), qn("w:val")
_OFF = ("0", "false", "off")
_LONGEST_NUMBER = 11  # characters of a whole number of 32 bits


def is_passed_over(element: Any) -> bool:
    """Whether nothing in the element is text of the document."""
    return element.tag in _PASSED_OVER


def is_page_break(element: Any) -> bool:
    """Whether a page ends here, because somebody wanted it or because Word broke it here last."""
    return element.tag == _RENDERED_BREAK or (element.tag == _BR and element.get(_TYPE) == "page")


def text_of(element: Any) -> str:
    """Return the text in a paragraph, or in whatever else holds runs."""
    parts: list[str] = []
    for child in element.iterchildren():
        if is_passed_over(child):
            continue
        if child.tag == _TEXT:
            parts.append(child.text or "")
        elif child.tag == _TAB:
            parts.append("\t")
        elif is_page_break(child):
            parts.append(BREAK)
        elif child.tag in (_BR, _CR):
            parts.append("\n")
        elif child.tag == _HYPHEN:
            parts.append("-")
        elif child.tag in REFERENCES:
            parts.append(f"\x02{REFERENCES[child.tag]} {child.get(qn('w:id'))}\x03")
        else:
            parts.append(text_of(child))
    return "".join(parts)


def value_of(parent: Any | None, path: str) -> str | None:
    """Return the value (``w:val``) of the element at a path such as ``"w:pPr/w:pStyle"``, None where there is none."""
    found = _find(parent, path)
    return None if found is None else found.get(_VALUE)


def number_of(parent: Any | None, path: str) -> int | None:
    """Return the value at a path as a whole number, None where there is none."""
    return integer(value_of(parent, path))


def is_on(parent: Any | None, path: str) -> bool:
    """Whether the switch at a path is there and not turned off."""
    found = _find(parent, path)
    return found is not None and found.get(_VALUE) not in _OFF


def integer(text: str | None) -> int | None:
    """Read a whole number; None for what is none, or longer than any that Word writes."""
    if text is None or len(text) > _LONGEST_NUMBER:
        return None
    try:
        return int(text)
    except ValueError:
        return None


def _find(parent: Any | None, path: str) -> Any | None:
    return None if parent is None else parent.find(_full_names(path))


@cache
def _full_names(path: str) -> str:
    return "/".join(qn(tag) for tag in path.split("/"))
