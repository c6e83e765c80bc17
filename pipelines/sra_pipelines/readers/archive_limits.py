"""Checks of untrusted Office files before they are read: zip bombs, macros, and the sizes of tables."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

from sra_pipelines.values import DocumentError

__all__ = ["require_tame_archive"]

_RATIO_MATTERS = 10_000_000  # bytes; small files with a high compression ratio are harmless
_MOST_PARTS = 20_000
_DEEPEST = 2  # a workbook in a Word file has depth 1
_CHUNK = 1 << 20
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_ROW_OR_CELL = re.compile(rb"<(?:\w+:)?(?:(row)|c)\b([^<>]*)>")
_PLACE = re.compile(rb"\br\s*=\s*[\"']([A-Z]{0,3})(\d{0,7})[\"']")


def require_tame_archive(path: Path, max_unpacked: int, max_ratio: int) -> tuple[int, int]:
    """Raise if an archive is too large when unpacked or contains macros.

    Parameters
    ----------
    path
        Path of a ZIP file.
    max_unpacked
        Maximum total size of all parts in bytes, including the parts of nested archives.
    max_ratio
        Maximum ratio of unpacked to packed bytes.

    Returns
    -------
    tuple
        Number of rows and cells of the worksheets.

    Raises
    ------
    DocumentError
        If the archive is too large, contains macros, or is damaged.
    """
    try:
        unpacked, parts = _measure(path.open("rb"), max_unpacked, 0)
        ratio = unpacked / max(1, path.stat().st_size)
        if parts > _MOST_PARTS or unpacked > max_unpacked or (unpacked > _RATIO_MATTERS and ratio > max_ratio):
            raise DocumentError(
                f"{path}: the file unpacks to {unpacked / 1e6:,.0f} MB, {ratio:,.0f} times its size, in {parts:,} "
                f"parts; at most {max_unpacked / 1e6:,.0f} MB, {max_ratio:,} times the size and {_MOST_PARTS:,} parts "
                "are accepted. Split it, or print it to PDF."
            )
        with zipfile.ZipFile(path) as archive:
            if _has_macros(archive):
                raise DocumentError(
                    f"{path}: the file contains macros, which are not accepted. Save it without macros, as DOCX or "
                    "XLSX."
                )
            sheets = [name for name in archive.namelist() if _SHEET.fullmatch(name)]
            sizes = [_table_size(archive.open(name)) for name in sheets]
    except DocumentError as problem:
        raise DocumentError(str(problem) if str(path) in str(problem) else f"{path}: {problem}") from None
    except Exception as error:  # zipfile may raise any exception for a manipulated file
        raise DocumentError(
            f"{path}: the file is damaged and cannot be unpacked ({type(error).__name__}). Get a new copy, or open it "
            "in its application and save a copy."
        ) from error
    return sum(rows for rows, _ in sizes), sum(cells for _, cells in sizes)


def _measure(file: IO[bytes], most: int, depth: int) -> tuple[int, int]:
    """Return total size and number of parts, including nested archives; `zipfile` enforces the stated sizes."""
    if depth > _DEEPEST:
        raise DocumentError(f"it contains archives nested {depth} deep; at most {_DEEPEST} are accepted. Remove them.")
    with file, zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        unpacked, parts = sum(info.file_size for info in infos), len(infos)
        if unpacked > most or parts > _MOST_PARTS:
            return unpacked, parts
        for info in infos:
            with archive.open(info) as part:
                if part.read(4) == b"PK\x03\x04":
                    more = _measure(BytesIO(b"PK\x03\x04" + part.read()), most, depth + 1)
                    unpacked, parts = unpacked + more[0], parts + more[1]
    return unpacked, parts


def _has_macros(archive: zipfile.ZipFile) -> bool:
    names = archive.namelist()
    if any(
        name.lower().endswith(("vbaproject.bin", "vbadata.xml")) or "/macrosheets/" in name.lower() for name in names
    ):
        return True
    types = next((name for name in names if name.lower() == "[content_types].xml"), None)
    return types is not None and b"macroenabled" in archive.read(types).lower()


def _table_size(sheet: IO[bytes]) -> tuple[int, int]:
    """Count rows and cells of a worksheet, including omitted cells: 25 cells precede a cell in column Z."""
    rows = cells = width = 0
    for is_row, attributes in _rows_and_cells(sheet):
        place = _PLACE.search(attributes)
        if is_row:
            cells, width = cells + width, 0
            rows = max(rows + 1, int(place[2]) if place and place[2] else 0)
        else:
            width = max(width + 1, _column(place[1]) if place else 0)
    return rows, cells + width


def _rows_and_cells(sheet: IO[bytes]) -> Iterator[tuple[bool, bytes]]:
    rest = b""
    with sheet:
        while chunk := sheet.read(_CHUNK):
            text = rest + chunk
            end = text.rfind(b">") + 1
            for match in _ROW_OR_CELL.finditer(text, 0, end):
                yield match[1] is not None, match[2]
            rest = text[end:]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number
