"""The language of a text, as far as a search needs it: how words are stemmed, and which are left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache

__all__ = [
    "ENGLISH",
    "LANGUAGES",
    "LONGEST",
    "first_words",
    "language_of",
    "language_of_passage",
    "languages_of",
    "stop_words",
]

ENGLISH = "english"
# Names of Snowball stemmers. Function words tell these languages apart; others are treated as English.
LANGUAGES = (ENGLISH, "german", "french", "spanish", "italian", "dutch", "portuguese")
LONGEST = 2000
"""Number of characters at the beginning of a text that tell its language."""
_WORD = re.compile(r"[^\W\d_]+")
# English function words that bm25s does not leave out, and that tell a short question from other languages.
_ENGLISH_TOO = (
    "what which who whom whose how when where why does do did has have had were from our we you your can may",
    "shall than been its any all each other",
)
_BITS = {name: 1 << number for number, name in enumerate(LANGUAGES)}
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


@cache
def _languages_by_word() -> dict[str, int]:
    """Return the languages that each function word tells, as the sum of their bits."""
    table: dict[str, int] = {}
    for name, bit in _BITS.items():
        for word in _telling(name):
            table[word] = table.get(word, 0) | bit
    return table


@cache
def _names(bits: int) -> tuple[str, ...]:
    return tuple(name for name, bit in _BITS.items() if bits & bit)


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
    return _language_of_words(first_words(text), among, least)


def first_words(text: str) -> list[str]:
    """Return the words at the beginning of a text that tell its language, in lower case."""
    return _WORD.findall(text[:LONGEST].lower())


def _language_of_words(words: Iterable[str], among: Collection[str] = LANGUAGES, least: int = 1) -> str | None:
    """Return the language of a text, given by its lower-case words, see `language_of`."""
    counts = dict.fromkeys(among, 0)
    for telling, number in Counter(filter(None, map(_languages_by_word().get, words))).items():
        for name in _names(telling):
            if name in counts:
                counts[name] += number
    best = max(counts, key=lambda name: counts[name], default=ENGLISH)
    if counts.get(best, 0) < least or list(counts.values()).count(counts[best]) > 1:
        return None
    if least > 1 and best != ENGLISH and counts[best] < _MORE_THAN_ENGLISH * counts.get(ENGLISH, 0):
        return None
    return best


def languages_of(own: Sequence[str | None]) -> list[str]:
    """Return the language of each passage of one document: its own if the document has it, otherwise the usual one.

    Parameters
    ----------
    own
        Language of each passage by its words, None if they do not tell; see `language_of_passage`.
    """
    votes = Counter(language for language in own if language is not None)
    usual = votes.most_common(1)[0][0] if votes else ENGLISH
    enough = _LEAST_OF_DOCUMENT * votes.total()
    return [usual if language is None or votes[language] < enough else language for language in own]


def language_of_passage(words: Iterable[str]) -> str | None:
    """Return the language of a passage, given by its lower-case words; None if they do not tell."""
    return _language_of_words(words, least=_LEAST_OF_PASSAGE)
