"""Pictures of PDF pages, with the places of a quote on them. To be used in a process of its own, as the readers are."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pypdfium2
import pypdfium2.raw

from sra_pipelines.values import DocumentError

__all__ = ["Box", "PagePicture", "draw_page"]

_SCALE = 2.0  # pixels per point: sharp at a zoom of 200% on a common screen
_LONGEST_SIDE = 2400  # pixels; a larger page is drawn smaller
_SPACE = re.compile(r"\s+")

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge in pixels."""


@dataclasses.dataclass(frozen=True, slots=True)
class PagePicture:
    """A picture of a page.

    Parameters
    ----------
    png
        The picture as PNG.
    width, height
        Size of the picture in pixels.
    boxes
        The lines of the quote on the picture; empty if it was not located.
    """

    png: bytes
    width: int
    height: int
    boxes: tuple[Box, ...] = ()


def draw_page(path: Path, page_index: int, quote: str = "", before: int = 0) -> PagePicture:
    """Draw a page of a PDF file, and locate a quote on it.

    Parameters
    ----------
    path
        The file.
    page_index
        Zero-based position of the page.
    quote
        Text to locate, as the PDF reader extracted it; empty to locate nothing.
    before
        Number of characters other than white space that precede the quote in the extracted text of the page. It
        selects one of several equal places.

    Raises
    ------
    DocumentError
        If the file is not a readable PDF file, or does not have the page.
    """
    try:
        with pypdfium2.PdfDocument(path) as pdf:
            if not 0 <= page_index < len(pdf):
                raise DocumentError(f"{path}: page {page_index + 1} does not exist; the file has {len(pdf)} page(s).")
            return _draw(pdf[page_index], quote, before)
    except pypdfium2.PdfiumError as error:
        raise DocumentError(f"{path}: the page cannot be drawn ({error}). Read its text instead.") from error


def _draw(page: pypdfium2.PdfPage, quote: str, before: int) -> PagePicture:
    scale = min(_SCALE, _LONGEST_SIDE / max(*page.get_size(), 1.0))
    bitmap = page.render(scale=scale)
    out = io.BytesIO()
    bitmap.to_pil().save(out, "PNG", compress_level=1)  # a higher level takes ten times as long
    boxes: list[Box] = []
    if quote.strip():
        converter = bitmap.get_posconv(page)
        for left, bottom, right, top in _quote_boxes(page, quote, before):
            (x1, y1), (x2, y2) = converter.to_bitmap(left, bottom), converter.to_bitmap(right, top)
            boxes.append((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))  # a page may be rotated
    return PagePicture(out.getvalue(), bitmap.width, bitmap.height, tuple(boxes))


def _quote_boxes(page: pypdfium2.PdfPage, quote: str, before: int) -> list[Box]:
    """Return the box of each line of the quote, in the coordinates of the page."""
    text_page = page.get_textpage()
    try:
        positions, letters = [], []
        for position in range(text_page.count_chars()):
            letter = chr(pypdfium2.raw.FPDFText_GetUnicode(text_page, position))
            letter = "-" if letter == "\ufffe" else letter  # a hyphen at the end of a line, as in the reader
            if not letter.isspace() and letter != "\0":
                positions.append(position)
                letters.append(letter)
        start, length = _locate("".join(letters), _SPACE.sub("", quote), before)
        boxes = [text_page.get_charbox(position, loose=True) for position in positions[start : start + length]]
    finally:
        text_page.close()
    return _by_line(boxes)


def _locate(text: str, wanted: str, before: int) -> tuple[int, int]:
    """Return start and length of the occurrence of `wanted` that is nearest to `before`; length 0 if there is none."""
    starts, start = [], text.find(wanted)
    while start >= 0:
        starts.append(start)
        start = text.find(wanted, start + 1)
    if not starts:
        return 0, 0
    return min(starts, key=lambda start: abs(start - before)), len(wanted)


def _by_line(boxes: Sequence[Box]) -> list[Box]:
    """Join the boxes of letters that follow each other on a line."""
    lines: list[Box] = []
    for left, bottom, right, top in boxes:
        if lines:
            line = lines[-1]
            shared = min(top, line[3]) - max(bottom, line[1])
            height = min(top - bottom, line[3] - line[1])
            if shared > 0.5 * height and left >= line[0]:
                lines[-1] = line[0], min(bottom, line[1]), max(right, line[2]), max(top, line[3])
                continue
        lines.append((left, bottom, right, top))
    return lines
