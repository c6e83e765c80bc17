"""Positions of the characters of a PDF page, read from PDFium one by one, because reading all of them takes long."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from sra_pipelines.readers.layout.symbol_fonts import with_symbols

__all__ = ["Box", "Characters"]

# PDFium's function without declared types of arguments: to check them takes ctypes most of the time of a call.
_read_box = ctypes.PYFUNCTYPE(ctypes.c_int)(ctypes.cast(pdfium.FPDFText_GetLooseCharBox, ctypes.c_void_p).value or 0)
_new_box = tuple.__new__  # only for speed
_LEAST_RISE = 0.15  # of the height of the characters beside it
# Numbers that may have a raised digit. Skipped are those with groups of three digits, because the last group would have
# four, and single digits that are not after a word. The text before a number is a part of its match.
_DIGITS = re.compile(
    r"(?:\D++|\d{1,3}(?:,\d{3})++(?!\d)|(?<![^\W\d_])(?<![)\]%’”\"'])\d(?!\d))*+(?:(?P<number>\d+)|\Z)"  # noqa: RUF001
)
_WORD_ENDS = ")]%’”\"'"  # noqa: RUF001
_NEGATIVE = re.compile(r"[-\u2212\u2013](?<=\d.)\d{1,2}(?!\d)")
_SUPERSCRIPTS = str.maketrans("0123456789-\u2212\u2013", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁻")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_CONTINUED = re.compile(r"[,;]?\s?(\d+)")
_MOST_DIGITS = 3  # of a raised number after a word, such as the mark of a note


class Box(NamedTuple):
    """A rectangle on a page, in points from its lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        """Height of the rectangle."""
        return self.top - self.bottom

    @property
    def middle(self) -> float:
        """Height at which its middle is."""
        return (self.top + self.bottom) / 2

    def holds(self, other: Box) -> bool:
        """Return whether the middle of another rectangle is inside this one."""
        return self.left <= (other.left + other.right) / 2 <= self.right and self.bottom <= other.middle <= self.top


class Characters:
    r"""The text of a page and the boxes of its characters.

    Parameters
    ----------
    text_page
        Text page of PDFium, open as long as this object is used.

    Attributes
    ----------
    text
        Characters in the order of PDFium; it marks line breaks as ``\r\n``, and a hyphen at the end of a line as
        U+FFFE without a line break.
    placed
        Whether the characters have positions: not if there are some beyond 16 bits, which PDFium counts twice.
    """

    def __init__(self, text_page: pypdfium2.PdfTextPage) -> None:
        self.text: str = text_page.get_text_range()
        self.placed = len(self.text) == text_page.count_chars()
        if self.placed:
            self.text = with_symbols(self.text, text_page.raw)
        self._page = ctypes.cast(text_page.raw, ctypes.c_void_p)
        self._sides = (ctypes.c_float * 4)()  # left, top, right and bottom, read at once
        self._rectangle = ctypes.byref(pdfium.FS_RECTF.from_buffer(self._sides))

    def box(self, index: int) -> Box:
        """Return the box of a character, which is as high as its font, however high the character is."""
        _read_box(self._page, index, self._rectangle)
        left, top, right, bottom = self._sides[:]
        return _new_box(Box, (left, bottom, right, top))

    def gaps(self, spaces: Sequence[tuple[int, int]], heights: float) -> Iterator[tuple[int, int]]:
        """Yield those of some spaces between words that are wider than some heights; for speed, without boxes."""
        page, sides, rectangle = self._page, self._sides, self._rectangle
        for start, end in spaces:
            _read_box(page, start - 1, rectangle)
            _, top, right, bottom = sides[:]
            _read_box(page, end, rectangle)
            if sides[0] - right > heights * (top - bottom):
                yield start, end

    def _are_level(self, first: int, last: int) -> bool:
        """Return whether two characters have the same height and line; for speed, without their boxes."""
        _read_box(self._page, first, self._rectangle)
        sides = self._sides
        top, bottom = sides[1], sides[3]
        _read_box(self._page, last, self._rectangle)
        return sides[1] == top and sides[3] == bottom

    def with_raised_digits(self) -> str:
        """Return the text with raised and lowered digits as such: ``500²``, not 5002."""
        text: list[str] = []
        done = 0
        are_level = self._are_level
        for match in _DIGITS.finditer(self.text):
            start, end = match.span("number")
            if start < done:
                continue
            before = self.text[start - 1] if start else " "
            after_word = end - start <= _MOST_DIGITS and (before.isalpha() or before in _WORD_ENDS)
            if not after_word and (end - start == 1 or are_level(start, end - 1)):  # most numbers
                continue
            for first, last, table in self._shifted(start, end, after_word):
                text += self.text[done:first], self.text[first:last].translate(table)
                done = last
        return self._with_raised_signs("".join([*text, self.text[done:]]))

    def _with_raised_signs(self, text: str) -> str:
        """Return the text with negative exponents as such: ``10⁻⁶``, not 10-6."""
        for match in _NEGATIVE.finditer(text):
            start, end = match.span()
            if not self._are_level(start - 1, start) and _rises(self.box(start - 1), self.box(start)) > 0:
                text = f"{text[:start]}{match[0].translate(_SUPERSCRIPTS)}{text[end:]}"
        return text

    def _shifted(self, start: int, end: int, after_word: bool) -> Iterator[tuple[int, int, dict[int, int]]]:
        if after_word and not self._are_level(start - 1, start) and _rises(self.box(start - 1), self.box(start)) > 0:
            yield start, end, _SUPERSCRIPTS
            yield from self._continued(end, self.box(start))
            return
        if end - start < 2 or self._are_level(start, end - 1):
            return
        first, last = self.box(start), self.box(end - 1)
        rise = _rises(first, last)
        if rise == 0:
            return
        boxes = [self.box(index) for index in range(start, end)]
        other = next(i for i, box in enumerate(boxes) if abs(box.bottom - first.bottom) > abs(box.bottom - last.bottom))
        if rise > 0:
            yield start + other, end, _SUPERSCRIPTS
            yield from self._continued(end, last)
        elif first.height < last.height:  # the mark is before the number
            yield start, start + other, _SUPERSCRIPTS
        else:
            yield start + other, end, _SUBSCRIPTS

    def _continued(self, end: int, mark: Box) -> Iterator[tuple[int, int, dict[int, int]]]:
        """Find the other digits of a list of raised marks, such as those in "500" with a raised "1, 2"."""
        while (match := _CONTINUED.match(self.text, end)) is not None:
            if abs(self.box(match.start(1)).bottom - mark.bottom) > _LEAST_RISE * mark.height:
                return
            yield match.start(1), match.end(1), _SUPERSCRIPTS
            end = match.end(1)


def _rises(base: Box, other: Box) -> int:
    """Return 1 if a character is above the line of the one before it, -1 if it is below, and 0 otherwise."""
    height = max(base.height, other.height)
    if height <= 0 or other.left < base.right - 0.3 * height:  # other lines, or text that runs upwards
        return 0
    rise = other.bottom - base.bottom
    if rise > _LEAST_RISE * height and other.bottom < base.top:
        return 1
    lowered = -rise > _LEAST_RISE * height or (-rise > height / 20 and base.top - other.top > height / 4)
    return -1 if lowered and other.top > base.bottom else 0
