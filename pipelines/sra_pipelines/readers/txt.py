"""Reader for plain text in any encoding; a form feed starts a new page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import charset_normalizer

from sra_pipelines.readers.headings import plain_headings
from sra_pipelines.values import DocumentError, Page

__all__ = ["decode", "read"]


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a text file."""
    texts = [part.strip() for part in decode(path).split("\f")]
    while len(texts) > 1 and not texts[-1]:
        texts.pop()
    pages = [Page(i, str(i + 1), text, plain_headings(text)) for i, text in enumerate(texts)]
    if on_page is not None:
        on_page(len(pages), len(pages))
    return pages


def decode(path: Path) -> str:
    """Return the text of a file, decoded as UTF-8 if possible, otherwise with the most likely encoding.

    Raises
    ------
    DocumentError
        If no known encoding fits.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        best = charset_normalizer.from_bytes(data).best()
        if best is None:
            raise DocumentError(f"{path}: the file is not text in any known encoding. Save it as UTF-8.") from None
        text = str(best).removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
