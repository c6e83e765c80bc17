"""Read PDF files page by page, or say in one line why one cannot be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import pypdfium2

from sra_rag.errors import SRAError

__all__ = ["Document", "DocumentError", "Page", "find_documents", "read_document"]


class DocumentError(SRAError, ValueError):
    """A document cannot be read; the message names the file and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """One page of a document.

    Parameters
    ----------
    index
        Zero-based position in the file.
    label
        What a reader calls it: the label in the file where it has one, else ``index + 1``.
    text
        Empty for a page without text, such as a picture.
    """

    index: int
    label: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A document that was read.

    Parameters
    ----------
    path
        Where it lies.
    pages
        All of its pages, in order.
    """

    path: Path
    pages: tuple[Page, ...]

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    @property
    def empty_pages(self) -> tuple[str, ...]:
        """Labels of the pages that hold no text and so cannot be searched."""
        return tuple(page.label for page in self.pages if not page.text)


def find_documents(paths: Iterable[Path]) -> list[Path]:
    """Replace each folder by the PDF files in it and below, sorted; each file once."""
    found: dict[Path, None] = {}
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".pdf") if path.is_dir() else [path]
        if not files:
            raise DocumentError(f"{path}: the folder holds no PDF files. Name PDF files, or a folder with some.")
        found.update(dict.fromkeys(files))
    return list(found)


def read_document(path: Path, on_page: Callable[[int, int], None] | None = None) -> Document:
    """Read a PDF file.

    Parameters
    ----------
    path
        The file.
    on_page
        Called with pages read and pages in all, for a progress bar.

    Raises
    ------
    DocumentError
        If the file is missing, empty, no PDF, damaged, encrypted or without any text (scanned).
    """
    if not path.is_file():
        raise DocumentError(f"{path}: there is no such file. Check the path.")
    if path.stat().st_size == 0:
        raise DocumentError(f"{path}: the file is empty (0 bytes). Get it again from where it came.")
    with path.open("rb") as file:
        if b"%PDF-" not in file.read(1024):
            raise DocumentError(f"{path}: this is not a PDF file. Only PDF is read; print or convert it to PDF.")
    try:
        pdf = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise _unreadable(path, error) from error
    try:
        pages = tuple(_pages(pdf, on_page))
    except pypdfium2.PdfiumError as error:
        raise _unreadable(path, error) from error
    finally:
        pdf.close()
    if not pages:
        raise DocumentError(f"{path}: the file has no pages. Get it again from where it came.")
    if not any(page.text for page in pages):
        raise DocumentError(
            f"{path}: none of the {len(pages)} page(s) holds text; it is probably scanned. "
            "Run text recognition on it first (for example: ocrmypdf in.pdf out.pdf)."
        )
    return Document(path, pages)


def _pages(pdf: pypdfium2.PdfDocument, on_page: Callable[[int, int], None] | None) -> Iterable[Page]:
    for index in range(len(pdf)):
        page = pdf[index]
        text_page = page.get_textpage()
        text = text_page.get_text_bounded().replace("\r\n", "\n").replace("\ufffe", "-").strip()
        label = pdf.get_page_label(index) or str(index + 1)
        text_page.close()
        page.close()
        yield Page(index, label, text)
        if on_page is not None:
            on_page(index + 1, len(pdf))


def _unreadable(path: Path, error: pypdfium2.PdfiumError) -> DocumentError:
    if "password" in str(error).lower():
        return DocumentError(
            f"{path}: the file is encrypted. Save a copy without a password (for example: qpdf --decrypt "
            "--password=... in.pdf out.pdf)."
        )
    return DocumentError(f"{path}: the file is damaged and cannot be read. Get it again, or repair it with qpdf.")
