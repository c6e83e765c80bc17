"""The tools: search the documents, ask a question about them, read a page. Independent of the protocol.

Searching and asking wait for a slot of the server, in turn with its other requests and within the same limits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Sequence
from contextlib import aclosing

from pydantic import BaseModel, Field

from sra_pipelines.answering.answers import Answer
from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.server.api.completions import Completions, Piece
from sra_pipelines.values import Passage
from sra_rag.errors import ConfigError
from sra_rag.generation.request import Cancellation
from sra_rag.generation.text import well_formed

__all__ = ["AnswerWithSources", "DocumentTools", "FoundPassage", "PageText", "Source"]

_LONGEST_PAGE = 20_000  # characters returned at once
_MOST_PASSAGES = 20
_NAMES_SHOWN = 10


class FoundPassage(BaseModel):
    """A passage of a document."""

    document: str = Field(description="Name of the document, for read_page.")
    page: str = Field(description="Label of the page, for read_page.")
    section: str = Field(description="Heading of the passage; empty if it has none.")
    text: str = Field(description="Text of the passage.")


class Source(BaseModel):
    """A page that supports an answer."""

    document: str
    page: str
    quote: str = Field(description="Lines of the page that support the answer, word for word.")


class AnswerWithSources(BaseModel):
    """An answer."""

    answer: str
    sources: list[Source] = Field(description="Pages that support the answer; empty if none does.")
    abstained: str | None = Field(description="Why the text does not answer the question; null if it does.")
    unsupported: list[str] = Field(description="Amounts and dates of the answer that are in no passage.")
    notes: list[str] = Field(description="Results of further checks.")


class PageText(BaseModel):
    """The text of a page."""

    document: str
    page: str
    text: str
    next_start: int | None = Field(description="Where to continue a long page; null at its end.")


class DocumentTools:
    """The tools of one server.

    Parameters
    ----------
    completions
        The answers of the server: documents, model, limits and queue.
    """

    def __init__(self, completions: Completions) -> None:
        self.completions = completions

    async def search(self, question: str, limit: int, client: str) -> list[FoundPassage]:
        """Return the passages that match a question, best first.

        Parameters
        ----------
        question
            A question, or words.
        limit
            Maximum number of passages, 1 to 20.
        client
            Client for fair queueing.

        Raises
        ------
        ConfigError
            If the question is empty or the limit is not allowed.
        QueueFullError, TimeoutError
            If there is no slot, or none in time.
        """
        question = well_formed(question)
        if not question.strip():
            raise ConfigError("The question is empty. Give a question or words to search for.")
        if not 1 <= limit <= _MOST_PASSAGES:
            raise ConfigError(f"limit={limit} is not allowed: it must be between 1 and {_MOST_PASSAGES}.")
        completions = self.completions
        async with completions.slots.slot(completions.settings.request_timeout, client):
            hits = await asyncio.to_thread(completions.qa.retriever.search, question, limit)
        return [
            FoundPassage(document=hit.document, page=hit.page_label, section=hit.section, text=hit.text) for hit in hits
        ]

    async def ask(self, question: str, client: str) -> AnswerWithSources:
        """Answer a question from the documents; the model of the server runs.

        Parameters
        ----------
        question
            A question that can be understood on its own.
        client
            Client for fair queueing.

        Raises
        ------
        SRAError
            If the question is empty or too long, or the answer takes too long.
        QueueFullError
            If there is no slot.
        """
        qa, settings = self.completions.qa, self.completions.settings

        def work(cancel: Cancellation, seconds: float) -> Generator[Piece, None, None]:
            until = time.monotonic() + seconds
            retrieval = qa.retrieve(question, max_new_tokens=settings.max_new_tokens)
            yield from qa.stream(
                retrieval,
                sra=settings.sra,
                cancel=cancel,
                timeout=max(until - time.monotonic(), 0.001),
                max_new_tokens=settings.max_new_tokens,
            )

        async with aclosing(self.completions.in_turn(work, client)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    return _described(piece)
        raise RuntimeError("The answer ended without an end.")  # pragma: no cover - streams end with a whole answer

    async def read_page(self, document: str, page: str, start: int) -> PageText:
        """Return the text of a page.

        Parameters
        ----------
        document, page
            Name of the document and label of the page, as in the results of the other tools.
        start
            Character at which the text begins, for long pages.

        Raises
        ------
        ConfigError
            If there is no such document or page, or `start` is beyond its end.
        """
        return await asyncio.to_thread(self._read_page, document, page, start)

    def _read_page(self, document: str, page: str, start: int) -> PageText:
        all_pages = self.completions.qa.retriever.pages()
        labels = {
            passages[0].page_label: passages
            for (name, _), passages in all_pages.items()
            if name == document and passages
        }
        if not labels:
            names = sorted({name for name, _ in all_pages})
            shown = ", ".join(map(repr, names[:_NAMES_SHOWN])) + (", ..." if len(names) > _NAMES_SHOWN else "")
            raise ConfigError(f"There is no document {document!r}. The documents are: {shown or '(none)'}.")
        if page not in labels:
            known = list(labels)
            pages = f"The {len(known)} pages are {known[0]!r} to {known[-1]!r}."
            if len(known) == 1:
                pages = f"Its only page is {known[0]!r}."
            raise ConfigError(f"{document}: there is no page {page!r} with text. {pages}")
        text = _text_of(labels[page])
        if not 0 <= start < len(text):
            raise ConfigError(f"start={start} is not allowed: the page has {len(text)} characters.")
        end = start + _LONGEST_PAGE
        return PageText(document=document, page=page, text=text[start:end], next_start=end if end < len(text) else None)


def _text_of(passages: Sequence[Passage]) -> str:
    return "\n".join(passage.text for passage in merge_passages(passages))


def _described(answer: Answer) -> AnswerWithSources:
    return AnswerWithSources(
        answer=answer.text,
        sources=[
            Source(document=citation.document, page=citation.page_label, quote=citation.quote)
            for citation in answer.citations
        ],
        abstained=answer.abstained,
        unsupported=[claim.text for claim in answer.supported.unsupported_figures],
        notes=list(answer.notes),
    )
