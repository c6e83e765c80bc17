"""Split documents into passages of whole lines if possible, each on one page, with its span and heading."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from semantic_text_splitter import TextSplitter

from sra_pipelines.values import Document, Page, Passage
from sra_rag.errors import ConfigError

__all__ = ["CHUNK_OVERLAP", "CHUNK_TOKENS", "Splitting", "embedded_text", "split_document"]

CHUNK_TOKENS = 220  # all-MiniLM-L6-v2 embeds at most 256 of its own tokens
CHUNK_OVERLAP = 32
_LEAST_TOKENS = 16
_TOKENS_OF = "gpt-4"  # its tokenizer is included in the splitter; passages do not depend on the embedding model
_VERSION = 2  # increment with any change that affects the spans of passages
# The splitter needs quadratic time for text without spaces and for long runs of spaces, so longer runs are cut first.
_LONGEST_RUN = 2_000  # characters
_LONG_RUN = re.compile(rf"(?<!\S)\S{{{_LONGEST_RUN + 1},}}|(?<!\s)\s{{{_LONGEST_RUN + 1},}}")
_SENTENCE_END = re.compile(r".*[.!?;,\u3001\u3002\uff01\uff0c\uff1b\uff1f]", re.DOTALL)  # and those of Chinese
_JOINER = "\u200d"
_NAME = re.compile(rf"lines-(\d+)-(\d+)-{_VERSION}(-headings)?")


@dataclasses.dataclass(frozen=True, slots=True)
class Splitting:
    """Settings for splitting documents; an index stores its `name`.

    Parameters
    ----------
    tokens
        Maximum number of tokens of a passage. An embedding model truncates passages to its own window, which is about
        220 of these tokens for the embedded model.
    overlap
        Maximum number of tokens shared by adjacent passages.
    at_headings
        Whether to start a passage at each heading, so that no passage belongs to two sections.

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
            raise ConfigError(f"tokens={self.tokens} is not allowed: it must be at least {_LEAST_TOKENS}.")
        if not 0 <= self.overlap < self.tokens:
            raise ConfigError(
                f"overlap={self.overlap} is not allowed: it must be at least 0 and below tokens={self.tokens}."
            )

    @property
    def name(self) -> str:
        """Name of the splitting, stored in an index; equal names split documents equally."""
        return f"lines-{self.tokens}-{self.overlap}-{_VERSION}{'-headings' if self.at_headings else ''}"

    @classmethod
    def from_name(cls, name: str) -> Splitting | None:
        """Return the splitting with this name; None if this version does not support it."""
        match = _NAME.fullmatch(name)
        return None if match is None else cls(int(match[1]), int(match[2]), match[3] is not None)


def split_document(document: Document, name: str | None = None, splitting: Splitting | None = None) -> list[Passage]:
    """Split a document page by page, so that each passage is on one page.

    Parameters
    ----------
    document
        The document.
    name
        Name of the document in its passages; by default its own name.
    splitting
        Settings for splitting; by default those of `Splitting`.

    Returns
    -------
    list of Passage
        Passages in reading order, with ``page.text[passage.start:passage.end] == passage.text``. Adjacent passages may
        overlap.
    """
    settings = splitting or Splitting()
    passages = []
    above = ""  # the current heading at the start of a page
    for page in document.pages:
        for start, text in _pieces(page, settings):
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
    """Return the text that is embedded for a passage: the name of its document, and its text."""
    return f"document: {passage.document}\n\n{passage.text}"


def _pieces(page: Page, splitting: Splitting) -> Iterator[tuple[int, str]]:
    splitter = _splitter(splitting.tokens, splitting.overlap)
    starts = {0, *_cuts(page.text)}
    if splitting.at_headings:
        starts.update(heading.start for heading in page.headings)
    ordered = sorted(starts)
    for first, last in zip(ordered, [*ordered[1:], len(page.text)], strict=True):
        for start, text in splitter.chunk_indices(page.text[first:last]):
            yield first + start, text


def _cuts(text: str) -> Iterator[int]:
    """Yield the offsets at which a text is cut, so that it has no run of `_LONGEST_RUN` characters without a cut."""
    for run in _LONG_RUN.finditer(text):
        start = run.start()
        yield start
        while run.end() - start > _LONGEST_RUN:
            start = _cut_before(text, start + _LONGEST_RUN // 2, start + _LONGEST_RUN)
            yield start
        yield run.end()


def _cut_before(text: str, first: int, last: int) -> int:
    """Return the best offset for a cut in [first, last]: after a sentence or clause, else between two characters."""
    sentence = _SENTENCE_END.match(text, first, last)
    if sentence is not None:
        return sentence.end()
    cut = last
    while cut > first and (unicodedata.category(text[cut]).startswith("M") or _JOINER in text[cut - 1 : cut + 1]):
        cut -= 1
    return cut if cut > first else last


@cache
def _splitter(tokens: int, overlap: int) -> TextSplitter:
    return TextSplitter.from_tiktoken_model(_TOKENS_OF, tokens, overlap=overlap)


def _section(page: Page, start: int, length: int, above: str) -> str:
    """Return the last heading before the passage or within its first quarter, so that most of it is in that section."""
    section = above
    for heading in page.headings:
        if heading.start > start + length // 4:
            break
        section = heading.text
    return section
