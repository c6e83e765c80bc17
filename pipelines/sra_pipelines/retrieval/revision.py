"""Data that a retriever derives from one revision of an index: keywords, pages, and what the pages are."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.retrieval.keywords import KeywordIndex
from sra_pipelines.retrieval.merging import by_page, merge_passages
from sra_pipelines.retrieval.packing import Pages
from sra_pipelines.retrieval.vocabulary import VocabularyEntry
from sra_pipelines.structure.page_kinds import PageKind, document_types, find_page_kinds
from sra_pipelines.values import Passage

__all__ = ["Revision"]

_BY_MEANING, _BY_WORDS = 100, 20  # passages of the rankings of a topic

Rankings = tuple[list[Passage], list[Passage]]
Structure = tuple[list[PageKind], frozenset[str]]


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
        self.keywords: KeywordIndex = KeywordIndex(self.passages, None if before is None else before.keywords)
        self.pages: Pages = by_page(self.passages)
        self.documents = tuple(dict.fromkeys(passage.document for passage in self.passages))
        self._search = index.search
        self._vocabulary = tuple(vocabulary)
        self._lock = threading.Lock()
        self._kinds: dict[str, Structure] | None = None
        self._kinds_before = {} if before is None else before.known_kinds(self.pages)
        self._rankings: dict[VocabularyEntry, Rankings] = {}

    def kinds(self, document: str) -> list[PageKind]:
        """Return the kinds of the pages of a document, see `find_page_kinds`."""
        return self._structure()[document][0]

    def of_type(self, types: Sequence[str]) -> list[str]:
        """Return the names of the documents of one of the types, see `document_types`; all documents for no types."""
        return [name for name, (_, own) in self._structure().items() if not types or own & set(types)]

    def rankings(self, entry: VocabularyEntry) -> Rankings:
        """Return the passages for the phrases of a topic, by meaning and by words, whatever the question."""
        with self._lock:
            known = self._rankings.get(entry)
        if known is None:
            names = set(self.of_type(entry.documents))
            text = entry.phrases
            phrases = tuple(other.phrases for other in self._vocabulary if other.language == entry.language)
            everything = len(names) == len(self._structure())
            dense = self._search(text, _BY_MEANING if everything else len(self.passages), phrases=phrases)
            words = self.keywords.search(text, _BY_WORDS if everything else len(self.passages))
            found = (self.passages[number] for number, _ in words)
            known = (
                [passage for passage in dense if passage.document in names][:_BY_MEANING],
                [passage for passage in found if passage.document in names][:_BY_WORDS],
            )
            with self._lock:
                self._rankings[entry] = known
        return known

    def known_kinds(self, pages: Pages) -> dict[str, Structure]:
        """Return the kinds of pages that are known, of the documents that have the same passages in `pages`."""
        with self._lock:
            known = self._kinds or self._kinds_before
        changed = {
            document
            for (document, index), passages in pages.items()
            if len(passages) != len(own := self.pages.get((document, index), ()))
            or any(one is not other for one, other in zip(passages, own, strict=True))
        }
        changed |= {document for document, index in self.pages if (document, index) not in pages}
        return {document: kinds for document, kinds in known.items() if document not in changed}

    def _structure(self) -> dict[str, Structure]:
        with self._lock:
            if self._kinds is None:
                texts: dict[str, dict[int, str]] = {}
                for (document, page_index), passages in self.pages.items():
                    if document in self._kinds_before:
                        continue
                    text = "\n".join(passage.text for passage in merge_passages(passages))
                    texts.setdefault(document, {})[page_index] = text
                new = {document: find_page_kinds(pages) for document, pages in texts.items()}
                found = {name: (kinds, document_types(texts[name], kinds)) for name, kinds in new.items()}
                self._kinds = {name: found.get(name) or self._kinds_before[name] for name in self.documents}
            return self._kinds
