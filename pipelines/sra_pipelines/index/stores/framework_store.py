"""Store the vectors of an index in any vector store of LlamaIndex.

Each record is a LlamaIndex node with the text, document and page of the passage, so that other programs can read it;
answers still use the index on disk. A separate record, the ledger, lists the documents that are stored completely. It
is written before and after the vectors, alternately under two ids, so that after an interruption at any time one valid
ledger exists that lists all documents that may be in the store.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery

from sra_pipelines.index.stores.vector_store import Hit, VectorDocument, VectorStoreError
from sra_pipelines.values import Passage
from sra_rag.errors import SRAError, first_line

__all__ = ["FrameworkStore", "passage_metadata", "reaching"]

_AT_ONCE = 1000  # passages between two entries in the ledger
_LEDGERS = tuple(str(uuid.uuid5(uuid.NAMESPACE_OID, f"sra-rag ledger {i}")) for i in range(2))


class FrameworkStore:
    """Vectors in a LlamaIndex vector store.

    Parameters
    ----------
    vectors
        The vector store. It must be used by this index only, compare by cosine, and store texts.
    where
        Name of the store in messages.
    owner
        Id of the index, which prevents two indexes from sharing a store.
    dimension
        Dimension of the vectors.
    on_close
        Function that closes the connections.

    Notes
    -----
    Each method raises `VectorStoreError` if the store fails or belongs to another index.
    """

    def __init__(
        self,
        vectors: BasePydanticVectorStore,
        *,
        where: str,
        owner: str,
        dimension: int,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.vectors = vectors
        self.where = where
        self._owner = owner
        self._dimension = dimension
        self._on_close = on_close

    def close(self) -> None:
        """Close the connections; the store must not be used afterwards."""
        if self._on_close is not None:
            self._on_close()

    def held(self) -> frozenset[str]:
        """See `VectorStore`."""
        _, whole, _ = self._ledger()
        return frozenset(whole)

    def add(self, documents: Iterable[VectorDocument]) -> None:
        """See `VectorStore`."""
        version, whole, begun = self._ledger()
        for group in _groups(document for document in documents if document.key not in whole):
            keys = {document.key for document in group}
            begun |= keys
            version = self._write_ledger(version, whole, begun)
            with reaching(self.where):
                for document in group:
                    self.vectors.delete(document.key)  # remove remains of an interrupted add
                    if nodes := _nodes(document):
                        self.vectors.add(nodes)
            whole |= keys
            begun -= keys
            version = self._write_ledger(version, whole, begun)

    def keep(self, keys: Collection[str]) -> None:
        """See `VectorStore`."""
        version, whole, begun = self._ledger()
        gone = (whole | begun).difference(keys)
        if not gone:
            return
        version = self._write_ledger(version, whole - gone, begun | gone)
        with reaching(self.where):
            for key in sorted(gone):
                self.vectors.delete(key)
        self._write_ledger(version, whole - gone, begun - gone)

    def search(self, vector: npt.NDArray[np.float32], limit: int) -> list[Hit]:
        """See `VectorStore`."""
        if limit < 1:
            return []
        most = limit + len(_LEDGERS)  # ledgers may be among the results
        query = VectorStoreQuery(query_embedding=np.asarray(vector).reshape(-1).tolist(), similarity_top_k=most)
        with reaching(self.where):
            result = self.vectors.query(query)
        scores = result.similarities or []
        hits = [
            Hit(*_place(number), float(score))
            for number, score in zip(result.ids or [], scores, strict=True)
            if number not in _LEDGERS
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def _ledger(self) -> tuple[int, set[str], set[str]]:
        """Return the version of the ledger, the complete documents, and those that may be incomplete."""
        with reaching(self.where):
            nodes = self.vectors.get_nodes(node_ids=list(_LEDGERS))
        entries = [json.loads(node.get_content()) for node in nodes]
        if not entries:
            return 0, set(), set()
        newest = max(entries, key=lambda entry: int(entry["version"]))
        if newest["index"] != self._owner:
            raise VectorStoreError(
                f"{self.where}: the store contains the vectors of another index. Give another store for this index."
            )
        return int(newest["version"]), set(newest["whole"]), set(newest["begun"])

    def _write_ledger(self, version: int, whole: set[str], begun: set[str]) -> int:
        entry = {"version": version + 1, "index": self._owner, "whole": sorted(whole), "begun": sorted(begun)}
        # Any nonzero vector works; the cosine of a zero vector is undefined.
        node = TextNode(
            id_=_LEDGERS[(version + 1) % 2],
            text=json.dumps(entry),
            embedding=[1.0] + [0.0] * (self._dimension - 1),
            metadata={"kind": "ledger"},
        )
        with reaching(self.where):
            self.vectors.delete_nodes(node_ids=[node.node_id])
            self.vectors.add([node])
            self.vectors.delete_nodes(node_ids=[_LEDGERS[version % 2]])
        return version + 1


@contextmanager
def reaching(where: str) -> Iterator[None]:
    """Convert exceptions of the client of a store to `VectorStoreError`.

    Raises
    ------
    VectorStoreError
        For any exception that is not an `SRAError`; the original exception is its cause.
    """
    try:
        yield
    except SRAError:
        raise
    except Exception as error:
        raise VectorStoreError(
            f"{where}: the vector store failed ({first_line(error)}). Check that its server is running, that it can be "
            "reached from this machine, and that the user and password, or the key, are correct."
        ) from error


def passage_metadata(passage: Passage) -> dict[str, str | int]:
    """Return the position of a passage as metadata of a framework document."""
    return {
        "document": passage.document,
        "page_index": passage.page_index,
        "page_label": passage.page_label,
        "section": passage.section,
        "start": passage.start,
        "end": passage.end,
    }


def _groups(documents: Iterable[VectorDocument]) -> Iterator[list[VectorDocument]]:
    group: list[VectorDocument] = []
    for document in documents:
        group.append(document)
        if sum(len(member.passages) for member in group) >= _AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _nodes(document: VectorDocument) -> list[TextNode]:
    source = RelatedNodeInfo(node_id=document.key)
    return [
        TextNode(
            id_=_id(document.key, position),
            text=passage.text.replace("\x00", "\ufffd"),  # PostgreSQL does not store NUL characters
            embedding=vector.tolist(),
            metadata=passage_metadata(passage),
            relationships={NodeRelationship.SOURCE: source},
        )
        for position, (passage, vector) in enumerate(zip(document.passages, document.vectors, strict=True))
    ]


def _id(key: str, position: int) -> str:
    """Return a UUID, since Qdrant accepts only UUIDs as text ids; `_place` is the inverse."""
    return str(uuid.UUID(bytes=bytes.fromhex(key) + position.to_bytes(4, "big")))


def _place(number: str) -> tuple[str, int]:
    value = uuid.UUID(number).bytes
    return value[:12].hex(), int.from_bytes(value[12:], "big")
