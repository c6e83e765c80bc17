"""The language of a text, as far as a search needs it: how words are stemmed, and which are left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache

__all__ = ["ENGLISH", "LANGUAGES", "language_of", "languages_of", "stop_words"]

ENGLISH = "english"
# Names of Snowball stemmers. Function words tell these languages apart; others are treated as English.
LANGUAGES = (ENGLISH, "german", "french", "spanish", "italian", "dutch", "portuguese")
_WORD = re.compile(r"[^\W\d_]+")
_LONGEST = 2000  # characters of a text that are looked at
# English function words that bm25s does not leave out, and that tell a short question from other languages.
_ENGLISH_TOO = (
    "what which who whom whose how when where why does do did has have had were from our we you your can may",
    "shall than been its any all each other",
)
_LEAST_OF_PASSAGE = 4  # function words
_MORE_THAN_ENGLISH = 1.5  # times as many in a passage: English passages can hold names in other languages
_LEAST_OF_DOCUMENT = 0.1  # share of the passages of a document: a list of foreign names is no other language


@cache
def stop_words(language: str) -> tuple[str, ...]:
    """Return the words of a language that a keyword search leaves out."""
    from bm25s import stopwords  # when a text is tokenized: importing it takes long

    return {
        ENGLISH: stopwords.STOPWORDS_EN,
        "german": stopwords.STOPWORDS_GERMAN,
        "french": stopwords.STOPWORDS_FRENCH,
        "spanish": stopwords.STOPWORDS_SPANISH,
        "italian": stopwords.STOPWORDS_ITALIAN,
        "dutch": stopwords.STOPWORDS_DUTCH,
        "portuguese": stopwords.STOPWORDS_PORTUGUESE,
    }[language]


@cache
def _telling(language: str) -> frozenset[str]:
    """Return the words that tell a language; single letters are also names."""
    own = frozenset(word for word in stop_words(language) if len(word) > 1)
    return own.union(*(words.split() for words in _ENGLISH_TOO)) if language == ENGLISH else own


def language_of(text: str, among: Collection[str] = LANGUAGES, least: int = 1) -> str | None:
    """Return the language of a text, one of `LANGUAGES`; None if its function words do not tell.

    Parameters
    ----------
    text
        The text.
    among
        Languages that it can have.
    least
        Number of function words that it must have. If it is more than 1, as for passages, other languages than English
        also need more of them than English has.
    """
    words = Counter(_WORD.findall(text[:_LONGEST].lower()))
    counts = {name: sum(words[word] for word in words.keys() & _telling(name)) for name in among}
    best = max(counts, key=lambda name: counts[name], default=ENGLISH)
    if counts.get(best, 0) < least or list(counts.values()).count(counts[best]) > 1:
        return None
    if least > 1 and best != ENGLISH and counts[best] < _MORE_THAN_ENGLISH * counts.get(ENGLISH, 0):
        return None
    return best


def languages_of(texts: Sequence[str], documents: Sequence[str]) -> list[str]:
    """Return the language of each passage: its own if its document has it, otherwise the usual one of its document.

    Parameters
    ----------
    texts
        Texts of the passages.
    documents
        Name of the document of each passage.
    """
    own = [language_of(text, least=_LEAST_OF_PASSAGE) for text in texts]
    votes: dict[str, Counter[str]] = {}
    for document, language in zip(documents, own, strict=True):
        if language is not None:
            votes.setdefault(document, Counter())[language] += 1
    usual = {document: counter.most_common(1)[0][0] for document, counter in votes.items()}
    return [
        language
        if language is not None and votes[document][language] >= _LEAST_OF_DOCUMENT * votes[document].total()
        else usual.get(document, ENGLISH)
        for document, language in zip(documents, own, strict=True)
    ]
