"""Whether the compressed parts of a PDF file are whole: PDFium reads what it can of a damaged one without an error."""

from __future__ import annotations

import mmap
import re
import zlib
from pathlib import Path

from sra_pipelines.values import DocumentError

__all__ = ["damaged_parts", "require_ends_of_parts"]

_STREAM = re.compile(rb">>\s{0,4}stream\r?\n")
_END = b"endstream"
_TABLE_PLACE = re.compile(rb"startxref\s+(\d{1,12})")
_TABLE = re.compile(rb"\s{0,4}(?:xref|\d+\s+\d+\s+obj)")
_COMPRESSED = re.compile(rb"/Filter\s*\[?\s*/(?:FlateDecode|Fl)\b")
_PICTURE = re.compile(rb"/Subtype\s*/Image\b")
_LONGEST_DICTIONARY = 2_000  # bytes
_BEGIN_OR_END = re.compile(rb"(end)?stream\b")
_MOST_SEARCHED = 10**10  # bytes, which PDFium searches in ten to twenty seconds
_PIECE = 1 << 20  # bytes that are unpacked at once


def damaged_parts(path: Path) -> int:
    """Return how many compressed parts of a PDF file cannot be unpacked, or have another checksum than is stated.

    Pictures are not looked at, nor are encrypted files, whose parts cannot be unpacked here.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.rfind(b"/Encrypt") >= 0:
            return 0
        damaged = int(not _has_table(data))
        place = 0
        while (match := _STREAM.search(data, place)) is not None:
            start = match.end()
            damaged += data.find(_END, place, start) >= 0  # the end of a part whose beginning is missing
            end = data.find(_END, start)
            if end < 0:
                break
            dictionary = data[max(place, match.start() - _LONGEST_DICTIONARY) : match.start()].rpartition(b" obj")[2]
            if _COMPRESSED.search(dictionary) and not _PICTURE.search(dictionary):
                damaged += not _is_whole(data, start, end)
            place = end + len(_END)
        return damaged + (data.find(_END, place) >= 0)


def require_ends_of_parts(path: Path) -> None:
    """Raise if PDFium would search for the ends of parts for minutes.

    It finds the objects of a file without a table by their beginnings, and for each part without an end it searches the
    rest of the file.

    Raises
    ------
    DocumentError
        If the file has no table of its objects, and very many of its parts have no end.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if _has_table(data):
            return
        ends = [match[1] is not None for match in _BEGIN_OR_END.finditer(data)]
        missing = len(ends) - 2 * sum(ends)
        if missing * len(data) > _MOST_SEARCHED:
            raise DocumentError(
                f"{path}: the file is damaged: {missing:,} of its parts have no end. Get a new copy, or repair it "
                "with qpdf."
            )


def _has_table(data: mmap.mmap) -> bool:
    """Return whether the table of the objects is where the end of the file states."""
    stated = _TABLE_PLACE.search(data, max(0, data.rfind(b"startxref")))
    if stated is None:
        return False
    place = int(stated[1]) + max(0, data.find(b"%PDF-", 0, 1024))
    return place < len(data) and _TABLE.match(data, place) is not None


def _is_whole(data: mmap.mmap, start: int, end: int) -> bool:
    unpacking = zlib.decompressobj()
    try:
        for place in range(start, end, _PIECE):
            piece = data[place : min(end, place + _PIECE)]
            while piece and not unpacking.eof:
                unpacking.decompress(piece, _PIECE)
                piece = unpacking.unconsumed_tail
    except zlib.error:
        return False
    return unpacking.eof
