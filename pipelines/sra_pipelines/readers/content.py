"""Detect the format of a file from its bytes instead of its name, and limit the unpacked size of archives."""

from __future__ import annotations

import enum
import re
import zipfile
import zlib
from pathlib import Path

from sra_pipelines.readers.encoding import unmarked_utf16
from sra_pipelines.values import DocumentError

__all__ = ["MOST_UNPACKED", "Content", "content_of", "require_small"]

MOST_UNPACKED = 500_000_000  # bytes: a zip bomb unpacks to more, a real report or workbook to far less
_MOST_PARTS = 20_000
_HEAD = 65_536
_MOST_TYPES = 10_000_000  # bytes
_LONGEST_TYPE = 200  # bytes
_MAIN_TYPE = re.compile(rb"officedocument\.(\w+ml\.)(?:document|sheet|template|presentation|slideshow)\.main\+xml")
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")  # PNG, JPEG, TIFF


class Content(enum.Enum):
    """Kinds of content that can be distinguished by their bytes."""

    PDF = "a PDF file"
    IMAGE = "a picture"
    DOCX = "a Word file (DOCX)"
    XLSX = "an Excel file (XLSX)"
    PPTX = "a PowerPoint file (PPTX)"
    ODT = "an OpenDocument text (ODT)"
    ODS = "an OpenDocument spreadsheet (ODS)"
    EPUB = "an EPUB book"
    ENCRYPTED_OFFICE = "an encrypted Office file"
    OLD_OFFICE = "an old Office file (DOC, XLS or PPT)"
    ZIP = "some other archive (ZIP)"
    BINARY = "something else (no text)"
    TEXT = "text"


_TYPES = {
    b"application/vnd.oasis.opendocument.text": Content.ODT,
    b"application/vnd.oasis.opendocument.spreadsheet": Content.ODS,
    b"application/epub+zip": Content.EPUB,
}


def content_of(path: Path) -> Content:
    """Return the kind of content of a file, from its first bytes and, for an archive, from the names of its parts."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b"%PDF-" in head[:1024]:
        return Content.PDF
    if head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return Content.IMAGE
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        # The names of the streams, in UTF-16, are at an unknown offset of such a file.
        encrypted = "EncryptedPackage".encode("utf-16-le") in path.read_bytes()
        return Content.ENCRYPTED_OFFICE if encrypted else Content.OLD_OFFICE
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff")) or unmarked_utf16(head)  # UTF-16 contains zero bytes
    return Content.BINARY if b"\0" in head and not wide else Content.TEXT


def _archive(path: Path) -> Content:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            kind = _kind_of_package(archive, names)
            main = _main_type(archive) if "[Content_Types].xml" in names else b""
    except (zipfile.BadZipFile, OSError, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError):
        return Content.ZIP  # damaged; a name that is no UTF-8 is a ValueError
    if kind is not None:
        return kind
    if "ppt/presentation.xml" in names or b"presentationml." in main:
        return Content.PPTX
    if "word/document.xml" in names or b"wordprocessingml." in main:
        return Content.DOCX
    return Content.XLSX if "xl/workbook.xml" in names or b"spreadsheetml." in main else Content.ZIP


def _kind_of_package(archive: zipfile.ZipFile, names: set[str]) -> Content | None:
    """Return the kind of a file that states its type in a part of its own."""
    if "mimetype" not in names or archive.getinfo("mimetype").file_size > _LONGEST_TYPE:
        return None
    stated = archive.read("mimetype").strip().removesuffix(b"-template")
    return _TYPES.get(stated)


def _main_type(archive: zipfile.ZipFile) -> bytes:
    """Return the content type of the main part, whose name is free."""
    if archive.getinfo("[Content_Types].xml").file_size > _MOST_TYPES:
        return b""
    types = _MAIN_TYPE.search(archive.read("[Content_Types].xml"))
    return types[1] if types else b""


def require_small(path: Path) -> None:
    """Raise if an archive unpacks to more than `MOST_UNPACKED` bytes.

    The sizes are those stated in the archive; `zipfile` never unpacks more of a part than stated.

    Raises
    ------
    DocumentError
        If the archive is too large.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    size = sum(part.file_size for part in parts)
    if size > MOST_UNPACKED or len(parts) > _MOST_PARTS:
        raise DocumentError(
            f"{path}: the file unpacks to {size / 1e6:,.0f} MB in {len(parts):,} parts; at most "
            f"{MOST_UNPACKED / 1e6:,.0f} MB in {_MOST_PARTS:,} parts are accepted. Split it, or omit it if you do not "
            "trust its source."
        )
