"""Restrict questions to some of the documents of an index."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.retrieval.keyword_counts import PackedCounts
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.structure.document_structure import DocumentStructure
from sra_pipelines.values import Passage

__all__ = ["ChosenDocuments", "DocumentChoice"]

_KEPT = 8  # selections whose keyword index is cached


class ChosenDocuments:
    """A view of an index that is limited to some of its documents.

    Parameters
    ----------
    index
        The index to search. Later changes of the index are visible.
    names
        Names of the documents. Names that are not in the index are ignored.
    """

    def __init__(self, index: PassageIndex, names: Iterable[str]) -> None:
        self.index = index
        self.names = frozenset(names)

    @property
    def embedding(self) -> Any:
        """The embedding model of the whole index; None if it is not known."""
        return getattr(self.index, "embedding", None)

    @property
    def n_passages(self) -> int:
        """Number of passages of the documents."""
        return len(self.passages())

    @property
    def revision(self) -> int:
        """Revision of the whole index."""
        return self.index.revision

    def passages(self) -> Sequence[Passage]:
        """Return the documents' passages, document by document, in reading order."""
        if grouped := self.passages_of_documents():
            return list(chain.from_iterable(grouped.values()))
        return [passage for passage in self.index.passages() if passage.document in self.names]

    def passages_of_documents(self) -> Mapping[str, Sequence[Passage]]:
        """Return the passages of each document, if the index has them by document, see `StoredIndex`."""
        return self._of_names("passages_of_documents")

    def keyword_counts(self) -> Mapping[str, PackedCounts]:
        """Return the counts of keywords that the index has, see `StoredIndex.keyword_counts`."""
        return self._of_names("keyword_counts")

    def structures(self) -> Mapping[str, DocumentStructure]:
        """Return the kinds of pages that the index has, see `StoredIndex.structures`."""
        return self._of_names("structures")

    def search(self, question: str, limit: int, *, phrases: Sequence[str] = ()) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first, with their scores."""
        search_documents = getattr(self.index, "search_documents", None)
        if search_documents is not None:
            hits: list[Passage] = search_documents(question, limit, self.names, phrases=phrases)
            return hits
        # The search is exhaustive in any case, so filtering its results loses no passage.
        hits = self.index.search(question, self.index.n_passages, phrases=phrases)
        return [passage for passage in hits if passage.document in self.names][:limit]

    def _of_names(self, values: str) -> dict[str, Any]:
        """Return those of the values of an index by document that are for the chosen ones; empty if it has none."""
        own: Mapping[str, Any] = getattr(self.index, values, dict)()
        return {name: value for name, value in own.items() if name in self.names}


class DocumentChoice:
    """Answers questions about some of the documents of a `DocumentQA`; the most recent selections are cached.

    Parameters
    ----------
    qa
        Pipeline over the whole index.
    """

    def __init__(self, qa: DocumentQA) -> None:
        self.qa = qa
        self._lock = threading.Lock()
        self._cached: OrderedDict[frozenset[str], DocumentQA] = OrderedDict()

    def of(self, names: Iterable[str]) -> DocumentQA:
        """Return a pipeline limited to these documents, or the pipeline over all documents if `names` is empty."""
        chosen = frozenset(names)
        if not chosen:
            return self.qa
        with self._lock:
            if chosen not in self._cached:
                index = ChosenDocuments(self.qa.index, chosen)
                base = self.qa.retriever
                retriever = Retriever(
                    index,
                    method=base.method,
                    reranker=base.reranker,
                    order=base.order,
                    whole_pages=base.whole_pages,
                    vocabulary=base.vocabulary,
                    topics=base.topics,
                )
                self._cached[chosen] = DocumentQA(
                    index,
                    self.qa.engine,
                    context_tokens=self.qa.context_tokens,
                    retriever=retriever,
                    preset=self.qa.preset,
                )
            self._cached.move_to_end(chosen)
            while len(self._cached) > _KEPT:
                self._cached.popitem(last=False)
            return self._cached[chosen]
