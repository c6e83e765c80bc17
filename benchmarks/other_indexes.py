"""Other indexes of the same passages and vectors, for index_sizes.py: LlamaIndex with FAISS and bm25s, and Qdrant.

Each class is built from the documents of an index of sra-rag, and then opened, searched and changed in another process.
A search returns the ids of passages by reciprocal rank of a dense search (200) and a search by words (20), as
`Retriever.search` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import bm25s
import faiss
import qdrant_edge
import Stemmer
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.vector_stores.faiss import FaissVectorStore
from sra_pipelines.index.stored_document import StoredDocument

__all__ = ["SYSTEMS", "LlamaIndexFolder", "OtherIndex", "QdrantEdge"]

_DENSE, _WORDS = 200, 20  # candidates of each search
_K = 60  # of reciprocal rank fusion
_AT_ONCE = 1000  # points


class OtherIndex(Protocol):
    """An index that is built in one process and used in another."""

    def __init__(self, folder: Path) -> None: ...

    def build(self, documents: Iterable[StoredDocument], dimension: int) -> None:
        """Create the index on the disk."""
        ...

    def open(self) -> None:
        """Open the index that was built."""
        ...

    def search(self, question: str, vector: Sequence[float]) -> list[str]:
        """Return the ids of the best passages."""
        ...

    def nearest(self, question: str, vector: Sequence[float]) -> list[str]:
        """Return the ids of the 200 passages that are closest to a question, as far as the index finds them."""
        ...

    def add(self, document: StoredDocument) -> None:
        """Add a document, so that a search finds it."""
        ...

    def save(self) -> None:
        """Write what was added to the disk, if `add` did not."""
        ...


class LlamaIndexFolder:
    """LlamaIndex's FaissVectorStore (exact search) and document store, persisted, and bm25s, which is made again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, documents: Iterable[StoredDocument], dimension: int) -> None:
        """See `OtherIndex`."""
        store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(dimension))
        context = StorageContext.from_defaults(vector_store=store)
        self._index = VectorStoreIndex([], storage_context=context, embed_model=MockEmbedding(embed_dim=dimension))
        self._ids: list[str] = []
        self._texts: list[str] = []
        for document in documents:
            self._insert(document)
        self._count_words()
        self.save()

    def open(self) -> None:
        """See `OtherIndex`."""
        store = FaissVectorStore.from_persist_dir(str(self._folder))
        context = StorageContext.from_defaults(vector_store=store, persist_dir=str(self._folder))
        self._index = load_index_from_storage(context, embed_model=MockEmbedding(embed_dim=1))
        self._bm25 = bm25s.BM25.load(str(self._folder / "bm25"))
        nodes = self._index.docstore.docs
        self._ids, self._texts = list(nodes), [node.text for node in nodes.values()]

    def search(self, question: str, vector: Sequence[float]) -> list[str]:
        """See `OtherIndex`."""
        numbers, scores = self._bm25.retrieve(self._tokens([question]), k=_WORDS, show_progress=False)
        words = [self._ids[number] for number, score in zip(numbers[0], scores[0], strict=True) if score > 0]
        return fused(self.nearest(question, vector), words)

    def nearest(self, question: str, vector: Sequence[float]) -> list[str]:
        """See `OtherIndex`."""
        retriever = self._index.as_retriever(similarity_top_k=_DENSE)
        return [hit.node.node_id for hit in retriever.retrieve(QueryBundle(question, embedding=list(vector)))]

    def add(self, document: StoredDocument) -> None:
        """See `OtherIndex`."""
        self._insert(document)
        self._count_words()

    def save(self) -> None:
        """See `OtherIndex`."""
        self._index.storage_context.persist(str(self._folder))
        self._bm25.save(str(self._folder / "bm25"))

    def _insert(self, document: StoredDocument) -> None:
        nodes = [
            TextNode(
                id_=identity,
                text=passage.text,
                metadata={"document": passage.document, "page": passage.page_label},
                embedding=vector.tolist(),
            )
            for identity, passage, vector in zip(_ids(document), document.passages, document.vectors, strict=True)
        ]
        self._index.insert_nodes(nodes)
        for node in nodes:
            node.embedding = None  # FAISS has it
        self._ids += [node.node_id for node in nodes]
        self._texts += [node.text for node in nodes]

    def _count_words(self) -> None:
        self._bm25 = bm25s.BM25()
        self._bm25.index(self._tokens(self._texts), show_progress=False)

    @staticmethod
    def _tokens(texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)


