"""How much a file from somebody else may hold. Checked in the process that reads it, before its text is extracted.

One's own files have no such limits: `sra-rag index add` reads a report of 10,000 pages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sra_pipelines.readers.archive_limits import require_tame_archive
from sra_pipelines.readers.content import Content, content_of
from sra_pipelines.values import Document, DocumentError
from sra_rag.errors import ConfigError

__all__ = ["ReadingLimits", "limited_memory", "require_extracted_within", "require_within"]

_SEPARATORS = (b",", b";", b"\t", b"|")


@dataclasses.dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Limits on one file.

    Parameters
    ----------
    max_pages
        Of a PDF, and of what any other file is divided into.
    max_rows, max_cells
        Of a table or workbook; empty cells before the last of a row count.
    max_unpacked_bytes
        That a DOCX or XLSX file may unpack to, archives in it included.
    max_ratio
        Of unpacked to packed bytes, where a file unpacks to more than 10 MB.
    max_characters
        Of text that is extracted: all of it is embedded.
    max_seconds
        For reading; the process that reads is ended then.
    max_memory_bytes
        That reading may take, where the system can limit it (Linux).

    Raises
    ------
    ConfigError
        If one of them is not above 0.
    """

    max_pages: int = 2_000
    max_rows: int = 100_000
    max_cells: int = 2_000_000
    max_unpacked_bytes: int = 100_000_000
    max_ratio: int = 200
    max_characters: int = 10_000_000
    max_seconds: float = 60.0
    max_memory_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) <= 0:
                raise ConfigError(f"{field.name}={getattr(self, field.name)!r} is not allowed: it must be above 0.")


def require_within(path: Path, limits: ReadingLimits) -> None:
    """Refuse a file that holds too much, from what can be told without reading it.

    Raises
    ------
    DocumentError
        If it does, or if it is an Office file with macros.
    """
    content = content_of(path)
    if content is Content.PDF:
        _require_few_pages(path, _pdf_pages(path), limits)
    elif content in (Content.DOCX, Content.XLSX, Content.ZIP):
        rows, cells = require_tame_archive(path, limits.max_unpacked_bytes, limits.max_ratio)
        _require_small_table(path, rows, cells, limits)
    elif path.suffix.lower() in (".csv", ".tsv"):
        data = path.read_bytes()
        rows = data.count(b"\n") + 1
        _require_small_table(path, rows, rows + max(map(data.count, _SEPARATORS)), limits)


def require_extracted_within(document: Document, limits: ReadingLimits) -> None:
    """Refuse a document with more text than is allowed.

    Raises
    ------
    DocumentError
        If it has.
    """
    _require_few_pages(document.path, len(document.pages), limits)
    characters = sum(len(page.text) for page in document.pages)
    if characters > limits.max_characters:
        raise DocumentError(
            f"{document.path}: the file holds {characters:,} characters of text; at most {limits.max_characters:,} "
            "are taken. Split it."
        )


@contextmanager
def limited_memory(limits: ReadingLimits) -> Iterator[None]:
    """Let this process take no more memory than is allowed while the block lasts; a MemoryError says so."""
    statm = Path("/proc/self/statm")
    if not statm.exists():  # only Linux tells what is in use already
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

    try:
        with pypdfium2.PdfDocument(path) as pdf:
            return len(pdf)
    except pypdfium2.PdfiumError:
        return 0  # damaged or encrypted: the reader says which


def _require_few_pages(path: Path, pages: int, limits: ReadingLimits) -> None:
    if pages > limits.max_pages:
        raise DocumentError(
            f"{path}: the file has {pages:,} pages; at most {limits.max_pages:,} are taken. Split it, or ask whoever "
            "runs the server to add it with `sra-rag index add`, which has no such limit."
        )


def _require_small_table(path: Path, rows: int, cells: int, limits: ReadingLimits) -> None:
    if rows > limits.max_rows or cells > limits.max_cells:
        raise DocumentError(
            f"{path}: the file has {rows:,} rows with about {cells:,} cells; at most {limits.max_rows:,} rows and "
            f"{limits.max_cells:,} cells are taken. Leave out what is not asked about, or split it."
        )
