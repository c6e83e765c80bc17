"""The interface of vector stores, and the default implementation with FAISS."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

import faiss
import numpy as np
import numpy.typing as npt

from sra_pipelines.index.schema import StoreError
from sra_pipelines.index.stores.shared_lock import SharedLock
from sra_pipelines.values import Passage

__all__ = ["FaissStore", "Hit", "VectorDocument", "VectorStore", "VectorStoreError"]

_POSITION_BITS = 32  # low bits of a FAISS id: position in the document; the high bits identify the document
_POSITIONS = (1 << _POSITION_BITS) - 1


class VectorStoreError(StoreError):
    """A vector store fails or lacks vectors; the message names the store and the next step."""


class VectorDocument(NamedTuple):
    """The vectors of one document.

    Parameters
    ----------
    key
        Key of twelve bytes in hexadecimal, which depends on the passages and vectors of the document.
    passages
        The passages in reading order.
    vectors
        Unit vectors of the passages; float32, [passages, dimension].
    """

    key: str
    passages: Sequence[Passage]
    vectors: npt.NDArray[np.float32]


class Hit(NamedTuple):
    """A search result: key of the document, position of the passage in the document, and cosine in [-1, 1]."""

    key: str
    position: int
    score: float


class VectorStore(Protocol):
    """Stores vectors of passages and searches them. One process writes at a time; any number may search."""

    def held(self) -> frozenset[str]:
        """Return the keys of the documents whose vectors are stored completely."""
        ...

    def add(self, documents: Iterable[VectorDocument]) -> None:
        """Add documents. After an interruption, `held` returns those that were added completely."""
        ...

    def keep(self, keys: Collection[str]) -> None:
        """Remove all other documents, and incomplete ones from an interruption."""
        ...

    def search(self, vector: npt.NDArray[np.float32], limit: int) -> list[Hit]:
        """Return the passages nearest to a vector, float32 [dimension] of unit length, best first."""
        ...


class FaissStore:
    """Vectors in memory with exact search. It is thread-safe: searches run at the same time, a write runs alone."""

    def __init__(self) -> None:
        self._lock = SharedLock()
        self._index: faiss.IndexIDMap2 | None = None
        self._numbers: dict[str, int] = {}
        self._keys: list[str] = []
        self._lengths: list[int] = []  # numbers of passages

    def held(self) -> frozenset[str]:
        """See `VectorStore`."""
        return frozenset(self._numbers)

    def add(self, documents: Iterable[VectorDocument]) -> None:
        """See `VectorStore`."""
        for key, _, vectors in documents:
            with self._lock.writing():
                if key in self._numbers:
                    continue
                if len(vectors):
                    if self._index is None:  # the inner product of unit vectors is their cosine
                        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
                    ids = _ids(len(self._keys), len(vectors))
                    self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), ids)
                self._numbers[key] = len(self._keys)
                self._keys.append(key)
                self._lengths.append(len(vectors))

    def keep(self, keys: Collection[str]) -> None:
        """See `VectorStore`."""
        with self._lock.writing():
            for key in [key for key in self._numbers if key not in keys]:
                first = self._numbers.pop(key) << _POSITION_BITS
                if self._index is not None:
                    self._index.remove_ids(faiss.IDSelectorRange(first, first + (1 << _POSITION_BITS)))

    def search(self, vector: npt.NDArray[np.float32], limit: int, *, among: Collection[str] | None = None) -> list[Hit]:
        """See `VectorStore`.

        `among` are the keys of the documents that are searched, by default all. The vectors of others are not read.
        """
        question = np.asarray(vector, dtype=np.float32).reshape(1, -1)
        with self._lock.reading():
            if self._index is None or limit < 1:
                return []
            parameters = None
            if among is not None:
                numbers = [self._numbers[key] for key in among if key in self._numbers]
                ids = [_ids(number, self._lengths[number]) for number in numbers]
                if not ids:
                    return []
                selector = faiss.IDSelectorBatch(np.concatenate(ids))
                parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg] # it takes all fields
            scores, found = self._index.search(question, min(limit, self._index.ntotal), params=parameters)
        return [
            Hit(self._keys[number >> _POSITION_BITS], int(number & _POSITIONS), float(score))
            for score, number in zip(scores[0], found[0], strict=True)
            if number >= 0
        ]


def _ids(number: int, n_passages: int) -> npt.NDArray[np.int64]:
    """Return the FAISS ids of the passages of a document."""
    return np.arange(n_passages, dtype=np.int64) + (number << _POSITION_BITS)
