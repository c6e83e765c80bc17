"""Reader for pictures of pages, such as scans: the text is recognized, one page for each picture in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sra_pipelines.readers.scans.recognition import (
    LONGEST_SIDE,
    RECOGNIZED,
    RESOLUTION,
    UNSURE,
    most_pages,
    recognized_label,
    recognized_text,
)
from sra_pipelines.values import DocumentError, Page

if TYPE_CHECKING:
    from PIL import Image

    from sra_pipelines.readers.scans.recognition import Picture

__all__ = ["read"]

_MOST_PIXELS = 100_000_000
_USUAL = (72, 600)  # dots per inch that are believed
_MOST_ENLARGED = 3.0
_PAGE_INCHES = 11.7  # height of a sheet, if the file does not say how large the picture is


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Recognize the pictures of a file.

    Raises
    ------
    DocumentError
        If a picture is too large.
    """
    from PIL import Image, ImageSequence

    with Image.open(path) as file:
        count = getattr(file, "n_frames", 1)
        limit = most_pages()
        pages = []
        for index, frame in enumerate(ImageSequence.Iterator(file)):
            label = str(index + 1)
            if index >= limit:
                pages.append(Page(index, label, "", (), (f"not recognized: at most {limit} pages are",)))
                continue
            text, sure = recognized_text(_as_array(path, frame))
            notices = ((RECOGNIZED,) if text else ()) + (() if sure else (UNSURE,))
            pages.append(Page(index, recognized_label(label) if text else label, text, (), notices))
            if on_page is not None:
                on_page(index + 1, count)
    return pages


def _as_array(path: Path, frame: Image.Image) -> Picture:
    import numpy as np
    from PIL import Image, ImageOps

    if frame.width * frame.height > _MOST_PIXELS:
        raise DocumentError(
            f"{path}: the picture has {frame.width:,} x {frame.height:,} pixels; at most {_MOST_PIXELS / 1e6:,.0f} "
            f"million are accepted. Reduce it to {RESOLUTION} dots per inch."
        )
    upright = ImageOps.exif_transpose(frame)
    if "A" in upright.getbands() or "transparency" in upright.info:  # on white paper
        paper = Image.new("RGBA", upright.size, "white")
        paper.alpha_composite(upright.convert("RGBA"))
        upright = paper
    picture = upright.convert("RGB")
    dots = float(frame.info.get("dpi", (0, 0))[0])
    if not _USUAL[0] < dots <= _USUAL[1]:
        dots = max(picture.size) / _PAGE_INCHES
    if dots < 0.9 * RESOLUTION:  # the models know letters of the usual size
        # Recognition reduces a longer side again.
        scale = min(RESOLUTION / dots, _MOST_ENLARGED, max(1.0, LONGEST_SIDE / max(picture.size)))
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC
        )
    return np.asarray(picture)
