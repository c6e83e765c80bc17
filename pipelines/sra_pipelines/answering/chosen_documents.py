"""Some of an index's documents, asked as if they were all of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Passage

__all__ = ["ChosenDocuments", "DocumentChoice"]

_KEPT = 8  # choices whose keyword index is kept


class ChosenDocuments:
    """Some documents of an index; what else it holds is not found.

    Parameters
    ----------
    index
        What is searched; its changes are seen.
    names
        The documents. Names that the index does not hold are passed over.
    """

    def __init__(self, index: PassageIndex, names: Iterable[str]) -> None:
        self.index = index
        self.names = frozenset(names)

    @property
    def n_passages(self) -> int:
        """How many passages the documents have."""
        return len(self.passages())

    @property
    def revision(self) -> int:
        """That of the whole index."""
        return self.index.revision

    def passages(self) -> Sequence[Passage]:
        """Return the documents' passages, document by document, in reading order."""
        return [passage for passage in self.index.passages() if passage.document in self.names]

    def search(self, question: str, limit: int) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first, with their scores."""
        # The search is exhaustive anyway, so that of the whole index, narrowed afterwards, misses none.
        found = self.index.search(question, self.index.n_passages)
        return [passage for passage in found if passage.document in self.names][:limit]


class DocumentChoice:
    """Questions to some of the documents of one `DocumentQA`; the latest choices are kept ready.

    Parameters
    ----------
    qa
        The whole index and the model.
    """

    def __init__(self, qa: DocumentQA) -> None:
        self.qa = qa
        self._lock = threading.Lock()
        self._known: OrderedDict[frozenset[str], DocumentQA] = OrderedDict()

    def of(self, names: Iterable[str]) -> DocumentQA:
        """Return what answers from these documents; from all of them where none is named."""
        chosen = frozenset(names)
        if not chosen:
            return self.qa
        with self._lock:
            if chosen not in self._known:
                index = ChosenDocuments(self.qa.index, chosen)
                like = self.qa.retriever
                retriever = Retriever(
                    index, method=like.method, reranker=like.reranker, order=like.order, whole_pages=like.whole_pages
                )
                self._known[chosen] = DocumentQA(
                    index,
                    self.qa.engine,
                    context_tokens=self.qa.context_tokens,
                    retriever=retriever,
                    preset=self.qa.preset,
                )
            self._known.move_to_end(chosen)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return self._known[chosen]
