"""Reader for HTML files: visible text, each table row on one line, and page breaks from the style."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import lxml.etree
import lxml.html

from sra_pipelines.readers.tables import join_cells
from sra_pipelines.values import DocumentError, Heading, Page

__all__ = ["read"]

_INVISIBLE = {"script", "style", "head", "noscript", "template", "svg", "object", "iframe", "select", "button"}
_INLINE = {"a", "abbr", "b", "big", "cite", "code", "del", "em", "font", "i", "ins", "kbd", "label", "mark", "q", "s",
           "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"}  # fmt: skip
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BREAK = re.compile(r"(?:page-)?break-(before|after)\s*:\s*(?:always|page)", re.IGNORECASE)


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read an HTML file as one page, unless its style has page breaks, as in company filings."""
    data = path.read_bytes()
    try:
        data.decode("utf-8")
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = None  # the encoding that the file declares
    # lxml stops at a nesting depth of 256 without huge_tree and 2,048 with it, in both cases without an exception.
    parser = lxml.html.HTMLParser(encoding=encoding, huge_tree=True)
    root = lxml.html.document_fromstring(data, parser=parser)
    if root is None:
        raise DocumentError(f"{path}: the file contains no HTML. Get a new copy.")
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise DocumentError(f"{path}: its elements are nested too deeply. Print it to PDF.")
    writer = _Writer()
    for event, element in lxml.etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        writer.take(event, element)
    pages = writer.finish()
    if on_page is not None:
        on_page(len(pages), len(pages))
    return pages


def _is_hidden(element: lxml.html.HtmlElement) -> bool:
    style = element.get("style") or ""
    return element.tag in _INVISIBLE or element.get("hidden") is not None or bool(_HIDDEN.search(style))


class _Writer:
    """Collects lines, pages and headings while the elements are traversed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.headings: list[tuple[int, str]] = []  # line and text
        self.pages: list[tuple[list[str], list[tuple[int, str]]]] = []
        self.piece: list[str] = []
        self.cells: list[list[str]] = []  # cells of the open rows, the innermost row last
        self.hidden = 0
        self.preformatted = 0

    def take(self, event: str, element: lxml.html.HtmlElement) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            self.hidden += _is_hidden(element)
            if not self.hidden:
                self._open(tag, element.get("style") or "", element.text)
        else:
            if tag and event == "end":
                if not self.hidden:
                    self._close(tag, element.get("style") or "")
                else:
                    self.hidden -= _is_hidden(element)
            if not self.hidden and element.tail:
                self._add(element.tail)

    def _open(self, tag: str, style: str, text: str | None) -> None:
        breaking = _BREAK.search(style)
        if breaking and breaking[1].lower() == "before":
            self._end_page()
        if tag == "tr":
            self._end_line()
            self.cells.append([])
        elif tag in ("td", "th") and self.cells:
            self.piece = []
        elif tag not in _INLINE and tag not in ("td", "th"):
            self._end_line()
        if tag == "li":
            self.piece.append("- ")
        self.preformatted += tag == "pre"
        if text:
            self._add(text)

    def _close(self, tag: str, style: str) -> None:
        if tag in _HEADINGS and self.piece and not self.cells:
            self.headings.append((len(self.lines), " ".join("".join(self.piece).split())))
        if tag in ("td", "th") and self.cells:
            self.cells[-1].append("".join(self.piece))
            self.piece = []
        elif tag == "tr" and self.cells:
            row = join_cells(self.cells.pop())
            if self.cells:  # a nested table
                self.piece.append(f" {row} ")
            elif row:
                self.lines.append(row)
        elif tag not in _INLINE:
            self._end_line()
        self.preformatted -= tag == "pre"
        breaking = _BREAK.search(style)
        if breaking and breaking[1].lower() == "after":
            self._end_page()

    def _add(self, text: str) -> None:
        if self.preformatted and not self.cells:
            first, *others = text.split("\n")
            self.piece.append(first)
            for other in others:
                self._end_line()
                self.piece.append(other)
        else:
            self.piece.append(re.sub(r"\s+", " ", text))

    def _end_line(self) -> None:
        if self.cells:
            self.piece.append(" ")
            return
        text = "".join(self.piece)
        text = text.rstrip() if self.preformatted else " ".join(text.split())
        if text and text != "-":
            self.lines.append(text)
        self.piece = []

    def _end_page(self) -> None:
        if self.cells:
            return
        self._end_line()
        if self.lines:
            self.pages.append((self.lines, self.headings))
            self.lines, self.headings = [], []

    def finish(self) -> list[Page]:
        self.cells = []
        self._end_page()
        pages = []
        for index, (lines, headings) in enumerate(self.pages):
            starts = [0]
            for line in lines:
                starts.append(starts[-1] + len(line) + 1)
            marks = tuple(Heading(starts[line], text) for line, text in headings if text and line < len(lines))
            pages.append(Page(index, str(index + 1), "\n".join(lines), marks))
        return pages
