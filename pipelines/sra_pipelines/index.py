"""Passages of documents, found again by meaning: split, embedded, and kept in a FAISS index."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import faiss
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.vector_stores.faiss import FaissVectorStore

from sra_pipelines.documents import Document
from sra_pipelines.passages import Passage

__all__ = ["DocumentIndex"]

_CHUNK_TOKENS = 220  # what all-MiniLM-L6-v2 reads of a passage is 256 tokens of its own
_CHUNK_OVERLAP = 32
_EMBED_AT_ONCE = 32
_METADATA = ("document", "page_index", "page_label", "start", "end")


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
        nodes = _split(documents)
        self._passages = [_passage(node) for node in nodes]
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
        return [_passage(found.node, float(found.score or 0.0)) for found in retriever.retrieve(question)]


def _passage(node: BaseNode, score: float = 0.0) -> Passage:
    known = {field: node.metadata[field] for field in _METADATA}
    return Passage(text=node.get_content(MetadataMode.NONE), score=score, **known)


def _split(documents: Sequence[Document]) -> list[TextNode]:
    """Split page by page, so that each passage stands on one page."""
    splitter = SentenceSplitter(chunk_size=_CHUNK_TOKENS, chunk_overlap=_CHUNK_OVERLAP)
    nodes = []
    for document in documents:
        for page in document.pages:
            position = 0
            for text in splitter.split_text(page.text):
                # Passages overlap, so each begins behind the beginning of the one before it.
                start = max(page.text.find(text, position), 0)
                position = start + 1
                metadata = dict(
                    zip(_METADATA, (document.name, page.index, page.label, start, start + len(text)), strict=True)
                )
                nodes.append(TextNode(text=text, metadata=metadata, excluded_embed_metadata_keys=list(_METADATA[1:])))
    return nodes
