"""The scanned pages of a PDF file: which they are, and their recognized text."""

from __future__ import annotations

import pypdfium2
import pypdfium2.raw as pdfium

from sra_pipelines.readers.scans.installed import is_installed
from sra_pipelines.readers.scans.recognition import (
    LONGEST_SIDE,
    RECOGNIZED,
    RESOLUTION,
    UNSURE,
    most_pages,
    recognized_label,
    recognized_text,
)

__all__ = ["ScannedPages"]

_FEW = 20  # letters and digits; a scanned page may have a stamp or a page number as text
_LEAST_SHARE = 0.4  # of the page, that a picture covers
_POINTS = 72  # per inch


class ScannedPages:
    """Recognizes the pages of one file that are pictures, as far as the extra ``ocr`` is installed."""

    def __init__(self) -> None:
        self._notices: dict[int, tuple[str, ...]] = {}
        self._recognized: set[int] = set()

    def text_of(self, pdf: pypdfium2.PdfDocument, index: int, text: str) -> str:
        """Return the text of a page: `text`, which was read from it, or the recognized text if it is a scan."""
        if sum(map(str.isalnum, text[: 10 * _FEW])) >= _FEW:
            return text
        page = pdf[index]
        try:
            if not _is_picture(page):
                return text
            if not is_installed():
                self._notices[index] = ("a scanned page; to recognize its text: pip install 'sra-rag[ocr]'",)
                return text
            if len(self._recognized) >= most_pages():
                self._notices[index] = (f"a scanned page beyond the {most_pages()} that are recognized",)
                return text
            scale = min(RESOLUTION / _POINTS, LONGEST_SIDE / max(page.get_size()))
            recognized, sure = recognized_text(page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3])
        finally:
            page.close()
        if not recognized:
            return text
        self._recognized.add(index)
        self._notices[index] = (RECOGNIZED,) if sure else (RECOGNIZED, UNSURE)
        return recognized  # with the text that was read, which is drawn on the picture

    def label_of(self, index: int, label: str) -> str:
        """Return the label of a page, which says whether its text is recognized."""
        return recognized_label(label) if index in self._recognized else label

    def notices_of(self, index: int) -> tuple[str, ...]:
        """Return what is to be said of a page."""
        return self._notices.get(index, ())


def _is_picture(page: pypdfium2.PdfPage) -> bool:
    width, height = page.get_size()
    least = _LEAST_SHARE * width * height
    for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = item.get_bounds()
        if (right - left) * (top - bottom) >= least:
            return True
    return False
