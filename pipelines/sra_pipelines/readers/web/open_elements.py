"""The open elements of an HTML file: whether they are shown, in lines of their own, and on a new page."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import lru_cache

from lxml import etree

from sra_pipelines.readers.web.style_sheets import StyleSheets

__all__ = ["PARTS", "OpenElement", "Style", "opened_element"]

_INVISIBLE = {"script", "style", "head", "noscript", "template", "object", "iframe", "button", "datalist", "rp",
              "audio", "video", "canvas", "ix:header", "ix:hidden",
              "defs", "desc", "metadata", "symbol"}  # fmt: skip  # the last ones are of drawings
# Any other element is inline, as in browsers: a tag of another vocabulary, such as inline XBRL, does not end a line.
_BLOCKS = {"address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog",
           "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frameset", "h1", "h2", "h3",
           "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li", "listing", "main", "menu", "nav", "ol",
           "p", "plaintext", "pre", "search", "section", "summary", "table", "tbody", "text", "tfoot", "thead", "tr",
           "tspan", "ul", "xmp"}  # fmt: skip
PARTS = {"tr", "td", "th", "thead", "tfoot"}
"""Parts of a table."""
_DECLARATION = re.compile(r"([\w-]+)\s*:\s*([^;]+)")
_BOXES = {"inline", "block", "list-item", "flex", "grid"}
_LENGTH = re.compile(r"([-+]?)(?:\d+\.?\d*|\.\d+)(?:[a-z]+|%)?")
_ZERO = re.compile(r"[-+]?(?:0+\.?0*|\.0+)(?:[a-z]+|%)?")
# Elements within lines that `PageWriter` treats otherwise than text.
_WHOLE = {"math", "input", "select", "textarea", "meter", "progress"}
_SPECIAL = {"td", "th", "q", "rt", *_WHOLE}
_SOMETIMES_HIDDEN = {"dialog", "title"}
_SCRIPTS = {"sup": "sup", "sub": "sub", "del": "struck", "s": "struck", "strike": "struck"}
_LISTS = {
    "lower-alpha": "a",
    "lower-latin": "a",
    "upper-alpha": "A",
    "upper-latin": "A",
    "lower-roman": "i",
    "upper-roman": "I",
    "decimal": "1",
    "none": "none",
}
_NOT_SCRIPTS = {"td", "th", "img", "tr", "input"}  # where the alignment is that of a whole cell or picture
_LONGEST_CACHED = 500  # characters of a style; longer ones of a manipulated file would stay in memory


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """What the ``style`` of an element states.

    Parameters
    ----------
    hidden
        Whether the element is not shown.
    display
        Its kind of box in lower case; None if not stated.
    page_break
        ``"before"`` or ``"after"`` if a page starts there; otherwise None.
    script
        ``"sup"``, ``"sub"`` or ``"struck"`` for raised, lowered or struck text; otherwise empty.
    numbering
        How the items of a list are numbered, as in the ``type`` of an ``ol`` element; ``"none"`` for no mark, and empty
        if not stated.
    """

    hidden: bool = False
    display: str | None = None
    page_break: str | None = None
    script: str = ""
    numbering: str = ""


def _style_of(text: str) -> Style:
    stated = {match[1]: match[2].split("!")[0].strip() for match in _DECLARATION.finditer(text.lower())}
    box = stated.get("display", "")
    breaking = next(
        (
            where
            for where in ("before", "after")
            for name in (f"page-break-{where}", f"break-{where}")
            if stated.get(name) in ("always", "page")
        ),
        None,
    )
    return Style(
        hidden=box == "none" or stated.get("visibility") in ("hidden", "collapse"),
        display=box if box in _BOXES else None,
        page_break=breaking,
        script=_script(stated),
        numbering=_numbering(f"{stated.get('list-style-type', '')} {stated.get('list-style', '')}"),
    )


def _numbering(stated: str) -> str:
    return next((_LISTS[word] for word in stated.split() if word in _LISTS), "")


def _script(stated: Mapping[str, str]) -> str:
    if "line-through" in stated.get("text-decoration", "") + stated.get("text-decoration-line", ""):
        return "struck"
    align = stated.get("vertical-align", "")
    if align in ("top", "text-top") and "font-size" in stated and stated.get("display", "inline") == "inline":
        return "sup"
    if align in ("super", "sub"):
        return "sup" if align == "super" else "sub"
    raised = _sign(align)
    if not raised and stated.get("position") == "relative":
        raised = -_sign(stated.get("top", "")) or _sign(stated.get("bottom", ""))
    return {1: "sup", -1: "sub"}.get(raised, "")


def _sign(length: str) -> int:
    """Return 1 or -1 for a length above or below 0, and 0 for anything else."""
    match = _LENGTH.fullmatch(length)
    if match is None or _ZERO.fullmatch(length):
        return 0
    return -1 if match[1] == "-" else 1


@dataclasses.dataclass(frozen=True, slots=True)
class OpenElement:
    """What is needed to know of an open element.

    Parameters
    ----------
    tag
        Its tag in lower case.
    style
        Its style.
    hidden
        Whether it is not shown.
    is_block
        Whether it is in lines of its own.
    script
        ``"sup"``, ``"sub"`` or ``"struck"`` if it is raised, lowered or struck; otherwise empty.
    is_whole
        Whether its text is taken as a whole, as that of a form control.
    is_plain
        Whether it only contains text within a line.
    is_part
        Whether it is a part of a table, which does not start or end a page.
    """

    tag: str
    style: Style
    hidden: bool
    is_block: bool
    script: str
    is_whole: bool
    is_plain: bool
    is_part: bool


def opened_element(element: etree._Element, sheets: StyleSheets | None) -> OpenElement:
    """Return what `PageWriter` needs to know of an element until its end.

    Parameters
    ----------
    element
        The element.
    sheets
        The style sheets of the file; None if they have no rules that matter.
    """
    tag = element.tag
    if not isinstance(tag, str):
        return _NO_ELEMENT  # a comment
    text = element.get("style") or ""
    if sheets is not None:
        text = f"{sheets.style(tag.lower(), element.get('class') or '', element.get('id') or '')};{text}"
    is_hidden = element.get("hidden") is not None or (tag in _SOMETIMES_HIDDEN and _is_hidden(tag, element))
    return (_cached_element if len(text) <= _LONGEST_CACHED else _element)(tag, text, is_hidden)


def _is_hidden(tag: str, element: etree._Element) -> bool:
    """Return whether an element is a dialog that is not open, or the title of a drawing."""
    if tag == "dialog":
        return element.get("open") is None
    return next(element.iterancestors("svg"), None) is not None


def _element(tag: str, text: str, is_hidden: bool) -> OpenElement:
    hidden = is_hidden or tag in _INVISIBLE
    tag = tag.lower()
    style = _style_of(text) if text else Style()
    display = style.display
    is_block = tag in _BLOCKS if display is None or tag in ("br", "tr", "table") else display != "inline"
    script = _SCRIPTS.get(tag) or ("" if is_block or tag in _NOT_SCRIPTS else style.script)
    is_plain = not (is_block or script or style.page_break or tag in _SPECIAL)
    is_part = tag in PARTS and style.page_break is None
    return OpenElement(tag, style, hidden or style.hidden, is_block, script, tag in _WHOLE, is_plain, is_part)


_NO_ELEMENT = _element("", "", False)
_cached_element = lru_cache(maxsize=1_000)(_element)  # the elements of a filing share a few styles
