"""The value types shared by all parts of the pipeline: a document with its pages, and a passage of a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from sra_pipelines.file_names import visible_name
from sra_pipelines.unicode_forms import composed
from sra_rag.errors import SRAError

__all__ = ["Document", "DocumentError", "Heading", "Page", "Passage"]

_SHOWN_PAGES = 10  # labels in a notice


class DocumentError(SRAError, ValueError):
    """A document cannot be read; the message names the file and the next step."""


@dataclasses.dataclass(frozen=True, slots=True)
class Heading:
    """A heading on a page.

    Parameters
    ----------
    start
        Offset of the heading in the text of the page, in characters.
    text
        Text of the heading, on one line.
    """

    start: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """One page of a document.

    Parameters
    ----------
    index
        Zero-based position in the file.
    label
        Label of the page for readers: the label in the file if it has one, the name of a sheet, or ``index + 1``.
    text
        Text of the page; empty for a page without text, such as a picture.
    headings
        The headings on the page, in reading order, if the format marks headings.
    notices
        What was left out of the page, or is not certain, one phrase each: ``"1 picture is left out"``. Equal phrases of
        several pages are reported together.
    """

    index: int
    label: str
    text: str
    headings: tuple[Heading, ...] = ()
    notices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A document that was read.

    Parameters
    ----------
    path
        Path of the file.
    pages
        All pages, in order.
    """

    path: Path
    pages: tuple[Page, ...]

    @property
    def name(self) -> str:
        """Name of the file without its suffix; bytes that are not UTF-8, and control characters, are escaped."""
        return composed(visible_name(self.path.stem))

    @property
    def empty_pages(self) -> tuple[str, ...]:
        """Labels of the pages without text, which cannot be searched."""
        return tuple(page.label for page in self.pages if not page.text)

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out of the document or is not certain, each with its pages if there are several."""
        places: dict[str, list[str]] = {}
        for page in self.pages:
            for notice in page.notices:
                places.setdefault(notice, []).append(page.label)
        if len(self.pages) == 1:
            return tuple(places)
        return tuple(f"{notice} ({_listed(labels)})" for notice, labels in places.items())


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:_SHOWN_PAGES]) + (", ..." if len(labels) > _SHOWN_PAGES else "")
    return f"page {shown}" if len(labels) == 1 else f"{len(labels)} pages: {shown}"


@dataclasses.dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one page.

    Parameters
    ----------
    document
        Name of the document.
    page_index, page_label
        Zero-based position of the page, and its label for readers.
    text
        Text of the passage.
    score
        Relevance to the question, where higher is more relevant; 0 if the passage is not a search result.
    section
        Heading of the section that contains the passage; empty if there is none.
    start, end
        Span of the passage in the text of the page, in characters.
    """

    document: str
    page_index: int
    page_label: str
    text: str
    score: float = 0.0
    section: str = ""
    start: int = 0
    end: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        """Key that identifies the passage in an index: document, page and offset of its first character."""
        return self.document, self.page_index, self.start
