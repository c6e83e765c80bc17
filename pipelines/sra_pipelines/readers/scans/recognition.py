"""Recognize the text of a scanned page: straighten it, recognize its lines, and put them into rows by their heights.

The models (PP-OCRv6 small) are files of the package rapidocr; nothing is downloaded. They read Latin script with its
accents, Chinese and Japanese.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from sra_pipelines.readers.layout.blocks import Run, by_position
from sra_pipelines.readers.layout.characters import Box
from sra_rag.errors import ConfigError, require_extra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Picture = npt.NDArray[np.uint8]

__all__ = [
    "LONGEST_SIDE",
    "RECOGNIZED",
    "RESOLUTION",
    "UNSURE",
    "most_pages",
    "recognized_label",
    "recognized_text",
    "skew_of",
    "straightened",
]

RESOLUTION = 300  # dots per inch
LONGEST_SIDE = 4_000  # pixels; a larger picture is reduced
RECOGNIZED = "the text is recognized from a picture: compare amounts with the original"
UNSURE = "the recognition is unsure of much of the text"
_PAGES_VARIABLE = "SRA_RAG_OCR_PAGES"
_MOST_PAGES = 50  # of one document; each takes seconds
_SIDE_FOR_LINES = 1_920  # pixels
_LEAST_SCORE = 0.5  # of a line, below which it is left out
_SURE = 0.8  # mean score of the lines
_STEEPEST = 5.0  # degrees
_LEAST_SKEW = 0.1  # degrees
_LOOKED_AT = 1_000  # pixels of the longer side of the picture in which the skew is measured


def most_pages() -> int:
    """Return how many pages of a document are recognized at most: 50, or the variable ``SRA_RAG_OCR_PAGES``.

    Raises
    ------
    ConfigError
        If the variable is not a number of at least 0.
    """
    value = os.environ.get(_PAGES_VARIABLE, str(_MOST_PAGES))
    if not value.isdecimal():
        raise ConfigError(f"{_PAGES_VARIABLE}={value!r} is not allowed: give a number of pages, 0 for no recognition.")
    return int(value)


def recognized_label(label: str) -> str:
    """Return the label of a page whose text is recognized; it is part of every citation."""
    return f"{label} (recognized text)"


def recognized_text(picture: Picture) -> tuple[str, bool]:
    """Recognize a page.

    Parameters
    ----------
    picture
        The page in `RESOLUTION`; uint8, [height, width, 3].

    Returns
    -------
    text
        The text in rows; empty if there is none.
    sure
        Whether the mean score of the lines is high.

    Raises
    ------
    MissingExtraError
        If the extra ``ocr`` is not installed.
    MemoryError
        If there is not enough memory for a page of this size.
    """
    try:
        result = _engine()(straightened(picture))
    except Exception as error:
        if "allocate" in str(error) or "bad_alloc" in str(error):  # ONNX Runtime has no class for it
            raise MemoryError(str(error)) from error
        raise
    if result.boxes is None or not len(result.boxes):
        return "", True
    runs = [_run(box, text) for box, text in zip(result.boxes, result.txts, strict=True) if text.strip()]
    return by_position(runs), sum(result.scores) / len(result.scores) >= _SURE


def straightened(picture: Picture) -> Picture:
    """Return a picture of text turned so that its lines are level; skew is measured up to 5 degrees.

    A skew of 0.8 degrees is enough to put the figure of one row beside the label of the next.
    """
    import cv2
    import numpy as np

    skew = skew_of(picture)
    if abs(skew) < _LEAST_SKEW:
        return picture
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1.0)
    level = cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(level, dtype=np.uint8)


def skew_of(picture: Picture) -> float:
    """Return by how many degrees to turn a picture of text, counter-clockwise, to make its rows most distinct."""
    import cv2
    import numpy as np

    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _LOOKED_AT / max(gray.shape))
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, ink = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    ink = cv2.GaussianBlur(ink, (3, 3), 0)  # turning blurs too, so a picture that is not turned must not look sharper
    height, width = ink.shape

    def distinct(angle: float) -> float:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        rows = cv2.warpAffine(ink, turn, (width, height), flags=cv2.INTER_LINEAR).sum(axis=1, dtype=np.float64)
        return float(np.square(np.diff(rows)).sum())

    coarse = max(np.arange(-_STEEPEST, _STEEPEST + 0.25, 0.5), key=distinct)
    fine = max(np.arange(coarse - 0.4, coarse + 0.45, 0.1), key=distinct)
    return float(fine) if distinct(float(fine)) > 1.02 * distinct(0.0) else 0.0


def _run(corners: Any, text: str) -> Run:
    """Return a recognized line with its box; heights count from below, as in PDF."""
    left, right = float(min(corners[:, 0])), float(max(corners[:, 0]))
    top, bottom = float(min(corners[:, 1])), float(max(corners[:, 1]))
    return Run(" ".join(text.split()), Box(left, -bottom, right, -top))


@cache
def _engine() -> Any:
    require_extra("Recognizing text", "ocr", "rapidocr", "onnxruntime", "cv2")
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.max_side_len": LONGEST_SIDE,
            "Global.text_score": _LEAST_SCORE,
            # Lines are found in a smaller picture, which takes a third of the memory, and recognized in the whole one.
            "Det.limit_type": "max",
            "Det.limit_side_len": _SIDE_FOR_LINES,
            "EngineConfig.onnxruntime.intra_op_num_threads": min(4, os.cpu_count() or 1),
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)  # it warns of each page without text
    return engine
