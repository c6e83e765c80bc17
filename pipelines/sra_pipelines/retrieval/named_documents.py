"""Find the documents that a question names by company, year or file name."""

from __future__ import annotations

import bisect
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from sra_pipelines.values import Passage

__all__ = ["DocumentNames", "naming_words", "prefer_documents"]

_WORD = re.compile(r"\d+[^\W\d_](?![^\W\d_])|[^\W\d_]+|\d+")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)|(?<=[Qq][1-4])20\d\d")
_LONGEST_NAME = 3  # words of a question that a name without spaces can stand for: "Best Buy" is BESTBUY
_LEAST_PREFIX = 3  # letters of a capitalized word that are enough to name a longer one: MGM is MGMRESORTS
_KINDS = frozenset(  # words of file names that say what a document is, not whose it is
    keyword
    for keywords in (
        "annual report reports filing form k q ar fy final draft signed copy version earnings release results quarter",
        "quarterly half interim financial statements statement consolidated contract agreement lease amendment exhibit",
        "doc document pdf 10k 10q 8k 20f 6k inc corp corporation company co ltd plc llc group",
        "the of and for a an to in on by",
    )
    for keyword in keywords.split()
)
_SEVERAL = re.compile(
    r"\b(?:compare[ds]?|comparison|versus|vs|both|each|either|all(?: of)? the|which of (?:the|these)|between the)\b"
    r".{0,60}?\b(?:companies|firms|documents|reports|filings|contracts|agreements|leases|banks|issuers)\b"
    r"|\b(?:two|three|four|five) (?:companies|firms|documents|reports|filings|contracts|agreements|leases|banks)\b",
    re.IGNORECASE,
)
_PREFERRED = 3  # passages of preferred documents for one of the others
_MOST_SEVERAL = 6  # documents that a question about "the companies" can mean


class DocumentNames:
    """The names of the documents of an index, prepared so that a question is compared with few of them.

    A document is named by a word of its file name that not all documents have, such as that of a company. Years choose
    among the documents of a company, or among all documents if no company is named.

    Parameters
    ----------
    names
        Names of the documents, each once.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._owners: dict[str, list[int]] = {}  # positions of the names that have a word
        self._of_years: dict[str, set[int]] = {}
        self._n_words: list[int] = []  # of each name, without those that all names have
        for position, name in enumerate(self._names):
            words = _owner_words(name)
            self._n_words.append(len(words))
            for word in words:
                self._owners.setdefault(word, []).append(position)
            for year in _YEAR.findall(name.replace("_", " ")):
                self._of_years.setdefault(year, set()).add(position)
        common = [word for word, positions in self._owners.items() if len(positions) == len(self._names)]
        for word in common:
            del self._owners[word]
        self._n_words = [n_words - len(common) for n_words in self._n_words]
        self._words = sorted(self._owners)

    def in_question(self, question: str) -> list[str]:
        """Return the documents that a question names, in the order of their names; empty if it names none or all.

        A question such as "which of the two companies" names all documents, if there are few.
        """
        if len(self._names) < 2:
            return []
        asked, capitals = _asked(question)
        hits = Counter(position for word in self._matching(asked, capitals) for position in self._owners[word])
        owners = {position for position, n_hits in hits.items() if _is_named(n_hits, self._n_words[position])}
        of_years = set[int]().union(*(self._of_years.get(year, ()) for year in _YEAR.findall(question)))
        chosen = (of_years & owners if owners else of_years) or owners
        if not chosen and _SEVERAL.search(question) and len(self._names) <= _MOST_SEVERAL:
            return list(self._names)
        if len(chosen) == len(self._names) and len(owners) <= 1:
            return []
        return [self._names[position] for position in sorted(chosen)]

    def _matching(self, asked: set[str], capitals: set[str]) -> set[str]:
        """Return the words of names that are in a question, or of which a word with a capital is the beginning."""
        matching = asked & self._owners.keys()
        for capital in capitals:
            for at in range(bisect.bisect_left(self._words, capital), len(self._words)):
                if not self._words[at].startswith(capital):
                    break
                matching.add(self._words[at])
        return matching


def naming_words(question: str, name: str) -> set[str]:
    """Return the words of a question that name a document, in lower case: "best" and "buy" for BESTBUY_2024Q2_10Q."""
    own, words = _owner_words(name), _WORD.findall(question)
    naming: set[str] = set()
    for n in range(1, _LONGEST_NAME + 1):
        for start in range(len(words) - n + 1):
            part = words[start : start + n]
            begins = part[0][0].isupper() and len(part[0]) >= _LEAST_PREFIX
            joined = "".join(part).lower()
            if any(word == joined or (begins and word.startswith(joined)) for word in own):
                naming |= {word.lower() for word in part}
    return naming


def prefer_documents(ranked: Sequence[Passage], documents: Sequence[str]) -> list[Passage]:
    """Return a ranking with the passages of some documents before others, one of each document in turn.

    Each fourth place is for the best other passage, so no document is hidden. The scores are unchanged.

    Parameters
    ----------
    ranked
        Passages, best first.
    documents
        Names of the preferred documents; without any, the ranking is unchanged.
    """
    by_document: dict[str, list[Passage]] = {name: [] for name in documents}
    other: list[Passage] = []
    for passage in ranked:
        by_document.get(passage.document, other).append(passage)
    own = sorted(filter(None, by_document.values()), key=lambda passages: -passages[0].score)
    turns = iter([passage for turn in itertools.zip_longest(*own) for passage in turn if passage is not None])
    others = iter(other)
    preferred: list[Passage] = []
    for _ in ranked:
        preferred += itertools.islice(turns, _PREFERRED)
        preferred += itertools.islice(others, 1)
    return preferred


@lru_cache(maxsize=65536)
def _owner_words(name: str) -> frozenset[str]:
    """Return the words of a file name that can name a company, in lower case."""
    words = {word.lower() for word in _WORD.findall(_YEAR.sub(" ", name.replace("_", " ")))}
    return frozenset(word for word in words - _KINDS if not word.isdigit())


def _asked(question: str) -> tuple[set[str], set[str]]:
    """Return the words of a question, also joined with those that follow, and those with a capital letter."""
    words = _WORD.findall(question)
    joined = {
        "".join(words[start : start + n]).lower() for n in range(1, _LONGEST_NAME + 1) for start in range(len(words))
    }
    return joined, {word.lower() for word in words if word[0].isupper() and len(word) >= _LEAST_PREFIX}


def _is_named(n_hits: int, n_words: int) -> bool:
    """Return whether a question has the words of a name: all of one or two, half of more."""
    return n_hits >= (n_words if n_words <= 2 else n_words / 2)
