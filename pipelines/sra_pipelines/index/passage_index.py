"""What an index of passages offers to code that searches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sra_pipelines.values import Passage

__all__ = ["PassageIndex"]


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
