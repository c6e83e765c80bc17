"""Decide whether a follow-up question needs rewriting, and whether a rewritten question may be used.

A question that can be understood alone is not rewritten: a model may only make it worse. Of a rewritten question, the
names, numbers and most other words of the follow-up must be left, and it must not name what the conversation does not.
"""

from __future__ import annotations

import re

from sra_pipelines.answering.other_languages import is_complete_in_its_language
from sra_pipelines.checks.worded_numbers import NUMBER_WORDS
from sra_pipelines.retrieval.keywords import keywords

__all__ = ["is_complete", "keeps_the_question", "without_opening"]

_OPENING = re.compile(r"^(?:(?:and|but|so|ok|okay|also|then|now|well)\b[\s,]*)+", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|itself|they|them|their|theirs|he|him|his|she|her|hers|former|latter|ones?|same|previous|earlier|"
    r"thereof|therein|instead|else|otherwise)\b"
    r"|\b(?:this|that|these|those)(?=\s*[?.!,;]|\s*$|\s+(?:is|are|was|were|be|happen|happens|happened|apply|applies|mean|"
    r"means|cost|costs|take|takes|change|changes|changed|case|amount|sum|figure|period|date|person|company|one|rate|number)\b)"
    r"|\b(?:is|are|was|were|does|do|did|has|have|can|may|must|will|would|should)\s+(?:this|that|these|those)"
    r"(?!\s+(?:agreement|contract|report|document)\b)"
    r"|\b(?:of|for|to|from|in|on|by|with|after|before|than|about|like|under)\s+(?:this|that|these|those)\s*(?:[?.!,;]|$)"
    r"|\b(?:year|month|day|quarter|time)\s+(?:before|after|earlier|later)\b|\bthere(?=\s*[?.!,;]|\s*$)"
    r"|\b(?:the\s+other|another)\b",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(r"^(?:(?:what|how)\s+about|not|only|or|nor)\b", re.IGNORECASE)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|am|do|does|did|has|have|had|can|could|may|might|must|shall|should|will|would)\b",
    re.IGNORECASE,
)
_ASKS_FOR_TEXT = re.compile(
    r"^(?:list|name|give|show|explain|describe|define|summari[sz]e|compare|tell|find|which|who|what)\b", re.IGNORECASE
)
_LEAST_WORDS = 4
_COMMAND = re.compile(r"^(?:list|name|summari[sz]e|describe|define|compare|explain|show|find)\b", re.IGNORECASE)
_LEAST_WORDS_OF_A_COMMAND = 3  # "List the parties."
_CONTRACTION = re.compile(r"\b(who|what|where|when|how)['\u2019]s\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:not|no|never|without)\b|n['\u2019]t\b", re.IGNORECASE)
_FIRST_WORD = re.compile(r"\W*([^\W\d_]+)")
_NAME = re.compile(r"(?<!^)(?<![.?!]\s)\b[A-Z][\w&'-]*\b|\b\w*\d[\w.,/%-]*")
_MOST_WORDS = 2 / 3  # share of the words of the follow-up that a rewritten question keeps


def without_opening(question: str) -> str:
    """Return a question without "And", "But" and the like at its beginning."""
    rest = _OPENING.sub("", question.strip())
    return rest[:1].upper() + rest[1:] if rest else question.strip()


def is_complete(question: str) -> bool:
    """Return whether a question can be understood without the conversation before it.

    It has a verb and a word to search for, and no word that points back, such as "it" or "the year before".
    """
    if (complete := is_complete_in_its_language(question)) is not None:
        return complete
    text = _CONTRACTION.sub(r"\1 is", without_opening(question))
    least = _LEAST_WORDS_OF_A_COMMAND if _COMMAND.search(text) else _LEAST_WORDS
    if len(text.split()) < least or _ELLIPSIS.search(text) or _POINTS_BACK.search(text):
        return False
    return bool(_words(text)) and bool(_VERB.search(text) or _ASKS_FOR_TEXT.search(text))


def keeps_the_question(rewritten: str, question: str, conversation: str) -> bool:
    """Return whether a rewritten question asks the same as a follow-up question.

    Parameters
    ----------
    rewritten
        The question as a model wrote it.
    question
        The follow-up question. All of its names and numbers and most of its words must be in the rewritten one.
    conversation
        The turns before. Names and numbers that are neither there nor in the follow-up must not be in the rewritten
        question, and no negation that the follow-up does not have.
    """
    asked = without_opening(question)
    kept, known = _plain(rewritten), f"{_plain(conversation)} {_plain(question)}"
    if any(not _contains(kept, name) for name in _names(asked)):
        return False
    if any(not _contains(known, name) for name in _names(rewritten)):
        return False
    if _NEGATION.search(rewritten) and not _NEGATION.search(asked):
        return False
    if not _begins_as_a_question(rewritten) and not _contains(known, _first_word(rewritten)):
        return False  # a name at the beginning, where every word is capitalised
    words = _words(asked)
    return len(words & _words(rewritten)) >= _MOST_WORDS * len(words)


def _first_word(text: str) -> str:
    match = _FIRST_WORD.match(text)
    return "" if match is None else match[1]


def _begins_as_a_question(text: str) -> bool:
    """Return whether the first word is a question word, a verb or another common word rather than a name."""
    return not _words(_first_word(text)) or bool(_VERB.match(text) or _ASKS_FOR_TEXT.match(text))


def _names(text: str) -> list[str]:
    """Return the names and numbers of a question, numbers in words too: "priority two" is not "priority three"."""
    return _NAME.findall(text) + [match[0] for match in NUMBER_WORDS.finditer(text)]


def _words(text: str) -> set[str]:
    """Return the stemmed words to search for, without those that point back."""
    return set(keywords([_POINTS_BACK.sub(" ", text)])[0]) - _QUESTION_WORDS


_QUESTION_WORDS = frozenset(
    keywords(["who what which when where why how much many long is are was were does do did has have"])[0]
)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+(?:[.,/'-]\w+)*%?", text.casefold()))


def _contains(text: str, name: str) -> bool:
    return f" {_plain(name)} " in f" {text} "
