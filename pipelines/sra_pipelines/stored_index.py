"""An index on disk, opened for questions: one consistent revision in memory, changed only by `refresh`."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.documents import Document, Page
from sra_pipelines.embedding import load_embedding
from sra_pipelines.embedding_identity import EmbeddingIdentity, unit_vectors
from sra_pipelines.passages import Passage
from sra_pipelines.schema import StoreError, connect, exists, transaction
from sra_pipelines.stored_document import IndexedDocument, list_documents, load_document

__all__ = ["StoredIndex", "index_documents", "open_index", "own_embedding", "read_meta"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Revision:
    number: int
    documents: tuple[IndexedDocument, ...]
    pages: dict[str, tuple[Page, ...]]
    passages: tuple[Passage, ...]
    vectors: faiss.IndexFlatIP


class StoredIndex:
    """An index on disk, held in memory as it was when it was opened or last refreshed.

    Any number of processes and threads may read while one writes.

    Parameters
    ----------
    folder
        Where the index lies.
    embedding
        Embeds questions; the model that the index was built with.

    Raises
    ------
    StoreError
        If there is no index, or it is damaged or of another version.
    EmbeddingMismatchError
        If the index was built with another model.
    """

    def __init__(self, folder: Path | str, embedding: BaseEmbedding) -> None:
        self.folder = Path(folder)
        self.embedding = embedding
        with connect(self.folder) as connection:
            identity = EmbeddingIdentity.from_meta(read_meta(connection))
        identity.require_same(EmbeddingIdentity.of(embedding), str(self.folder))
        self._now = _load(self.folder)

    @property
    def n_passages(self) -> int:
        """How many passages there are."""
        return len(self._now.passages)

    @property
    def revision(self) -> int:
        """Which revision is held; each change on disk has a greater one."""
        return self._now.number

    def documents(self) -> Sequence[IndexedDocument]:
        """Return what the index holds, in the order of names."""
        return self._now.documents

    def pages(self, document: str) -> Sequence[Page]:
        """Return a document's pages.

        Raises
        ------
        KeyError
            If the index holds no such document.
        """
        return self._now.pages[document]

    def whole_documents(self) -> list[Document]:
        """Return each document with its pages, named as its file is."""
        return [Document(Path(about.path), tuple(self._now.pages[about.name])) for about in self._now.documents]

    def passages(self) -> Sequence[Passage]:
        """Return all passages, document by document, in reading order."""
        return self._now.passages

    def search(self, question: str, limit: int) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first; scores are cosines."""
        now = self._now  # a refresh in another thread changes nothing for this question
        if not now.passages or limit < 1:
            return []
        vector = unit_vectors([self.embedding.get_query_embedding(question)])
        scores, numbers = now.vectors.search(vector, min(limit, len(now.passages)))
        return [
            dataclasses.replace(now.passages[number], score=float(score))
            for score, number in zip(scores[0], numbers[0], strict=True)
        ]

    def refresh(self) -> bool:
        """Take over what was changed on disk since; return whether anything was."""
        with connect(self.folder) as connection:
            number = int(read_meta(connection)["revision"])
        if number == self._now.number:
            return False
        self._now = _load(self.folder)
        return True


def own_embedding(folder: Path) -> str:
    """Return the name of the model that an index was built with; the embedded one where there is no index yet."""
    if not exists(folder):
        return "embedded"
    with connect(folder) as connection:
        return str(read_meta(connection)["embedding_name"])


def open_index(folder: Path | str, embedding: str | None = None) -> StoredIndex:
    """Open an index with the embedding model of that name, by default its own.

    Raises
    ------
    StoreError, EmbeddingMismatchError, ModelLoadError
        See `StoredIndex` and `load_embedding`.
    """
    with connect(Path(folder)):  # says at once if there is none
        pass
    return StoredIndex(folder, load_embedding(embedding or own_embedding(Path(folder))))


def index_documents(folder: Path) -> list[IndexedDocument]:
    """Return what an index holds, without loading it or a model."""
    with connect(folder) as connection:
        return list(list_documents(connection).values())


def read_meta(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return what an index says of itself."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _load(folder: Path) -> _Revision:
    with connect(folder) as connection, transaction(connection, "DEFERRED"):  # all reads see one revision
        meta = read_meta(connection)
        dimension = int(meta["embedding_dimension"])
        vectors = faiss.IndexFlatIP(dimension)
        pages: dict[str, tuple[Page, ...]] = {}
        passages: list[Passage] = []
        documents = list_documents(connection)
        for number, about in documents.items():
            try:
                stored, _ = load_document(connection, number, about, dimension)
            except ValueError as error:
                raise StoreError(
                    f"{folder}: the index is damaged ({about.name}: {error}). Build it anew in another folder, or "
                    "bring back a copy."
                ) from error
            pages[about.name] = stored.pages
            passages += stored.passages
            if len(stored.passages):
                vectors.add(np.ascontiguousarray(stored.vectors))
    return _Revision(int(meta["revision"]), tuple(documents.values()), pages, tuple(passages), vectors)
