"""Reader for EPUB books: the chapters in reading order, one or more pages each."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from lxml import etree

from sra_pipelines.readers.content import require_small
from sra_pipelines.readers.encoding import decode_html, decode_text
from sra_pipelines.readers.html import html_pages
from sra_pipelines.values import DocumentError, Page

__all__ = ["read"]

_CHAPTERS = ("application/xhtml+xml", "text/html")
_ENCRYPTED = "{http://www.w3.org/2001/04/xmlenc#}CipherReference"

_NO_STYLES = "the style sheet {!r} is missing from the archive, so raised or hidden text cannot be recognized"


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a book.

    Raises
    ------
    DocumentError
        If its chapters are encrypted.
    """
    require_small(path)
    pages: list[Page] = []
    with zipfile.ZipFile(path) as archive:
        chapters, style_sheets = _parts(archive)
        missing = sorted(set(style_sheets) - set(archive.namelist()))
        styles = [decode_text(archive.read(part)) for part in style_sheets if part not in missing]
        notices = tuple(_NO_STYLES.format(part) for part in missing)
        encrypted = _encrypted(archive) & set(chapters)
        if encrypted:
            raise DocumentError(f"{path}: {len(encrypted)} chapter(s) are encrypted. Get a copy without protection.")
        for number, chapter in enumerate(chapters, start=1):
            data = archive.read(chapter)
            _parse(data)  # a chapter must be well-formed, or its rest would be lost
            for page in html_pages(decode_html(data), path, styles):
                pages.append(
                    Page(len(pages), str(len(pages) + 1), page.text, page.headings, notices if not pages else ())
                )
            if on_page is not None:
                on_page(number, len(chapters))
    return pages


def _parts(archive: zipfile.ZipFile) -> tuple[list[str], list[str]]:
    """Return the parts with text in the order of the spine, and the style sheets."""
    container = _parse(archive.read("META-INF/container.xml"))
    package = next(root.get("full-path", "") for root in container.iter("{*}rootfile"))
    document = _parse(archive.read(package))
    folder = posixpath.dirname(package)
    items: dict[str, dict[str, str]] = {}
    for item in document.iter("{*}item"):
        kind = "text" if item.get("media-type") in _CHAPTERS else item.get("media-type", "")
        place = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        items.setdefault(kind, {})[item.get("id", "")] = place
    texts = items.get("text", {})
    chapters = [texts[ref.get("idref", "")] for ref in document.iter("{*}itemref") if ref.get("idref") in texts]
    return chapters, list(items.get("text/css", {}).values())


def _encrypted(archive: zipfile.ZipFile) -> set[str]:
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    references = _parse(archive.read("META-INF/encryption.xml")).iter(_ENCRYPTED)
    return {unquote(reference.get("URI", "")) for reference in references}


def _parse(data: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(data, parser)
