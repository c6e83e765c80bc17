"""Reader for PDF files with PDFium: each table row is one line, and headings come from the outline if there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pypdfium2

from sra_pipelines.readers.headings import plain_headings, without_running_heads
from sra_pipelines.values import DocumentError, Heading, Page

__all__ = ["page_text", "read"]

_LEAST_OUTLINE = 3  # entries; an outline with fewer is only a title

_SAME_LINE = 0.6  # in character heights


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a PDF file.

    Raises
    ------
    DocumentError
        If it is damaged or encrypted.
    """
    try:
        with pypdfium2.PdfDocument(path) as pdf:
            return _read(pdf, on_page)
    except pypdfium2.PdfiumError as error:
        raise _unreadable(path, error) from error


def _read(pdf: pypdfium2.PdfDocument, on_page: Callable[[int, int], None] | None) -> list[Page]:
    outline: dict[int, list[str]] = {}
    for entry in pdf.get_toc():
        target = entry.get_dest()
        title = " ".join((entry.get_title() or "").split())
        if target is not None and target.get_index() is not None and title:
            outline.setdefault(target.get_index(), []).append(title)
    has_outline = sum(map(len, outline.values())) >= _LEAST_OUTLINE
    pages = []
    for index in range(len(pdf)):
        page = pdf[index]
        text = page_text(page)
        page.close()
        headings = _outlined(text, outline.get(index, [])) if has_outline else plain_headings(text)
        pages.append(Page(index, pdf.get_page_label(index) or str(index + 1), text, headings))
        if on_page is not None:
            on_page(index + 1, len(pdf))
    return pages if has_outline else without_running_heads(pages)


def _outlined(text: str, titles: list[str]) -> tuple[Heading, ...]:
    """Find the titles of the outline on their page; a title that is not on the page is placed at its top."""
    lowered = text.lower()
    return tuple(sorted((Heading(max(0, lowered.find(t.lower())), t) for t in titles), key=lambda h: h.start))


def _unreadable(path: Path, error: pypdfium2.PdfiumError) -> DocumentError:
    if "password" in str(error).lower():
        return DocumentError(
            f"{path}: the file is encrypted. Save a copy without a password (for example: qpdf --decrypt "
            "--password=... in.pdf out.pdf)."
        )
    return DocumentError(f"{path}: the file is damaged and cannot be read. Get a new copy, or repair it with qpdf.")


def page_text(page: pypdfium2.PdfPage) -> str:
    """Return the text of a page. Lines at the same height are joined, so that a table row is one line."""
    text_page = page.get_textpage()
    try:
        text = text_page.get_text_range()
        if len(text) != text_page.count_chars():  # characters beyond 16 bits: positions are unknown
            return _clean(text)
        parts: list[str] = []
        end = 0
        start = 0
        while (position := text.find("\r\n", start)) >= 0:
            after = position + 2
            parts.append(text[end:position])
            joined = position > 0 and after < len(text) and _one_line(text_page, position - 1, after)
            parts.append(" " if joined else "\n")
            start = end = after
        parts.append(text[end:])
        return _clean("".join(parts))
    finally:
        text_page.close()


def _one_line(text_page: pypdfium2.PdfTextPage, last: int, first: int) -> bool:
    left = text_page.get_charbox(last, loose=True)
    right = text_page.get_charbox(first, loose=True)
    height = min(left[3] - left[1], right[3] - right[1])
    apart = abs((left[1] + left[3]) - (right[1] + right[3])) / 2
    return height > 0 and apart < _SAME_LINE * height and right[0] >= left[2] - height


def _clean(text: str) -> str:
    # PDFium marks a hyphen at the end of a line as U+FFFE, and unknown characters as NUL.
    return text.replace("\r\n", "\n").replace("\ufffe", "-").replace("\0", "").strip()
