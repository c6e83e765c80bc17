"""Split documents into passages: whole lines where they fit, each on one page, with its place and its heading."""

from __future__ import annotations

from functools import cache

from semantic_text_splitter import TextSplitter

from sra_pipelines.documents import Document, Page
from sra_pipelines.passages import Passage

__all__ = ["CHUNK_OVERLAP", "CHUNK_TOKENS", "SPLITTING", "embedded_text", "split_document"]

CHUNK_TOKENS = 220  # what all-MiniLM-L6-v2 reads of a passage is 256 tokens of its own
CHUNK_OVERLAP = 32
_TOKENS_OF = "gpt-4"  # whose tokenizer comes with the splitter, so that passages are alike for all embedding models
SPLITTING = f"lines-{CHUNK_TOKENS}-{CHUNK_OVERLAP}-1"  # kept in an index; changes with anything in this file


def split_document(document: Document, name: str | None = None) -> list[Passage]:
    """Split a document page by page, so that each passage stands on one page.

    Parameters
    ----------
    document
        What was read.
    name
        What passages call it, if not by its own name.

    Returns
    -------
    list of Passage
        In reading order; ``page.text[passage.start:passage.end] == passage.text``. Neighbours overlap a little.
    """
    passages = []
    above = ""  # the heading in force where a page begins
    for page in document.pages:
        for start, text in _splitter().chunk_indices(page.text):
            passages.append(
                Passage(
                    document=document.name if name is None else name,
                    page_index=page.index,
                    page_label=page.label,
                    text=text,
                    section=_section(page, start, len(text), above),
                    start=start,
                    end=start + len(text),
                )
            )
        if page.headings:
            above = page.headings[-1].text
    return passages


def embedded_text(passage: Passage) -> str:
    """Return what is embedded of a passage: its document's name and its text."""
    return f"document: {passage.document}\n\n{passage.text}"


@cache
def _splitter() -> TextSplitter:
    return TextSplitter.from_tiktoken_model(_TOKENS_OF, CHUNK_TOKENS, overlap=CHUNK_OVERLAP)


def _section(page: Page, start: int, length: int, above: str) -> str:
    """Return the last heading above the passage, or within its first quarter: most of it then stands under that."""
    section = above
    for heading in page.headings:
        if heading.start > start + length // 4:
            break
        section = heading.text
    return section
