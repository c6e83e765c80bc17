"""Find the documents that a question names by company, year or file name."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from sra_pipelines.values import Passage

__all__ = ["named_documents", "naming_words", "prefer_documents"]

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


def named_documents(question: str, names: Sequence[str]) -> list[str]:
    """Return the documents that a question names, in the order of their names; empty if it names none or all.

    A document is named by a word of its file name that not all documents have, such as that of a company. Years choose
    among the documents of a company, or among all documents if no company is named.

    Parameters
    ----------
    question
        The question. A question such as "which of the two companies" names all documents, if there are few.
    names
        Names of the documents of an index.
    """
    if len(names) < 2:
        return []
    own = {name: _owner_words(name) for name in names}
    counts = Counter(word for words in own.values() for word in words)
    asked, capitals = _asked(question)
    owners = {
        name
        for name, words in own.items()
        if _names({word for word in words if counts[word] < len(names)}, asked, capitals)
    }
    years = set(_YEAR.findall(question))
    of_years = {name for name in owners or names if years & set(_YEAR.findall(name.replace("_", " ")))}
    chosen = of_years or owners
    if not chosen and _SEVERAL.search(question) and len(names) <= _MOST_SEVERAL:
        return list(names)
    return [name for name in names if name in chosen] if len(chosen) < len(names) or len(owners) > 1 else []


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
    own = [[passage for passage in ranked if passage.document == name] for name in documents]
    own.sort(key=lambda passages: -passages[0].score if passages else 0.0)
    turns = iter([passage for turn in itertools.zip_longest(*own) for passage in turn if passage is not None])
    others = iter([passage for passage in ranked if passage.document not in documents])
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


def _names(words: set[str], asked: set[str], capitals: set[str]) -> bool:
    """Return whether a question has the words of a name: all of one or two, half of more."""
    hits = sum(word in asked or any(word.startswith(capital) for capital in capitals) for word in words)
    return bool(words) and hits >= (len(words) if len(words) <= 2 else len(words) / 2)
