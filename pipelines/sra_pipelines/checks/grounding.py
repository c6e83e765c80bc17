"""Decide whether an answer is supported well enough to have sources.

An answer whose amounts, dates and names are not in the passages has no sources; interfaces show which passages were
read. The same holds for an answer that only repeats the question ("The answer is: 2025."), and for prose without
amounts or names that no lines of a passage contain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sra_pipelines.checks.scripts import stands_in
from sra_pipelines.checks.support import Claim, Support
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.values import Passage

__all__ = ["is_grounded"]

_YEAR = re.compile(r"(?:19|20)\d\d")
_ASKS_WHEN = re.compile(r"\b(?:when|year|date|day|month|until|since|how long|expires?|ends?|dated)\b", re.IGNORECASE)
_LINES = 4  # consecutive lines in which the words of a sentence are searched
_MOST_WORDS = 0.6  # share of the words that these lines must contain
_FILLERS = frozenset(keywords(["the answer question is are was as follows according to passage document yes no"])[0])


def is_grounded(question: str, passages: Sequence[Passage], support: Support) -> bool:
    """Return whether the passages support an answer, so that it has sources.

    Parameters
    ----------
    question
        The question. What an answer repeats from it is not evidence.
    passages
        The passages in the prompt.
    support
        Which parts of the answer are in the passages. More than half of its amounts and dates must be there, and more
        than half of its names; or if it has neither, a sentence with words that the question does not have.
    """
    numbers = [claim for claim in support.claims if claim.kind != "name" and _says_something(claim, question)]
    names = [claim for claim in support.claims if claim.kind == "name" and not claim.in_question]
    if numbers:
        return _most_are_supported(numbers) and (not names or _most_are_supported(names))
    if names:
        return _most_are_supported(names)
    return any(_is_quoted(sentence.text, question, passages) for sentence in support.sentences)


def _says_something(claim: Claim, question: str) -> bool:
    """Return whether a number answers; a bare year of a passage does only where the question asks for a time."""
    if claim.in_question:
        return False
    return not _YEAR.fullmatch(claim.text) or not claim.passages or bool(_ASKS_WHEN.search(question))


def _most_are_supported(claims: Sequence[Claim]) -> bool:
    return 2 * sum(bool(claim.passages) for claim in claims) > len(claims)


def _is_quoted(sentence: str, question: str, passages: Sequence[Passage]) -> bool:
    """Return whether a few lines of a passage contain most words of a sentence, without those of the question."""
    words = set(keywords([sentence])[0])
    asked = set(keywords([question])[0])
    own = {word for word in words - asked - _FILLERS if not word[0].isdigit()}
    if not own:
        return any(stands_in(sentence, passage.text, question) for passage in passages)
    for passage in passages:
        lines = [set(found) for found in keywords(passage.text.split("\n"))]
        for start in range(max(1, len(lines) - _LINES + 1)):
            together = set().union(*lines[start : start + _LINES])
            if len(own & together) >= _MOST_WORDS * len(own):
                return True
    return any(stands_in(sentence, passage.text, question) for passage in passages)
