"""Readers, one module per format. They return the text page by page, with headings if the format marks them.

A reader takes a path and a progress callback and returns pages. It may raise any exception for a damaged file:
`read_pages` converts it to a `DocumentError`.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from sra_pipelines.readers.content import Content, content_of
from sra_pipelines.readers.encoded_data import without_encoded_data
from sra_pipelines.readers.scans.installed import is_installed
from sra_pipelines.unicode_forms import composed
from sra_pipelines.values import Document, DocumentError, Heading, Page
from sra_rag.generation.text import well_formed

__all__ = ["CONVERT", "FORMATS", "Format", "known_names", "read_document", "read_pages", "where_to_look"]

OnPage = Callable[[int, int], None] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """A supported format.

    Parameters
    ----------
    name
        Name of the format for users.
    module
        Module of this package with its ``read`` function; imported for the first document of this format.
    content
        Kind of content that files of this format have.
    """

    name: str
    module: str
    content: Content


_PDF = Format("PDF", "pdf", Content.PDF)
_DOCX = Format("Word (DOCX)", "docx", Content.DOCX)
_XLSX = Format("Excel (XLSX)", "xlsx", Content.XLSX)
_PPTX = Format("PowerPoint (PPTX)", "office", Content.PPTX)
_OLD_OFFICE = Format("Office before 2007 (DOC, XLS, PPT)", "office", Content.OLD_OFFICE)
_ODT = Format("OpenDocument text (ODT)", "opendocument.open_document", Content.ODT)
_ODS = Format("OpenDocument spreadsheet (ODS)", "opendocument.open_document", Content.ODS)
_EPUB = Format("EPUB", "web.epub", Content.EPUB)
_EML = Format("e-mail (EML)", "web.eml", Content.TEXT)
_HTML = Format("HTML", "html", Content.TEXT)
_MARKDOWN = Format("Markdown", "markdown", Content.TEXT)
_TEXT = Format("text", "txt", Content.TEXT)
_CSV = Format("CSV", "csv", Content.TEXT)

FORMATS: dict[str, Format] = {
    ".pdf": _PDF,
    ".docx": _DOCX,
    ".dotx": _DOCX,
    ".xlsx": _XLSX,
    ".xltx": _XLSX,
    ".pptx": _PPTX,
    ".potx": _PPTX,
    ".ppsx": _PPTX,
    ".doc": _OLD_OFFICE,
    ".xls": _OLD_OFFICE,
    ".ppt": _OLD_OFFICE,
    ".odt": _ODT,
    ".ods": _ODS,
    ".epub": _EPUB,
    ".eml": _EML,
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
_IMAGE = Format("picture (PNG, JPEG, TIFF, WebP)", "scans.image_files", Content.IMAGE)
_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
if is_installed():  # without the extra, the pictures in a folder are no documents
    FORMATS |= dict.fromkeys(_IMAGES, _IMAGE)
_BY_CONTENT = {known.content: known for known in (_PDF, _DOCX, _XLSX, _PPTX, _ODT, _ODS, _EPUB)}
CONVERT = {
    ".docm": "Files with macros are not opened: save it as DOCX.",
    ".dotm": "Files with macros are not opened: save it as DOCX.",
    ".xlsb": "Save it as XLSX.",
    ".xltm": "Files with macros are not opened: save it as XLSX.",
    ".xlsm": "Files with macros are not opened: save it as XLSX.",
    ".rtf": "Save it as DOCX.",
    ".pptm": "Files with macros are not opened: save it as PPTX.",
    ".odp": "Save it as PPTX.",
}


_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_OCR = "Install what recognizes it (pip install 'sra-rag[ocr]'),"


def known_names() -> str:
    """Return the names of all formats, for a message."""
    names = list(dict.fromkeys(known.name for known in FORMATS.values()))
    return f"{', '.join(names[:-1])} or {names[-1]}"


def read_document(path: Path, on_page: OnPage = None) -> Document:
    """Read a file of any of the formats.

    Parameters
    ----------
    path
        The file.
    on_page
        Called with the number of pages read so far and the total number, for a progress bar.

    Raises
    ------
    DocumentError
        If the file is missing, empty, damaged, encrypted, too large when unpacked, without text (scanned), or if its
        format does not match its name.
    """
    return Document(path, tuple(read_pages(path, on_page)))


def read_pages(path: Path, on_page: OnPage = None) -> list[Page]:
    """Read the pages of a file; any failure raises `DocumentError`."""
    known = _format_of(path)
    try:
        pages = list(importlib.import_module(f"{__name__}.{known.module}").read(path, on_page))
    except DocumentError:
        raise
    except Exception as error:  # a library may raise any exception for a damaged or manipulated file
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise DocumentError(
            f"{path}: the file is damaged and cannot be read as {known.name} ({reason}). Get a new copy, or open it in "
            "its application, repair it and save a copy."
        ) from error
    _require_text(path, known, pages)
    return [_cleaned(page) for page in pages]


def _cleaned(page: Page) -> Page:
    """Bring the text of a page to one Unicode form, and leave out encoded data."""
    text, notices = without_encoded_data(_encodable(page.text))
    label = _encodable(page.label)
    if (text, label) == (page.text, page.label):
        return page
    headings = tuple(
        Heading(len(without_encoded_data(_encodable(page.text[: heading.start]))[0]), _encodable(heading.text))
        for heading in page.headings
    )
    return dataclasses.replace(
        page, label=label, text=text, headings=headings, notices=(*map(well_formed, page.notices), *notices)
    )


def _encodable(text: str) -> str:
    """Return composed text that can be stored: some encodings and escapes yield halves of surrogate pairs."""
    return composed(well_formed(text))


def _require_text(path: Path, known: Format, pages: Sequence[Page]) -> None:
    if not pages:
        raise DocumentError(f"{path}: the file has no pages. Get a new copy.")
    if any(page.text for page in pages):
        return
    if known is _IMAGE:
        return  # a logo beside the documents is no failure
    if known is _PDF:
        raise DocumentError(
            f"{path}: none of the {len(pages)} page(s) contains text; the file is probably scanned. "
            f"{_OCR} or run text recognition first (for example: ocrmypdf in.pdf out.pdf)."
        )
    raise DocumentError(f"{path}: the file contains no text. Omit it, or get a new copy.")


def _format_of(path: Path) -> Format:
    if not path.is_file():
        if path.is_dir():
            raise DocumentError(f"{path}: this is a folder. Give one of the files in it.")
        if path.exists():
            raise DocumentError(f"{path}: this is a device or a pipe. Save its contents to a file, and give that.")
        raise DocumentError(f"{path}: there is no such file. {where_to_look(path)}")
    try:
        if path.stat().st_size == 0:
            raise DocumentError(f"{path}: the file is empty (0 bytes). Get a new copy.")
        content = content_of(path)
    except OSError as error:
        raise DocumentError(f"{path}: the file cannot be opened ({error.strerror}). Check its permissions.") from error
    suffix = path.suffix.lower()
    known = FORMATS.get(suffix)
    if content is Content.ENCRYPTED_OFFICE:
        raise DocumentError(f"{path}: the file is encrypted. Open it, remove the password and save a copy.")
    if known is None:
        if content not in _BY_CONTENT or suffix in CONVERT:
            reason = (
                f"the file type {suffix!r} is not supported" if suffix else "a file without a suffix is not supported"
            )
            raise DocumentError(f"{path}: {reason}. {_next_step(suffix)} Supported: {known_names()}.")
        return _BY_CONTENT[content]
    if content is not known.content:
        raise DocumentError(
            f"{path}: this is not a {known.name} file, as its suffix indicates, but {content.value}. "
            f"{'Rename it, or' if content in _BY_CONTENT else 'Get a new copy, or'} convert the file."
        )
    return known


def where_to_look(path: Path) -> str:
    """Return what to do about a path that does not exist."""
    if {"http:", "https:"} & set(path.parts):
        return "Documents are not downloaded: save the page or file, and give the path of the copy."
    return "Check the path."


def _next_step(suffix: str) -> str:
    if suffix in _ARCHIVES:
        return "Unpack it, and give the folder."
    if suffix in _IMAGES:
        return f"{_OCR} or convert it."
    return CONVERT.get(suffix, "Convert it.")
