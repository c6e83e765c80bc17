"""The interface of an index of passages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sra_pipelines.values import Passage

__all__ = ["PassageIndex"]


class PassageIndex(Protocol):
    """Passages of documents with dense search, in memory or on disk."""

    @property
    def n_passages(self) -> int:
        """Number of passages."""
        ...

    @property
    def revision(self) -> int:
        """Number that changes whenever the passages change."""
        ...

    def passages(self) -> Sequence[Passage]:
        """Return all passages, grouped by document, in reading order."""
        ...

    def search(self, question: str, limit: int, *, phrases: Sequence[str] = ()) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first, with their scores.

        `phrases` are texts that many questions share, of which `question` is one: their embeddings are kept for later
        searches, see `query_vector`.
        """
        ...
