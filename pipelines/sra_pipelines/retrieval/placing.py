"""Choose the pages of statements that a question needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.retrieval.packing import PlacedPage
from sra_pipelines.retrieval.relevant_rows import select_rows
from sra_pipelines.retrieval.revision import Revision
from sra_pipelines.retrieval.vocabulary import VocabularyEntry
from sra_pipelines.structure.page_kinds import PageKind
from sra_pipelines.structure.statement_rows import STATEMENTS
from sra_pipelines.values import Passage

__all__ = ["PlacedStatement", "needed_statements", "place_statements", "statements_among"]

_MOST_KINDS = 3
_MOST_DOCUMENTS = 2
_DOCUMENTS_OF = 4  # best passages whose documents are considered


class PlacedStatement(NamedTuple):
    """A page that is a statement.

    Parameters
    ----------
    document, page_index
        Document and index of the page.
    kind
        Kind of the statement, a key of `STATEMENTS`.
    """

    document: str
    page_index: int
    kind: str


def needed_statements(entries: Sequence[VocabularyEntry]) -> list[str]:
    """Return the kinds of statements that topics need, most important first: those that topics name first and most.

    None are needed if one of the topics is not in the statements, see `VocabularyEntry.statements`.
    """
    weights: dict[str, float] = {}
    if not all(entry.statements for entry in entries):
        return []
    for entry in entries:
        for place, kind in enumerate(kind for kind in entry.pages if kind in STATEMENTS):
            weights[kind] = weights.get(kind, 0.0) + 1.0 / (1 + place)
    return sorted(weights, key=lambda kind: -weights[kind])[:_MOST_KINDS]


def place_statements(
    question: str,
    entries: Sequence[VocabularyEntry],
    candidates: Sequence[Passage],
    revision: Revision,
    count_tokens: Callable[[str], int],
    needed_rows: re.Pattern[str] | None = None,
) -> list[PlacedPage]:
    """Return the pages of the statements that the topics of a question need.

    Parameters
    ----------
    question
        The question.
    entries
        The topics that the question matches.
    candidates
        The passages for the question, best first. The statements of the documents of the best passages are used.
    revision
        The index.
    count_tokens
        Function that returns the number of tokens of a text.
    needed_rows
        Pattern of the labels of rows that a shortened page has before others, see `select_rows`.
    """
    needed = needed_statements(entries)
    phrases = [phrase for entry in entries for phrase in entry.written]
    placed: list[PlacedPage] = []
    documents = dict.fromkeys(passage.document for passage in candidates[:_DOCUMENTS_OF]) if needed else {}
    for document in list(documents)[:_MOST_DOCUMENTS]:
        kinds = revision.kinds(document)
        for kind in needed:
            for page_index in _main_pages(kinds, kind):
                passages = revision.pages.get((document, page_index), ())
                if passages and all(page.key != (document, page_index) for page in placed):
                    whole = merge_passages(passages)[0]
                    shortened = partial(_shortened, whole, phrases, question, count_tokens, needed_rows)
                    placed.append(PlacedPage(passages, shortened))
    return placed


def statements_among(passages: Sequence[Passage], revision: Revision) -> list[PlacedStatement]:
    """Return which pages of passages are the main page of a statement, or continue it."""
    taken = {(passage.document, passage.page_index) for passage in passages}
    return [
        PlacedStatement(document, page_index, kind)
        for document in dict.fromkeys(passage.document for passage in passages)
        for kind in STATEMENTS
        for page_index in _main_pages(revision.kinds(document), kind)
        if (document, page_index) in taken
    ]


def _main_pages(kinds: Sequence[PageKind], kind: str) -> list[int]:
    """Return the main page of a kind and the page that continues it."""
    own = [page for page in kinds if page.kind == kind]
    following = own[1:2] if len(own) > 1 and not own[1].title and own[1].page_index == own[0].page_index + 1 else []
    return [page.page_index for page in [*own[:1], *following]]


def _shortened(
    page: Passage,
    phrases: Sequence[str],
    question: str,
    count_tokens: Callable[[str], int],
    needed_rows: re.Pattern[str] | None,
    budget: int,
) -> Passage | None:
    return select_rows(page, phrases, question, budget, count_tokens, needed_rows)
