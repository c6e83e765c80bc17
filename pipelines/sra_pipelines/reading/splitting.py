"""Split documents into passages: whole lines where they fit, each on one page, with its place and its heading."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import cache

from semantic_text_splitter import TextSplitter

from sra_pipelines.values import Document, Page, Passage
from sra_rag.errors import ConfigError

__all__ = ["CHUNK_OVERLAP", "CHUNK_TOKENS", "Splitting", "embedded_text", "split_document"]

CHUNK_TOKENS = 220  # what all-MiniLM-L6-v2 reads of a passage is 256 tokens of its own
CHUNK_OVERLAP = 32
_LEAST_TOKENS = 16
_TOKENS_OF = "gpt-4"  # whose tokenizer comes with the splitter, so that passages are alike for all embedding models
_VERSION = 1  # changes with anything that moves a passage's ends
_NAME = re.compile(rf"lines-(\d+)-(\d+)-{_VERSION}(-headings)?")


@dataclasses.dataclass(frozen=True, slots=True)
class Splitting:
    """How documents are split; an index remembers it by its `name`.

    Parameters
    ----------
    tokens
        Most that a passage takes. An embedding model reads no more of it than its own window: the embedded one about
        220 of these tokens.
    overlap
        Tokens that neighbours may share.
    at_headings
        Begin a passage at each heading, so that none stands under two.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """

    tokens: int = CHUNK_TOKENS
    overlap: int = CHUNK_OVERLAP
    at_headings: bool = False

    def __post_init__(self) -> None:
        if self.tokens < _LEAST_TOKENS:
            raise ConfigError(f"tokens={self.tokens} is not allowed: a passage takes at least {_LEAST_TOKENS}.")
        if not 0 <= self.overlap < self.tokens:
            raise ConfigError(
                f"overlap={self.overlap} is not allowed: it must be at least 0 and below tokens={self.tokens}."
            )

    @property
    def name(self) -> str:
        """What an index keeps; the same name splits the same."""
        return f"lines-{self.tokens}-{self.overlap}-{_VERSION}{'-headings' if self.at_headings else ''}"

    @classmethod
    def from_name(cls, name: str) -> Splitting | None:
        """Return the splitting of a name; None if this version of the program splits none so."""
        found = _NAME.fullmatch(name)
        return None if found is None else cls(int(found[1]), int(found[2]), found[3] is not None)


def split_document(document: Document, name: str | None = None, splitting: Splitting | None = None) -> list[Passage]:
    """Split a document page by page, so that each passage stands on one page.

    Parameters
    ----------
    document
        What was read.
    name
        What passages call it, if not by its own name.
    splitting
        How; by default as `Splitting` does.

    Returns
    -------
    list of Passage
        In reading order; ``page.text[passage.start:passage.end] == passage.text``. Neighbours overlap a little.
    """
    how = splitting or Splitting()
    passages = []
    above = ""  # the heading in force where a page begins
    for page in document.pages:
        for start, text in _pieces(page, how):
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


def _pieces(page: Page, splitting: Splitting) -> Iterator[tuple[int, str]]:
    splitter = _splitter(splitting.tokens, splitting.overlap)
    starts = sorted({0, *(heading.start for heading in page.headings)}) if splitting.at_headings else [0]
    for first, last in zip(starts, [*starts[1:], len(page.text)], strict=True):
        for start, text in splitter.chunk_indices(page.text[first:last]):
            yield first + start, text


@cache
def _splitter(tokens: int, overlap: int) -> TextSplitter:
    return TextSplitter.from_tiktoken_model(_TOKENS_OF, tokens, overlap=overlap)


def _section(page: Page, start: int, length: int, above: str) -> str:
    """Return the last heading above the passage, or within its first quarter: most of it then stands under that."""
    section = above
    for heading in page.headings:
        if heading.start > start + length // 4:
            break
        section = heading.text
    return section
