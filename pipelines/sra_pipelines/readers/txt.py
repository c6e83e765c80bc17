"""Reader for plain text in any encoding; a form feed starts a new page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sra_pipelines.readers.encoding import decode_text
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
    """Return the text of a file in any encoding, with line feeds only.

    Raises
    ------
    DocumentError
        If no known encoding fits.
    """
    try:
        text = decode_text(path.read_bytes())
    except DocumentError as problem:
        raise DocumentError(f"{path}: {problem}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
