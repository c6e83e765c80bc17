"""The vocabulary of a kind of document: what people ask, what documents write for it, and where it is."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from functools import cache

from sra_pipelines.retrieval.languages import ENGLISH, LANGUAGES, language_of
from sra_pipelines.structure.page_kinds import DOCUMENT_TYPES, KINDS, TITLED, PageKind
from sra_rag.errors import ConfigError

__all__ = ["Expansion", "VocabularyEntry", "any_of", "compiled", "expand"]


@dataclasses.dataclass(frozen=True, slots=True)
class VocabularyEntry:
    """One topic of a vocabulary.

    Parameters
    ----------
    topic
        Name of the topic for users.
    asked
        Patterns of what people ask, as regular expressions. A question matches if it contains one of them as whole
        words; upper and lower case are the same.
    written
        What documents write for the topic. These phrases are searched in addition to the question.
    pages
        Kinds of the pages that contain it: names of `KINDS`, and for ``note``, ``item``, ``clause`` and ``table`` a
        pattern of the title (for an item also its number), such as ``"note: income tax"`` or ``"item: 1A"``.
    documents
        Types of documents that the entry is for, ``"filing"`` or ``"contract"``; empty for all documents.
    language
        Language of the questions that can match, one of `LANGUAGES` such as ``"german"``: words that several
        languages have match in this one only. Empty for all languages.
    statements
        Whether a question about the topic can be answered from the statements. If not, such as for the revenue of a
        region, no statements are included for the question, whatever its other topics.

    Raises
    ------
    ConfigError
        If a field is empty, a pattern is not a regular expression, or a kind of page or document is unknown.
    """

    topic: str
    asked: tuple[str, ...]
    written: tuple[str, ...]
    pages: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    language: str = ""
    statements: bool = True

    def __post_init__(self) -> None:
        for name in ("topic", "asked", "written"):
            values = getattr(self, name)
            if not values or not all(text.strip() for text in ([values] if name == "topic" else values)):
                raise ConfigError(f"{name} is empty. Give {'a name' if name == 'topic' else 'at least one text'}.")
        for pattern in self.asked:
            compiled(pattern)
        for page in self.pages:
            kind, _, title = page.partition(":")
            if kind.strip() not in KINDS:
                raise ConfigError(f"pages: unknown kind of page {kind.strip()!r}. Use {', '.join(KINDS)}.")
            if (kind.strip() in TITLED) != bool(title.strip()):
                raise ConfigError(
                    f"pages: {page!r} is not allowed. {' and '.join(TITLED)} need a title, such as 'note: leases'; the "
                    "other kinds have none."
                )
            compiled(title.strip() or kind)
        if self.language and self.language not in LANGUAGES:
            raise ConfigError(f"language: unknown language {self.language!r}. Use {', '.join(LANGUAGES)}.")
        unknown = [name for name in self.documents if name not in DOCUMENT_TYPES]
        if unknown:
            raise ConfigError(f"documents: unknown types {unknown}. Use {', '.join(DOCUMENT_TYPES)}.")

    @property
    def phrases(self) -> str:
        """The text that is searched for the topic: all of `written`."""
        return "; ".join(self.written)

    def matches(self, question: str) -> bool:
        """Return whether a question asks about the topic."""
        if any_of(self.asked).search(" ".join(question.split())) is None:
            return False
        return not self.language or language_of(question, {ENGLISH, self.language}) == self.language

    def describes(self, page: PageKind) -> bool:
        """Return whether a page is of one of the kinds of the topic."""
        for wanted in self.pages:
            kind, _, title = wanted.partition(":")
            if kind.strip() != page.kind:
                continue
            pattern = compiled(title.strip() or kind)
            if page.kind not in TITLED or pattern.fullmatch(page.number) or _begins_word(title.strip(), page.title):
                return True
        return False


@dataclasses.dataclass(frozen=True, slots=True)
class Expansion:
    """What the vocabulary added to the search for a question.

    Parameters
    ----------
    topics
        The topics that the question matches.
    written
        The phrases that were searched in addition to the question.
    pages
        The kinds of pages that were preferred.
    """

    topics: tuple[str, ...]
    written: tuple[str, ...]
    pages: tuple[str, ...]

    @classmethod
    def of(cls, entries: Sequence[VocabularyEntry]) -> Expansion:
        """Join what several entries add, without repetitions."""
        return cls(
            tuple(dict.fromkeys(entry.topic for entry in entries)),
            tuple(dict.fromkeys(phrase for entry in entries for phrase in entry.written)),
            tuple(dict.fromkeys(page for entry in entries for page in entry.pages)),
        )


def expand(question: str, vocabulary: Iterable[VocabularyEntry]) -> list[VocabularyEntry]:
    """Return the entries of a vocabulary that a question matches, in the order of the vocabulary."""
    return [entry for entry in vocabulary if entry.matches(question)]


@cache
def any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for one of several patterns, as whole words; upper and lower case are the same."""
    return compiled("|".join(f"(?:{pattern})" for pattern in patterns))


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern for whole words, upper and lower case the same; raises `ConfigError` if it is not one."""
    try:
        re.compile(pattern)  # alone, so that positions in messages are those of the pattern
        return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)
    except re.error as error:
        raise ConfigError(f"{pattern!r} is not a regular expression: {error}.") from error


def _begins_word(pattern: str, title: str) -> bool:
    """Return whether a pattern is at the beginning of a word of a title: "lease" is in "Leases"."""
    return re.search(rf"(?<!\w)(?:{pattern})", title, re.IGNORECASE) is not None
