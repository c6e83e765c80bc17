"""Reader for PDF files with PDFium: each table row is one line, and headings come from the outline if there is one.

Values of form fields, texts drawn as annotations, and comments are part of the text.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from sra_pipelines.readers.headings import plain_headings, without_running_heads
from sra_pipelines.readers.layout.annotations import Annotations, read_annotations
from sra_pipelines.readers.layout.hyphens import join_broken_words
from sra_pipelines.readers.layout.lines import HYPHEN, page_lines
from sra_pipelines.readers.pdf_integrity import damaged_parts, require_ends_of_parts
from sra_pipelines.readers.scans.scanned_pages import ScannedPages
from sra_pipelines.values import DocumentError, Heading, Page

__all__ = ["page_text", "read"]

# What PDFium returns for characters that it cannot map: NUL, the number of their shape in the font, or U+FFFD.
_UNKNOWN = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufffd]")
_LEAST_OUTLINE = 3  # entries; an outline with fewer is only a title
_XFA = "this is an XFA form, whose fields are not read; print it to PDF"


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a PDF file.

    Raises
    ------
    DocumentError
        If it is damaged or encrypted.
    """
    require_ends_of_parts(path)
    try:
        with pypdfium2.PdfDocument(path) as pdf:
            return _with_notice(_read(pdf, on_page), damaged_parts(path))
    except pypdfium2.PdfiumError as error:
        raise _unreadable(path, error) from error


def _with_notice(pages: list[Page], damaged: int) -> list[Page]:
    if not damaged or not pages:
        return pages
    parts = "1 part of the file is" if damaged == 1 else f"{damaged} parts of the file are"
    notice = f"{parts} damaged, so its text may be incomplete; get a new copy, or repair it with qpdf"
    return [dataclasses.replace(pages[0], notices=(notice, *pages[0].notices)), *pages[1:]]


def _read(pdf: pypdfium2.PdfDocument, on_page: Callable[[int, int], None] | None) -> list[Page]:
    outline: dict[int, list[str]] = {}
    for entry in pdf.get_toc():
        target = entry.get_dest()
        title = " ".join((entry.get_title() or "").split())
        if target is not None and target.get_index() is not None and title:
            outline.setdefault(target.get_index(), []).append(title)
    has_outline = sum(map(len, outline.values())) >= _LEAST_OUTLINE
    if pdf.get_formtype() != pdfium.FORMTYPE_NONE:
        pdf.init_forms()
    scans = ScannedPages()
    texts = []
    unknown: dict[int, int] = {}
    for index in range(len(pdf)):
        text = _text_of(pdf, index)
        if count := len(_UNKNOWN.findall(text)):
            unknown[index] = count
            text = _UNKNOWN.sub("", text)
        texts.append(scans.text_of(pdf, index, text.strip()))
        if on_page is not None:
            on_page(index + 1, len(pdf))
    pages = []
    for index, text in enumerate(join_broken_words(texts, HYPHEN)):
        headings = _outlined(text, outline.get(index, [])) if has_outline else plain_headings(text)
        notices = [_XFA] if index == 0 and pdf.get_formtype() == pdfium.FORMTYPE_XFA_FULL else []
        notices += [_unknown_characters(unknown[index])] if index in unknown else []
        label = scans.label_of(index, pdf.get_page_label(index) or str(index + 1))
        pages.append(Page(index, label, text, headings, (*notices, *scans.notices_of(index))))
    return pages if has_outline else without_running_heads(pages)


def _unknown_characters(count: int) -> str:
    are = "1 character is" if count == 1 else f"{count:,} characters are"
    return f"{are} left out, because their font does not state what they mean; print the file to PDF again, or scan it"


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
    """Return the text of the content of a page, see `page_lines`; without its fields and annotations."""
    return join_broken_words([_UNKNOWN.sub("", _lines_of(page)).strip()], HYPHEN)[0]


def _text_of(pdf: pypdfium2.PdfDocument, index: int) -> str:
    """Return the text of a page with its fields and annotations in their places, and its comments at the end."""
    page = pdf[index]
    try:
        if pdfium.FPDFPage_GetAnnotCount(page) == 0 or not (added := read_annotations(pdf, page)):
            return _lines_of(page)
        if added.values and pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS:
            page.close()
            page = pdf[index]  # the values, as a viewer shows them, are now in its content
        text = _lines_of(page, added) if added.values or added.ticks else _lines_of(page)
        return "\n".join([text.strip(), *(f"Comment: {comment}" for comment in added.comments)]).strip()
    finally:
        page.close()


def _lines_of(page: pypdfium2.PdfPage, added: Annotations | None = None) -> str:
    text_page = page.get_textpage()
    try:
        if added is None:
            return page_lines(text_page)
        # A field without an appearance is not drawn.
        missing = [run for run in added.values if not _has_words(text_page.get_text_bounded(*run.box))]
        return page_lines(text_page, [*added.ticks, *missing], [run.box for run in added.ticks])
    finally:
        text_page.close()


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))
