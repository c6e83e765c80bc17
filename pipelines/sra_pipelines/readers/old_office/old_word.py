"""Raised digits and hidden text of Word files before 2007 (DOC), which office-oxide takes for ordinary text.

They are replaced in the bytes of the file before office-oxide reads it: a raised 2 by ``²``, and hidden text by soft
hyphens, which all readers leave out. Structures have the names of [MS-DOC], sections 2.5.1 (Fib), 2.8.5 (PlcBteChpx),
2.8.35 (PlcPcd) and 2.9.33 (ChpxFkp).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping

import olefile

__all__ = ["has_automatic_numbers", "with_marks"]

_WORD, _WORD_97, _ENCRYPTED, _TABLE_FLAG = 0xA5EC, 0x00C1, 0x0100, 0x0200
# Places in the Fib of the offset and length of a part in the table stream.
_CLX, _CHARACTERS, _PARAGRAPHS, _STYLES = 0x01A2, 0x00FA, 0x0102, 0x00A2
_PAGE = 512  # bytes of a page of properties
_SIZES = (1, 1, 2, 4, 2, 2, -1, 3)  # bytes of an operand by the upper three bits of its code; -1: stated before it
_HIDDEN, _SCRIPT, _RAISED_BY, _LIST = 0x083C, 0x2A48, 0x4845, 0x460B  # codes of properties
_COMPRESSED = 0x40000000  # flag of a piece with one byte a character, in windows-1252
_FIRST_TEXT = 0x20  # lower characters are marks of paragraphs, cells and fields
_SOFT_HYPHEN = 0xAD
_RAISED = dict(zip(range(0x30, 0x3A), map(ord, "⁰¹²³⁴⁵⁶⁷⁸⁹"), strict=True))
# windows-1252 has three of these. For the others there are bytes that it does not define, which office-oxide returns
# unchanged, and rare signs, unless they are in the text.
_UNDEFINED, _RARE = (0x81, 0x8D, 0x8F, 0x90, 0x9D), (0xA4, 0xA6, 0xA8, 0xAF, 0xB8)

Run = tuple[int, int, Mapping[int, bytes]]


class _Streams:
    """The streams of a Word file: its text, and the tables that describe it."""

    def __init__(self, compound: olefile.OleFileIO) -> None:
        self.text = bytearray(compound.openstream("WordDocument").read())
        kind, version, flags = struct.unpack_from("<HH6xH", self.text)
        self.are_known = kind == _WORD and version >= _WORD_97 and not flags & _ENCRYPTED  # others have other tables
        self.tables = (
            compound.openstream("1Table" if flags & _TABLE_FLAG else "0Table").read() if self.are_known else b""
        )

    def part(self, place: int) -> bytes:
        """Return a part of the table stream."""
        start, length = struct.unpack_from("<II", self.text, place)
        return self.tables[start : start + length]

    def pieces(self) -> Iterator[tuple[int, int, int]]:
        """Yield where the pieces of the text are: start, end, and bytes of a character."""
        clx, place = self.part(_CLX), 0
        while clx[place] == 1:
            place += 3 + struct.unpack_from("<H", clx, place + 1)[0]
        (size,) = struct.unpack_from("<I", clx, place + 1)
        count = (size - 4) // 12
        ends = struct.unpack_from(f"<{count + 1}I", clx, place + 5)
        for index in range(count):
            (stated,) = struct.unpack_from("<I", clx, place + 5 + 4 * (count + 1) + 8 * index + 2)
            width = 1 if stated & _COMPRESSED else 2
            start = (stated & ~_COMPRESSED) // 2 if width == 1 else stated
            yield start, start + width * (ends[index + 1] - ends[index]), width

    def runs(self, place: int) -> Iterator[Run]:
        """Yield the runs of characters or paragraphs with properties of their own: start, end, and properties."""
        table = self.part(place)
        count = (len(table) - 4) // 8
        for page in struct.unpack_from(f"<{count}I", table, 4 * (count + 1)) if count > 0 else ():
            start = page * _PAGE
            entries = self.text[start + _PAGE - 1]
            bounds = struct.unpack_from(f"<{entries + 1}I", self.text, start)
            step = 1 if place == _CHARACTERS else 13
            for index in range(entries):
                at = self.text[start + 4 * (entries + 1) + step * index] * 2
                if at:
                    stored = self._stored(start + at, place)
                    yield bounds[index], bounds[index + 1], dict(_properties(stored))

    def _stored(self, at: int, place: int) -> bytes:
        length = self.text[at]
        if place == _CHARACTERS:
            return bytes(self.text[at + 1 : at + 1 + length])
        if length:  # a paragraph: in words, the byte of the length included, and after the number of its style
            return bytes(self.text[at + 3 : at + 2 * length])
        return bytes(self.text[at + 4 : at + 2 + 2 * self.text[at + 1]])


def _properties(stored: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 2 <= len(stored):
        (code,) = struct.unpack_from("<H", stored, place)
        size = _SIZES[code >> 13]
        place += 2
        if size < 0:
            size = 1 + (stored[place] if place < len(stored) else 0)
        yield code, stored[place : place + size]
        place += size


def has_automatic_numbers(data: bytes) -> bool:
    """Return whether paragraphs of a Word file, or its styles, have numbers that are not in the text."""
    with olefile.OleFileIO(io.BytesIO(data)) as compound:
        streams = _Streams(compound)
    if not streams.are_known:
        return True
    if any(_is_set(properties.get(_LIST)) for _, _, properties in streams.runs(_PARAGRAPHS)):
        return True
    styles, code = streams.part(_STYLES), struct.pack("<H", _LIST)
    place = styles.find(code)
    while place >= 0:
        if _is_set(styles[place + 2 : place + 4]):
            return True
        place = styles.find(code, place + 2)
    return False


def _is_set(operand: bytes | None) -> bool:
    return operand is not None and any(operand)


def with_marks(data: bytes) -> tuple[bytes, dict[int, str]]:
    """Return a Word file with raised digits as such and hidden text as soft hyphens.

    Returns
    -------
    tuple
        The bytes of the file, and for some characters of its text what they stand for, as for `str.translate`.
    """
    file = io.BytesIO(data)
    with olefile.OleFileIO(file) as compound:
        streams = _Streams(compound)
        if not streams.are_known:
            return data, {}
        pieces = sorted(streams.pieces())
        digits, meaning = _one_byte_digits(streams.text, pieces)
        before = bytes(streams.text)
        for start, end, properties in streams.runs(_CHARACTERS):
            hidden = properties.get(_HIDDEN) == b"\1"
            raised_by = int.from_bytes(properties.get(_RAISED_BY, b""), "little", signed=True)
            if hidden or properties.get(_SCRIPT) == b"\1" or raised_by > 0:
                _replace(streams.text, pieces, (start, end), None if hidden else digits)
        if streams.text == before:
            return data, {}
        compound.write_stream("WordDocument", bytes(streams.text))
        return file.getvalue(), meaning


def _one_byte_digits(text: bytearray, pieces: list[tuple[int, int, int]]) -> tuple[dict[int, int], dict[int, str]]:
    """Return a byte for each raised digit, and what those stand for that are no raised digits in windows-1252."""
    used = set().union(*(text[start:end] for start, end, width in pieces if width == 1))
    free = iter([byte for byte in (*_UNDEFINED, *_RARE) if byte not in used])
    digits = {0x31: 0xB9, 0x32: 0xB2, 0x33: 0xB3}
    meaning = {}
    for digit, mark in _RAISED.items():
        if digit not in digits and (byte := next(free, None)) is not None:
            digits[digit] = byte
            meaning[byte] = chr(mark)
    return digits, meaning


def _replace(
    text: bytearray, pieces: list[tuple[int, int, int]], run: tuple[int, int], digits: Mapping[int, int] | None
) -> None:
    """Replace the characters of a run: all of them if there are no `digits`."""
    for first, last, width in pieces:
        for place in range(max(first, run[0]), min(last, run[1]), width):
            code = int.from_bytes(text[place : place + width], "little")
            if digits is None:
                new = _SOFT_HYPHEN if code >= _FIRST_TEXT else code
            else:
                new = (digits if width == 1 else _RAISED).get(code, code)
            text[place : place + width] = new.to_bytes(width, "little")
