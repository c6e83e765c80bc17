"""Passages of documents, found again by meaning: split, embedded, and kept in a FAISS index in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import faiss
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import TextNode
from llama_index.vector_stores.faiss import FaissVectorStore

from sra_pipelines.documents import Document, document_names
from sra_pipelines.embedding_identity import unit_vectors
from sra_pipelines.passages import Passage
from sra_pipelines.splitting import embedded_text, split_document

__all__ = ["DocumentIndex"]

_EMBED_AT_ONCE = 32


class DocumentIndex:
    """Passages of documents in memory, with their embeddings in FAISS.

    Parameters
    ----------
    documents
        What to search.
    embedding
        Embeds passages and questions.
    on_passages
        Called with passages embedded and passages in all, for a progress bar.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        embedding: BaseEmbedding,
        *,
        on_passages: Callable[[int, int], None] | None = None,
    ) -> None:
        self.embedding = embedding
        self.revision = 0  # never changes
        names = document_names([document.path for document in documents])
        self._passages = [
            passage
            for document, name in zip(documents, names, strict=True)
            for passage in split_document(document, name)
        ]
        nodes = [TextNode(id_=str(i), text=embedded_text(passage)) for i, passage in enumerate(self._passages)]
        for start in range(0, len(nodes), _EMBED_AT_ONCE):
            batch = nodes[start : start + _EMBED_AT_ONCE]
            vectors = unit_vectors(embedding.get_text_embedding_batch([node.text for node in batch])).tolist()
            for node, vector in zip(batch, vectors, strict=True):
                node.embedding = vector
            if on_passages is not None:
                on_passages(start + len(batch), len(nodes))
        size = len(nodes[0].embedding or ()) if nodes else 1
        store = FaissVectorStore(faiss.IndexFlatIP(size))  # of unit vectors the inner product is the cosine
        self.vector_index = VectorStoreIndex(
            nodes, storage_context=StorageContext.from_defaults(vector_store=store), embed_model=embedding
        )

    @property
    def n_passages(self) -> int:
        """How many passages there are."""
        return len(self._passages)

    def passages(self) -> Sequence[Passage]:
        """Return all passages, document by document, in reading order."""
        return self._passages

    def search(self, question: str, limit: int) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first."""
        if self.n_passages == 0:
            return []
        retriever = self.vector_index.as_retriever(similarity_top_k=min(limit, self.n_passages))
        return [
            dataclasses.replace(self._passages[int(found.node.node_id)], score=float(found.score or 0.0))
            for found in retriever.retrieve(question)
        ]
