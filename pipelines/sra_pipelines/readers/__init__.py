"""One file for each format: text page by page, with the headings that the format tells.

A reader takes a path and a progress callback and returns pages. It may raise anything on a bad file: `read_pages` turns
that into one `DocumentError`.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from sra_pipelines.readers.content import Content, content_of
from sra_pipelines.values import Document, DocumentError, Page

__all__ = ["CONVERT", "FORMATS", "Format", "known_names", "read_document", "read_pages"]

OnPage = Callable[[int, int], None] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """A format that is read.

    Parameters
    ----------
    name
        What people call it.
    module
        The file of this package with its ``read``; it is imported when the first such document comes.
    content
        What the bytes of such a file are.
    """

    name: str
    module: str
    content: Content


_PDF = Format("PDF", "pdf", Content.PDF)
_DOCX = Format("Word (DOCX)", "docx", Content.DOCX)
_XLSX = Format("Excel (XLSX)", "xlsx", Content.XLSX)
_HTML = Format("HTML", "html", Content.TEXT)
_MARKDOWN = Format("Markdown", "markdown", Content.TEXT)
_TEXT = Format("text", "txt", Content.TEXT)
_CSV = Format("CSV", "csv", Content.TEXT)

FORMATS: dict[str, Format] = {
    ".pdf": _PDF,
    ".docx": _DOCX,
    ".xlsx": _XLSX,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".txt": _TEXT,
    ".text": _TEXT,
    ".csv": _CSV,
    ".tsv": _CSV,
}
_BY_CONTENT = {Content.PDF: _PDF, Content.DOCX: _DOCX, Content.XLSX: _XLSX}
CONVERT = {
    ".doc": "Save it as DOCX.",
    ".docm": "Files with macros are not opened: save it as DOCX.",
    ".xls": "Save it as XLSX.",
    ".xlsm": "Files with macros are not opened: save it as XLSX.",
    ".rtf": "Save it as DOCX.",
    ".odt": "Save it as DOCX.",
    ".ods": "Save it as XLSX.",
    ".pptx": "Print it to PDF.",
    ".ppt": "Print it to PDF.",
}


def known_names() -> str:
    """Name all formats, for a message."""
    names = list(dict.fromkeys(known.name for known in FORMATS.values()))
    return f"{', '.join(names[:-1])} or {names[-1]}"


def read_document(path: Path, on_page: OnPage = None) -> Document:
    """Read a file of any of the formats.

    Parameters
    ----------
    path
        The file.
    on_page
        Called with pages read and pages in all, for a progress bar.

    Raises
    ------
    DocumentError
        If the file is missing, empty, of another format than its name says, damaged, encrypted, too large when
        unpacked, or without any text (scanned).
    """
    return Document(path, tuple(read_pages(path, on_page)))


def read_pages(path: Path, on_page: OnPage = None) -> list[Page]:
    """Read a file's pages, or raise one `DocumentError`."""
    known = _format_of(path)
    try:
        pages = list(importlib.import_module(f"{__name__}.{known.module}").read(path, on_page))
    except DocumentError:
        raise
    except Exception as error:  # a library may raise anything on a file that somebody damaged or forged
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise DocumentError(
            f"{path}: the file is damaged and cannot be read as {known.name} ({reason}). Get it again, or open it in "
            "its own program, repair it and save a new copy."
        ) from error
    _require_text(path, known, pages)
    return pages


def _require_text(path: Path, known: Format, pages: Sequence[Page]) -> None:
    if not pages:
        raise DocumentError(f"{path}: the file has no pages. Get it again from where it came.")
    if any(page.text for page in pages):
        return
    if known is _PDF:
        raise DocumentError(
            f"{path}: none of the {len(pages)} page(s) holds text; it is probably scanned. "
            "Run text recognition on it first (for example: ocrmypdf in.pdf out.pdf)."
        )
    raise DocumentError(f"{path}: the file holds no text. Leave it out, or get it again from where it came.")


def _format_of(path: Path) -> Format:
    if not path.is_file():
        raise DocumentError(f"{path}: there is no such file. Check the path.")
    try:
        if path.stat().st_size == 0:
            raise DocumentError(f"{path}: the file is empty (0 bytes). Get it again from where it came.")
        content = content_of(path)
    except OSError as error:
        raise DocumentError(f"{path}: the file cannot be opened ({error.strerror}). Check its permissions.") from error
    suffix = path.suffix.lower()
    known = FORMATS.get(suffix)
    if content is Content.ENCRYPTED_OFFICE:
        raise DocumentError(f"{path}: the file is encrypted. Open it, take the password off and save a copy.")
    if known is None:
        if content not in _BY_CONTENT or suffix in CONVERT:
            what = f"files of the type {suffix!r} are not read" if suffix else "a file without a suffix is not read"
            raise DocumentError(f"{path}: {what}. {CONVERT.get(suffix, 'Convert it.')} Read are {known_names()}.")
        return _BY_CONTENT[content]
    if content is not known.content:
        raise DocumentError(
            f"{path}: this is not a {known.name} file, as its name says, but {content.value}. "
            f"{'Rename it to what it is, or' if content in _BY_CONTENT else 'Get it again, or'} convert it."
        )
    return known
