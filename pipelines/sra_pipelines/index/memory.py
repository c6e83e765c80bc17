"""An index in memory: documents are split into passages, and the passages are embedded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.embedding_identity import unit_vectors
from sra_pipelines.index.query_vectors import query_vector
from sra_pipelines.index.stores.vector_store import FaissStore, VectorDocument
from sra_pipelines.reading.finding import document_names
from sra_pipelines.reading.splitting import Splitting, embedded_text, split_document
from sra_pipelines.values import Document, Passage

__all__ = ["DocumentIndex"]

_EMBED_AT_ONCE = 32


class DocumentIndex:
    """Passages of documents in memory, with their embeddings in FAISS.

    Parameters
    ----------
    documents
        The documents to search.
    embedding
        Model that embeds passages and questions.
    splitting
        How documents are split into passages; by default `Splitting` with its default values.
    on_passages
        Called with the number of passages embedded so far and the total number, for a progress bar.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        embedding: BaseEmbedding,
        *,
        splitting: Splitting | None = None,
        on_passages: Callable[[int, int], None] | None = None,
    ) -> None:
        self.embedding = embedding
        self.splitting = splitting or Splitting()
        self.revision = 0  # never changes
        names = document_names([document.path for document in documents])
        self._passages = [
            passage
            for document, name in zip(documents, names, strict=True)
            for passage in split_document(document, name, splitting)
        ]
        parts = []
        for start in range(0, len(self._passages), _EMBED_AT_ONCE):
            batch = [embedded_text(passage) for passage in self._passages[start : start + _EMBED_AT_ONCE]]
            parts.append(unit_vectors(embedding.get_text_embedding_batch(batch)))
            if on_passages is not None:
                on_passages(start + len(batch), len(self._passages))
        self._store = FaissStore()
        if parts:
            self._store.add([VectorDocument("", self._passages, np.concatenate(parts))])

    @property
    def n_passages(self) -> int:
        """Number of passages."""
        return len(self._passages)

    def passages(self) -> Sequence[Passage]:
        """Return all passages, grouped by document, in reading order."""
        return self._passages

    def search(self, question: str, limit: int, *, phrases: Sequence[str] = ()) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first; see `query_vector` for `phrases`."""
        if self.n_passages == 0 or limit < 1:
            return []
        vector = query_vector(self.embedding, question, phrases=phrases)
        return [
            dataclasses.replace(self._passages[hit.position], score=hit.score)
            for hit in self._store.search(vector, limit)
        ]
