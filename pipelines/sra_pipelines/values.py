"""The values that travel between the parts: a document with its pages, and a passage of a page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sra_pipelines.file_names import printable
from sra_rag.errors import SRAError

__all__ = ["Document", "DocumentError", "Heading", "Page", "Passage"]


class DocumentError(SRAError, ValueError):
    """A document cannot be read; the message names the file and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Heading:
    """A heading on a page.

    Parameters
    ----------
    start
        Character of the page's text at which it begins.
    text
        What it says, in one line.
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
        What a reader calls it: the label in the file where it has one, a sheet's name, else ``index + 1``.
    text
        Empty for a page without text, such as a picture.
    headings
        Those on this page, in order, as far as the format tells.
    """

    index: int
    label: str
    text: str
    headings: tuple[Heading, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A document that was read.

    Parameters
    ----------
    path
        Where it lies.
    pages
        All of its pages, in order.
    """

    path: Path
    pages: tuple[Page, ...]

    @property
    def name(self) -> str:
        """The file's name without its suffix; what is not UTF-8 in it is escaped."""
        return printable(self.path.stem)

    @property
    def empty_pages(self) -> tuple[str, ...]:
        """Labels of the pages that hold no text and so cannot be searched."""
        return tuple(page.label for page in self.pages if not page.text)


@dataclasses.dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one page.

    Parameters
    ----------
    document
        Name of the document.
    page_index, page_label
        Zero-based position of the page, and what a reader calls it.
    text
        What stands there.
    score
        Nearness to the question, greater is closer; 0 where it was not asked for.
    section
        Heading under which it stands, empty where there is none.
    start, end
        The characters of the page's text that it holds.
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
        """What tells it from every other passage of an index: document, page and first character."""
        return self.document, self.page_index, self.start
