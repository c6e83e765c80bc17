"""Any of LlamaIndex's vector stores as the place where an index's vectors lie.

A record there is a node as LlamaIndex writes them, with the passage's text, document and page, so that other programs
can read it; the index on disk stays what the answers are made from. Which documents are there as a whole says a ledger,
a record of its own. It is written before and after the vectors, into two places in turn, so that after an interruption
at any moment one of them stands and names all that may lie there.
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
    """Vectors in a vector store of LlamaIndex's.

    Parameters
    ----------
    vectors
        The vector store; it must be this index's alone, compare by cosine and keep texts.
    where
        What messages call it.
    owner
        Tells this index from others, so that two are never mixed.
    dimension
        Length of the vectors.
    on_close
        Lets go of connections.

    Notes
    -----
    Each method raises `VectorStoreError` if the store does not answer or holds another index.
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
        """Let go of the server; the store is not used any more."""
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
            version = self._note(version, whole, begun)
            with reaching(self.where):
                for document in group:
                    self.vectors.delete(document.key)  # what an interruption left of it
                    if nodes := _nodes(document):
                        self.vectors.add(nodes)
            whole |= keys
            begun -= keys
            version = self._note(version, whole, begun)

    def keep(self, keys: Collection[str]) -> None:
        """See `VectorStore`."""
        version, whole, begun = self._ledger()
        gone = (whole | begun).difference(keys)
        if not gone:
            return
        version = self._note(version, whole - gone, begun | gone)
        with reaching(self.where):
            for key in sorted(gone):
                self.vectors.delete(key)
        self._note(version, whole - gone, begun - gone)

    def search(self, vector: npt.NDArray[np.float32], limit: int) -> list[Hit]:
        """See `VectorStore`."""
        if limit < 1:
            return []
        most = limit + len(_LEDGERS)  # which may come among the nearest
        query = VectorStoreQuery(query_embedding=np.asarray(vector).reshape(-1).tolist(), similarity_top_k=most)
        with reaching(self.where):
            found = self.vectors.query(query)
        scores = found.similarities or []
        hits = [
            Hit(*_place(number), float(score))
            for number, score in zip(found.ids or [], scores, strict=True)
            if number not in _LEDGERS
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def _ledger(self) -> tuple[int, set[str], set[str]]:
        """Return the ledger's version, the documents that are here as a whole, and those that may be in part."""
        with reaching(self.where):
            found = self.vectors.get_nodes(node_ids=list(_LEDGERS))
        entries = [json.loads(node.get_content()) for node in found]
        if not entries:
            return 0, set(), set()
        newest = max(entries, key=lambda entry: int(entry["version"]))
        if newest["index"] != self._owner:
            raise VectorStoreError(
                f"{self.where}: it holds the vectors of another index. Name another place for this one."
            )
        return int(newest["version"]), set(newest["whole"]), set(newest["begun"])

    def _note(self, version: int, whole: set[str], begun: set[str]) -> int:
        entry = {"version": version + 1, "index": self._owner, "whole": sorted(whole), "begun": sorted(begun)}
        # Any direction will do; a vector of zeros has no cosine.
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
    """Say which store fails, whatever its client raises.

    Raises
    ------
    VectorStoreError
        In place of any exception that is not one of ours; that one becomes its cause.
    """
    try:
        yield
    except SRAError:
        raise
    except Exception as error:
        raise VectorStoreError(
            f"{where}: the vector store does not do what it is asked ({first_line(error)}). Check that its server "
            "runs, that it may be reached from here, and that user and password, or key, are right."
        ) from error


def passage_metadata(passage: Passage) -> dict[str, str | int]:
    """Return what tells where a passage stands, as frameworks keep it beside the text."""
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
        if sum(len(one.passages) for one in group) >= _AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _nodes(document: VectorDocument) -> list[TextNode]:
    source = RelatedNodeInfo(node_id=document.key)
    return [
        TextNode(
            id_=_id(document.key, position),
            text=passage.text.replace("\x00", "\ufffd"),  # PostgreSQL keeps no text with the character 0
            embedding=vector.tolist(),
            metadata=passage_metadata(passage),
            relationships={NodeRelationship.SOURCE: source},
        )
        for position, (passage, vector) in enumerate(zip(document.passages, document.vectors, strict=True))
    ]


def _id(key: str, position: int) -> str:
    """Return a UUID, the only text that Qdrant takes as an id; it is read back by `_place`."""
    return str(uuid.UUID(bytes=bytes.fromhex(key) + position.to_bytes(4, "big")))


def _place(number: str) -> tuple[str, int]:
    value = uuid.UUID(number).bytes
    return value[:12].hex(), int.from_bytes(value[12:], "big")
