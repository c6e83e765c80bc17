"""Data that a retriever derives from one revision of an index: keywords, pages, and what the pages are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, is_

from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.retrieval.keyword_counts import CountsBlock, PackedCounts
from sra_pipelines.retrieval.keyword_index import KeywordIndex
from sra_pipelines.retrieval.merging import PagesOfDocuments
from sra_pipelines.retrieval.named_documents import DocumentNames
from sra_pipelines.retrieval.packing import Pages
from sra_pipelines.retrieval.vocabulary import VocabularyEntry
from sra_pipelines.structure.document_structure import DocumentStructure, find_structure
from sra_pipelines.structure.page_kinds import PageKind
from sra_pipelines.values import Passage

__all__ = ["Revision"]

_BY_MEANING, _BY_WORDS = 100, 20  # passages of the rankings of a topic
_LONGER = 4  # times as long a ranking is tried if one has too few passages of the documents of a topic

Rankings = tuple[list[Passage], list[Passage]]


class Revision:
    """Data derived from one revision of an index. It is thread-safe.

    Parameters
    ----------
    index
        The index.
    vocabulary
        All topics: the phrases of those in one language are embedded together.
    before
        The data of an earlier revision; what was derived from documents that have not changed is used again.
    """

    def __init__(
        self,
        index: PassageIndex,
        vocabulary: Sequence[VocabularyEntry] = (),
        before: Revision | None = None,
    ) -> None:
        self.number = index.revision
        self.passages: Sequence[Passage] = index.passages()
        # Kinds of pages and counts of keywords are found when a document is added; other indexes, and those of earlier
        # versions, have none.
        counted: Mapping[str, PackedCounts] = getattr(index, "keyword_counts", dict)()
        blocks: Sequence[CountsBlock] = getattr(index, "keyword_blocks", tuple)()
        known_keywords = None if before is None else before.keywords
        self.keywords: KeywordIndex = KeywordIndex(self.passages, known_keywords, counted, blocks)
        grouped: Mapping[str, Sequence[Passage]] = getattr(index, "passages_of_documents", dict)()
        self._of_documents = grouped if _are(grouped, self.passages) else _by_document(self.passages)
        known = {} if before is None else before._of_documents
        unchanged = {name for name, own in self._of_documents.items() if _same(own, known.get(name, ()))}
        self._pages: PagesOfDocuments = PagesOfDocuments(
            self._of_documents, {} if before is None else before._pages.grouped(unchanged)
        )
        self.pages: Pages = self._pages
        self.documents = tuple(self._of_documents)
        self.names: DocumentNames = DocumentNames(self.documents)
        self._search = index.search
        self._vocabulary = tuple(vocabulary)
        self._lock = threading.Lock()
        self._stored: Mapping[str, DocumentStructure] = getattr(index, "structures", dict)()
        self._kinds: dict[str, DocumentStructure] | None = None
        self._kinds_before = {} if before is None else before.known_kinds(unchanged)
        self._rankings: dict[VocabularyEntry, Rankings] = {}

    def kinds(self, document: str) -> Sequence[PageKind]:
        """Return the kinds of the pages of a document, see `find_page_kinds`."""
        return self._structure()[document].kinds

    def is_of_type(self, document: str, types: Sequence[str]) -> bool:
        """Return whether a document is of one of the types, see `document_types`; each is, if there are no types."""
        structure = self._structure().get(document)
        return structure is not None and (not types or not structure.types.isdisjoint(types))

    def rankings(self, entry: VocabularyEntry) -> Rankings:
        """Return the passages for the phrases of a topic, by meaning and by words, whatever the question."""
        with self._lock:
            known = self._rankings.get(entry)
        if known is None:
            text = entry.phrases
            phrases = tuple(other.phrases for other in self._vocabulary if other.language == entry.language)
            known = (
                self._best(lambda limit: self._search(text, limit, phrases=phrases), entry, _BY_MEANING),
                self._best(lambda limit: self._by_words(text, limit), entry, _BY_WORDS),
            )
            with self._lock:
                self._rankings[entry] = known
        return known

    def _best(self, search: Callable[[int], list[Passage]], entry: VocabularyEntry, count: int) -> list[Passage]:
        """Return the best passages of the documents that a topic is for, from a ranking as short as possible."""
        limit = count
        while True:
            ranked = search(limit)
            best = [passage for passage in ranked if self.is_of_type(passage.document, entry.documents)][:count]
            if len(best) == count or len(ranked) < limit:
                return best
            limit *= _LONGER

    def _by_words(self, text: str, limit: int) -> list[Passage]:
        return [self.passages[position] for position, _ in self.keywords.search(text, limit)]

    def known_kinds(self, documents: Collection[str]) -> dict[str, DocumentStructure]:
        """Return the kinds of pages that are known, of some of the documents."""
        with self._lock:
            known = self._kinds or self._kinds_before
        return {document: kinds for document, kinds in known.items() if document in documents}

    def _structure(self) -> dict[str, DocumentStructure]:
        with self._lock:
            if self._kinds is None:
                known = {**self._kinds_before, **self._stored}
                self._kinds = {
                    name: known[name] if name in known else find_structure(own)
                    for name, own in self._of_documents.items()
                }
            return self._kinds


def _by_document(passages: Iterable[Passage]) -> Mapping[str, Sequence[Passage]]:
    grouped: dict[str, list[Passage]] = {}
    for document, own in groupby(passages, key=attrgetter("document")):
        grouped.setdefault(document, []).extend(own)
    return grouped


def _are(grouped: Mapping[str, Sequence[Passage]], passages: Sequence[Passage]) -> bool:
    """Return whether groups are those of the passages: after a refresh in another thread they are of another revision.

    The time depends on the number of groups, because the passages of a document are loaded together.
    """
    first = 0
    for own in grouped.values():
        if first >= len(passages) or own[0] is not passages[first]:
            return False
        first += len(own)
    return first == len(passages)


def _same(one: Sequence[Passage], other: Sequence[Passage]) -> bool:
    """Return whether two sequences contain the same objects."""
    return one is other or (len(one) == len(other) and all(map(is_, one, other)))
