"""The open elements of an HTML file: whether they are shown, in lines of their own, and on a new page."""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache

import lxml.html

__all__ = ["OpenElement", "Style", "opened_element"]

_INVISIBLE = {"script", "style", "head", "noscript", "template", "svg", "object", "iframe", "button", "datalist", "rp",
              "audio", "video", "canvas", "ix:header", "ix:hidden"}  # fmt: skip
# Any other element is inline, as in browsers: a tag of another vocabulary, such as inline XBRL, does not end a line.
_BLOCKS = {"address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog",
           "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frameset", "h1", "h2", "h3",
           "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li", "listing", "main", "menu", "nav", "ol",
           "p", "plaintext", "pre", "search", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
           "xmp"}  # fmt: skip
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_DISPLAY = re.compile(r"display\s*:\s*(inline|block|list-item|flex|grid)\b(?!-)", re.IGNORECASE)
_BREAK = re.compile(r"(?:page-)?break-(before|after)\s*:\s*(?:always|page)", re.IGNORECASE)
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
    """

    hidden: bool = False
    display: str | None = None
    page_break: str | None = None


def _style_of(text: str) -> Style:
    display, breaking = _DISPLAY.search(text), _BREAK.search(text)
    return Style(bool(_HIDDEN.search(text)), display and display[1].lower(), breaking and breaking[1].lower())


_NO_STYLE = Style()
_cached_style = lru_cache(maxsize=1_000)(_style_of)  # the elements of a filing share a few styles


@dataclasses.dataclass(slots=True)
class OpenElement:
    """An open element: its tag in lower case, its style, and whether it is not shown."""

    tag: str
    style: Style
    hidden: bool

    @property
    def is_block(self) -> bool:
        """Whether it is in lines of its own."""
        display = self.style.display
        return self.tag in _BLOCKS if display is None or self.tag in ("br", "tr", "table") else display != "inline"


def opened_element(element: lxml.html.HtmlElement) -> OpenElement:
    """Return what `PageWriter` needs to know of an element until its end."""
    tag = element.tag
    is_invisible = tag in _INVISIBLE
    tag = tag.lower() if isinstance(tag, str) else ""
    if not element.attrib:
        return OpenElement(tag, _NO_STYLE, is_invisible)
    text = element.get("style")
    style = _NO_STYLE
    if text:
        style = _cached_style(text) if len(text) <= _LONGEST_CACHED else _style_of(text)
    return OpenElement(tag, style, is_invisible or style.hidden or element.get("hidden") is not None)
