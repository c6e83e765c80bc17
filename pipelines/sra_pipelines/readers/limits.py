"""Limits on untrusted files, checked in the reading process before text is extracted.

They do not apply to `sra-rag index add`, which reads for example a report of 10,000 pages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sra_pipelines.readers.archive_limits import require_tame_archive
from sra_pipelines.readers.content import Content, content_of
from sra_pipelines.readers.pdf_integrity import require_ends_of_parts
from sra_pipelines.values import Document, DocumentError
from sra_rag.errors import require_above_zero

__all__ = ["ReadingLimits", "limited_memory", "require_extracted_within", "require_few_passages", "require_within"]

_ARCHIVES = (Content.DOCX, Content.XLSX, Content.PPTX, Content.ODT, Content.ODS, Content.EPUB, Content.ZIP)
_SEPARATORS = (b",", b";", b"\t", b"|")


@dataclasses.dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Limits on one file.

    Parameters
    ----------
    max_pages
        Maximum number of pages of a document.
    max_rows, max_cells
        Maximum number of rows and cells of a table or workbook, including empty cells before the last cell of a row.
    max_unpacked_bytes
        Maximum unpacked size of a DOCX or XLSX file, including nested archives.
    max_ratio
        Maximum ratio of unpacked to packed bytes, for files that unpack to more than 10 MB.
    max_characters
        Maximum number of characters of extracted text, all of which is embedded.
    max_passages
        Maximum number of passages of a document, which are embedded in the process of the server.
    max_seconds
        Time limit for reading and splitting in seconds, after which the reading process is terminated.
    max_memory_bytes
        Maximum memory for reading and splitting in bytes, enforced on Linux.

    Raises
    ------
    ConfigError
        If a limit is not above 0.
    """

    max_pages: int = 2_000
    max_rows: int = 100_000
    max_cells: int = 2_000_000
    max_unpacked_bytes: int = 100_000_000
    max_ratio: int = 200
    max_characters: int = 10_000_000
    max_passages: int = 20_000
    max_seconds: float = 60.0
    max_memory_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        require_above_zero(self, [field.name for field in dataclasses.fields(self)])


def require_within(path: Path, limits: ReadingLimits) -> None:
    """Raise if a file exceeds limits that can be checked without reading its text.

    Raises
    ------
    DocumentError
        If the file exceeds a limit, or is an Office file with macros.
    """
    content = content_of(path)
    if content is Content.PDF:
        _require_few_pages(path, _pdf_pages(path), limits)
    elif content in _ARCHIVES:
        rows, cells = require_tame_archive(path, limits.max_unpacked_bytes, limits.max_ratio)
        _require_small_table(path, rows, cells, limits)
    elif path.suffix.lower() in (".csv", ".tsv"):
        data = path.read_bytes()
        rows = data.count(b"\n") + 1
        _require_small_table(path, rows, rows + max(map(data.count, _SEPARATORS)), limits)


def require_extracted_within(document: Document, limits: ReadingLimits) -> None:
    """Raise if a document has too many pages or too much text.

    Raises
    ------
    DocumentError
        If the document exceeds a limit.
    """
    _require_few_pages(document.path, len(document.pages), limits)
    characters = sum(len(page.text) for page in document.pages)
    if characters > limits.max_characters:
        raise DocumentError(
            f"{document.path}: the file has {characters:,} characters of text; at most {limits.max_characters:,} are "
            "accepted. Split it."
        )


def require_few_passages(path: Path, passages: int, limits: ReadingLimits) -> None:
    """Raise if a document has too many passages.

    Raises
    ------
    DocumentError
        If the document exceeds the limit.
    """
    if passages > limits.max_passages:
        raise DocumentError(
            f"{path}: the file has {passages:,} passages; at most {limits.max_passages:,} are accepted. Split it."
        )


@contextmanager
def limited_memory(limits: ReadingLimits) -> Iterator[None]:
    """Limit the memory of this process within the block; exceeding the limit raises MemoryError."""
    statm = Path("/proc/self/statm")
    if not statm.exists():  # the memory already in use is only known on Linux
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(statm.read_text().split()[0]) * resource.getpagesize() + limits.max_memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _pdf_pages(path: Path) -> int:
    import pypdfium2

    require_ends_of_parts(path)
    try:
        with pypdfium2.PdfDocument(path) as pdf:
            return len(pdf)
    except pypdfium2.PdfiumError:
        return 0  # damaged or encrypted: the reader raises a specific error


def _require_few_pages(path: Path, pages: int, limits: ReadingLimits) -> None:
    if pages > limits.max_pages:
        raise DocumentError(
            f"{path}: the file has {pages:,} pages; at most {limits.max_pages:,} are accepted. Split it, or ask the "
            "administrator of the server to add it with `sra-rag index add`, which has no such limit."
        )


def _require_small_table(path: Path, rows: int, cells: int, limits: ReadingLimits) -> None:
    if rows > limits.max_rows or cells > limits.max_cells:
        raise DocumentError(
            f"{path}: the file has {rows:,} rows with about {cells:,} cells; at most {limits.max_rows:,} rows and "
            f"{limits.max_cells:,} cells are accepted. Remove what is not needed, or split it."
        )
