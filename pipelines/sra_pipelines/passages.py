"""A piece of a page, and what an index of such pieces offers to those who search it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

__all__ = ["Passage", "PassageIndex"]


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


class PassageIndex(Protocol):
    """Passages of documents that can be searched by meaning, in memory or on disk."""

    @property
    def n_passages(self) -> int:
        """How many passages there are."""
        ...

    @property
    def revision(self) -> int:
        """A number that changes with the passages."""
        ...

    def passages(self) -> Sequence[Passage]:
        """Return all passages, document by document, in reading order."""
        ...

    def search(self, question: str, limit: int) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first, with their scores."""
        ...