class QdrantEdge:
    """Qdrant in this process (qdrant-edge-py), with its own graph (HNSW) and BM25 over the texts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, documents: Iterable[StoredDocument], dimension: int) -> None:
        """See `OtherIndex`."""
        self._folder.mkdir(parents=True)
        self._shard = qdrant_edge.EdgeShard.create(
            str(self._folder),
            qdrant_edge.EdgeConfig(
                vectors=qdrant_edge.EdgeVectorParams(dimension, qdrant_edge.Distance.Dot),
                # Qdrant's defaults, but without links for filters by frequent words of the texts: nothing filters here.
                hnsw_config=qdrant_edge.HnswIndexConfig(16, 100, 10_000, max_indexing_threads=1, payload_m=0),
                max_search_threads=1,
            ),
        )
        english = qdrant_edge.SnowballParams(qdrant_edge.SnowballLanguage.English)
        words = qdrant_edge.TextIndexParams(
            stopwords=qdrant_edge.Language.English, stemmer=english, lowercase=True, scoring=True
        )
        self._shard.update(qdrant_edge.UpdateOperation.create_field_index("text", words))
        self._number = 0
        for batch in _batches(point for document in documents for point in self._points(document)):
            self._shard.update(qdrant_edge.UpdateOperation.upsert_points(batch))
        self._shard.optimize()
        self._shard.flush()
        self._shard.close()

    def open(self) -> None:
        """See `OtherIndex`."""
        self._shard = qdrant_edge.EdgeShard.load(str(self._folder))
        self._number = self._shard.count(qdrant_edge.CountRequest(exact=True))

    def search(self, question: str, vector: Sequence[float]) -> list[str]:
        """See `OtherIndex`."""
        return fused(self.nearest(question, vector), self._ranked(qdrant_edge.TextQuery("text", question), _WORDS))

    def nearest(self, question: str, vector: Sequence[float]) -> list[str]:
        """See `OtherIndex`."""
        del question
        return self._ranked(qdrant_edge.Query.Nearest(list(vector)), _DENSE)

    def add(self, document: StoredDocument) -> None:
        """See `OtherIndex`."""
        self._shard.update(qdrant_edge.UpdateOperation.upsert_points(list(self._points(document))))

    def save(self) -> None:
        """See `OtherIndex`."""
        self._shard.flush()

    def _ranked(self, query: object, limit: int) -> list[str]:
        request = qdrant_edge.QueryRequest(limit, query=query, with_payload=True)
        return [point.payload["id"] for point in self._shard.query(request)]

    def _points(self, document: StoredDocument) -> Iterator[object]:
        for identity, passage, vector in zip(_ids(document), document.passages, document.vectors, strict=True):
            payload = {"id": identity, "text": passage.text, "document": passage.document, "page": passage.page_label}
            yield qdrant_edge.Point(self._number, vector.tolist(), payload)
            self._number += 1


SYSTEMS: dict[str, type[OtherIndex]] = {"LlamaIndex": LlamaIndexFolder, "Qdrant": QdrantEdge}


def fused(*rankings: Sequence[str]) -> list[str]:
    """Return the ids of rankings by reciprocal rank fusion."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, identity in enumerate(ranking, 1):
            scores[identity] = scores.get(identity, 0.0) + 1 / (_K + rank)
    return sorted(scores, key=lambda identity: scores[identity], reverse=True)


def _ids(document: StoredDocument) -> list[str]:
    """Return the ids of the passages of a document."""
    return [f"{document.metadata.name} {number}" for number in range(len(document.passages))]


def _batches(points: Iterable[object]) -> Iterator[list[object]]:
    batch: list[object] = []
    for point in points:
        batch.append(point)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
