"""Checks of Office files before 2007 (DOC, XLS, PPT): that their streams are complete and that they have no macros."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import olefile

from sra_pipelines.values import DocumentError

__all__ = ["checked_streams", "slide_tables"]

_MAIN_STREAMS = {"doc": ("WordDocument",), "xls": ("Workbook", "Book"), "ppt": ("PowerPoint Document",)}
_MACROS = {"macros", "_vba_project_cur", "vba", "_vba_project"}  # names of storages
_CONTAINER = 0xF  # in the header of a record of PowerPoint that consists of records
_MACROS_INFO, _SHAPE_PROPERTIES = 0x0400, (0xF00B, 0xF121, 0xF122)
_TABLE_PROPERTIES = 0x039F  # of a group of shapes that is a table
_DEEPEST = 40


def checked_streams(path: Path, kind: str) -> tuple[bytes, bytes]:
    """Return the bytes of a file and its main stream, after all streams were read to their stated lengths.

    Parameters
    ----------
    path
        The file.
    kind
        ``"doc"``, ``"xls"`` or ``"ppt"``.

    Raises
    ------
    DocumentError
        If it is another kind of file, or has macros.
    ValueError
        If it is not complete.
    """
    data = path.read_bytes()
    with olefile.OleFileIO(io.BytesIO(data), raise_defects=olefile.DEFECT_INCORRECT) as compound:
        name = next((name for name in _MAIN_STREAMS[kind] if compound.exists(name)), None)
        if name is None:
            raise DocumentError(f"{path}: this is not a {kind.upper()} file, as its suffix indicates. Rename it.")
        for stream in compound.listdir():
            if len(compound.openstream(stream).read()) != compound.get_size(stream):
                raise ValueError(f"the stream {'/'.join(stream)} is not complete")
        main = compound.openstream(name).read()
        storages = {part.lower() for entry in compound.listdir(streams=True, storages=True) for part in entry}
    if kind == "xls":
        _require_records(main)
    if storages & _MACROS or (kind == "ppt" and _has_slide_macros(main)):
        raise DocumentError(
            f"{path}: the file contains macros, which are not accepted. Save it without macros, as {kind.upper()}X."
        )
    return data, main


def _require_records(data: bytes) -> None:
    """Raise if the records of a workbook do not follow each other to its end."""
    place = depth = 0
    while place + 4 <= len(data):
        kind, length = struct.unpack_from("<HH", data, place)
        if not kind and not length:
            break  # padding
        depth += {0x0809: 1, 0x000A: -1}.get(kind, 0)  # beginning and end of a sheet
        place += 4 + length
    if depth or place > len(data):
        raise ValueError("its records are not complete")


def slide_tables(main: bytes) -> int:
    """Return the number of tables on the slides of a PPT file.

    Parameters
    ----------
    main
        Its main stream.
    """
    return sum(_is_table(content, count) for kind, count, content in _records(main) if kind in _SHAPE_PROPERTIES)


def _is_table(properties: bytes, count: int) -> bool:
    """Return whether properties of a shape state that it is a group of shapes for the cells of a table."""
    for place in range(0, min(len(properties), 6 * count) - 5, 6):
        code, value = struct.unpack_from("<HI", properties, place)
        if code & 0x3FFF == _TABLE_PROPERTIES and value & 1:
            return True
    return False


def _has_slide_macros(main: bytes) -> bool:
    return any(kind == _MACROS_INFO and any(content[4:8]) for kind, _, content in _records(main))


def _records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, instance and content of the records of a stream of PowerPoint that do not consist of records."""
    parts = [(0, len(data), 0)]
    while parts:
        place, end, depth = parts.pop()
        while place + 8 <= end:
            version, kind, length = struct.unpack_from("<HHI", data, place)
            content, place = place + 8, place + 8 + length
            if version & 0xF != _CONTAINER:
                yield kind, version >> 4, data[content : min(end, place)]
            elif depth < _DEEPEST:
                parts.append((content, min(end, place), depth + 1))
