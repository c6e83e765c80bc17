"""The passages, vectors and questions of `index_sizes.py`."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pydantic
from llama_index.core.embeddings import BaseEmbedding
from sra_pipelines.index.catalog import IndexedDocument, list_documents, own_embedding, read_meta
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.schema import connect
from sra_pipelines.index.stored_document import StoredDocument, load_document
from sra_pipelines.readers import read_document
from sra_pipelines.reading.finding import find_documents
from sra_pipelines.reading.splitting import split_document
from sra_pipelines.values import Page, Passage

__all__ = ["PASSAGES", "KnownVectors", "Question", "Source", "document_of", "load_questions", "stored_documents"]
__all__ += ["write_questions"]

PASSAGES = 100  # of a document
QUESTIONS = 40
DIMENSION = 384  # of random vectors
_SHARE = 0.5  # of the difference of two passages


class Question(NamedTuple):
    """A question and its vector."""

    text: str
    vector: list[float]


class KnownVectors(BaseEmbedding):
    """An embedding of texts whose vectors are known; other texts have random ones, the same for the same text."""

    known: dict[str, list[float]] = pydantic.Field(default_factory=dict)
    dimension: int = DIMENSION

    def _get_text_embedding(self, text: str) -> list[float]:
        return self.known[text] if text in self.known else random_vector(text, self.dimension)

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Source:
    """Texts to draw passages from, and their vectors.

    Parameters
    ----------
    texts
        Folder of files whose passages are drawn; vectors are random.
    like
        Index of sra-rag whose passages are drawn. A vector is that of the passage plus half of the difference of the
        vectors of two other ones, so the vectors vary in the directions in which those of texts vary.
    """

    def __init__(self, texts: Path | None, like: Path | None) -> None:
        self._like = like
        self._base: npt.NDArray[np.float32] | None = None
        if like is None:
            assert texts is not None  # noqa: S101 - one of them is required by the command
            files = find_documents([texts])
            self.texts = [p.text for path in files for p in split_document(read_document(path), path.stem)]
            return
        with connect(like) as connection:
            dimension = int(read_meta(connection)["embedding_dimension"])
            documents = [
                load_document(connection, number, metadata, dimension)[0]
                for number, metadata in list_documents(connection).items()
            ]
        self.texts = [passage.text for document in documents for passage in document.passages]
        self._base = np.concatenate([document.vectors for document in documents])

    @property
    def dimension(self) -> int:
        """Dimension of the vectors."""
        return DIMENSION if self._base is None else self._base.shape[1]

    def document(self, name: str) -> StoredDocument:
        """Return a document of one page for each passage."""
        chosen = random.Random(name).choices(range(len(self.texts)), k=PASSAGES)  # noqa: S311 - not for secrets
        rng = np.random.default_rng(list(name.encode()))
        if self._base is None:
            vectors = rng.standard_normal((PASSAGES, DIMENSION)).astype(np.float32)
        else:
            one, other = rng.integers(len(self._base), size=(2, PASSAGES))
            vectors = self._base[chosen] + _SHARE * (self._base[one] - self._base[other])
        return document_of(name, [self.texts[number] for number in chosen], vectors)

    def questions(self, passages: Sequence[Passage]) -> list[Question]:
        """Return the beginnings of passages as questions."""
        texts = [" ".join(passage.text.split()[2:14]) for passage in passages]
        if self._like is None:
            return [Question(text, random_vector(text, DIMENSION)) for text in texts]
        embedding = load_embedding(own_embedding(self._like))
        return [Question(text, embedding.get_query_embedding(text)) for text in texts]


def document_of(name: str, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> StoredDocument:
    """Return a document with a page for each text, and vectors of length 1."""
    pages = tuple(Page(n, str(n + 1), f"{name} {n}. {text}") for n, text in enumerate(texts))
    passages = tuple(Passage(name, p.index, p.label, p.text, 0.0, "", 0, len(p.text)) for p in pages)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    metadata = IndexedDocument(
        name,
        f"/{name}.txt",
        hashlib.sha256(name.encode()).hexdigest(),
        1,
        len(pages),
        len(pages),
        "2025-01-01T00:00:00",
    )
    return StoredDocument(metadata, pages, passages, vectors)


def stored_documents(connection: sqlite3.Connection) -> Iterator[StoredDocument]:
    """Yield the documents of an index of sra-rag."""
    dimension = int(read_meta(connection)["embedding_dimension"])
    for number, metadata in list_documents(connection).items():
        yield load_document(connection, number, metadata, dimension)[0]


def write_questions(path: Path, source: Source, index: Path) -> None:
    """Write questions about passages of an index, so that the process that measures loads neither texts nor models."""
    with connect(index) as connection:
        documents = list(islice(stored_documents(connection), QUESTIONS))
    numbers = range(QUESTIONS)
    questions = source.questions([documents[n % len(documents)].passages[7 + n // len(documents)] for n in numbers])
    path.write_text(json.dumps(questions), encoding="utf-8")


def load_questions(path: Path) -> list[Question]:
    """Load the questions of `write_questions`."""
    return [Question(*question) for question in json.loads(path.read_text("utf-8"))]


def random_vector(text: str, dimension: int) -> list[float]:
    """Return a random vector of length 1, the same for the same text."""
    vector = np.random.default_rng(list(text.encode())).standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).tolist()
