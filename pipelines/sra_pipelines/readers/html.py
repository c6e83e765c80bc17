"""Reader for HTML files: the text that a browser shows, with values of form controls and table rows as lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import lxml.etree
import lxml.html

from sra_pipelines.readers.encoding import decode_html
from sra_pipelines.readers.web.page_writer import PageWriter
from sra_pipelines.readers.web.style_sheets import StyleSheets
from sra_pipelines.values import DocumentError, Page

__all__ = ["html_pages", "read"]


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read an HTML file as one page, unless its style has page breaks, as in company filings."""
    pages = html_pages(_text(path), path)
    if on_page is not None:
        on_page(len(pages), len(pages))
    return pages


def _text(path: Path) -> str:
    try:
        return decode_html(path.read_bytes())
    except DocumentError as problem:
        raise DocumentError(f"{path}: {problem}") from None


def html_pages(text: str, path: Path, styles: Sequence[str] = ()) -> list[Page]:
    """Return the pages of an HTML text.

    Parameters
    ----------
    text
        The HTML.
    path
        The file that contains it, for error messages.
    styles
        Style sheets in files of their own.

    Raises
    ------
    DocumentError
        If it contains no HTML, or elements that are nested too deeply.
    """
    # lxml stops at a nesting depth of 256 without huge_tree and 2,048 with it, in both cases without an exception.
    # Its elements have no methods of lxml.html, whose Python classes are looked up for each element.
    parser = lxml.etree.HTMLParser(encoding="utf-8", huge_tree=True)
    root = lxml.html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    if root is None:
        raise DocumentError(f"{path}: the file contains no HTML. Get a new copy.")
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise DocumentError(f"{path}: its elements are nested too deeply. Print it to PDF.")
    own = [element.text or "" for element in root.iter("style") if element.get("media", "all") != "print"]
    sheets = StyleSheets([*styles, *own])
    writer = PageWriter(sheets if sheets else None)
    for event, element in lxml.etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        if event == "start":
            writer.start(element)
        else:
            writer.end(event, element)
    return writer.finish()
