"""Passages of documents, found again by meaning: split, embedded, and kept in a FAISS index."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import faiss
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import MetadataMode, TextNode
from llama_index.vector_stores.faiss import FaissVectorStore

from sra_pipelines.documents import Document

__all__ = ["DocumentIndex", "Passage"]

_CHUNK_TOKENS = 220  # what all-MiniLM-L6-v2 reads of a passage is 256 tokens of its own
_CHUNK_OVERLAP = 32
_EMBED_AT_ONCE = 32


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
        Similarity to the question, greater is closer; 0 where it was not asked for.
    """

    document: str
    page_index: int
    page_label: str
    text: str
    score: float = 0.0


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
        nodes = _split(documents)
        self.n_passages = len(nodes)
        for start in range(0, len(nodes), _EMBED_AT_ONCE):
            batch = nodes[start : start + _EMBED_AT_ONCE]
            texts = [node.get_content(MetadataMode.EMBED) for node in batch]
            for node, vector in zip(batch, embedding.get_text_embedding_batch(texts), strict=True):
                node.embedding = vector
            if on_passages is not None:
                on_passages(start + len(batch), len(nodes))
        size = len(nodes[0].embedding or ()) if nodes else 1
        store = FaissVectorStore(faiss.IndexFlatIP(size))  # embeddings have unit length: inner product is the cosine
        self.vector_index = VectorStoreIndex(
            nodes, storage_context=StorageContext.from_defaults(vector_store=store), embed_model=embedding
        )

    def search(self, question: str, limit: int) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first."""
        if self.n_passages == 0:
            return []
        retriever = self.vector_index.as_retriever(similarity_top_k=min(limit, self.n_passages))
        return [
            Passage(
                document=found.metadata["document"],
                page_index=found.metadata["page_index"],
                page_label=found.metadata["page_label"],
                text=found.node.get_content(MetadataMode.NONE),
                score=float(found.score or 0.0),
            )
            for found in retriever.retrieve(question)
        ]


def _split(documents: Sequence[Document]) -> list[TextNode]:
    """Split page by page, so that each passage stands on one page."""
    splitter = SentenceSplitter(chunk_size=_CHUNK_TOKENS, chunk_overlap=_CHUNK_OVERLAP)
    return [
        TextNode(
            text=text,
            metadata={"document": document.name, "page_index": page.index, "page_label": page.label},
            excluded_embed_metadata_keys=["page_index", "page_label"],
        )
        for document in documents
        for page in document.pages
        if page.text
        for text in splitter.split_text(page.text)
    ]
