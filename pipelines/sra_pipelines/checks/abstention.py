"""Detect non-answers: the model says that the documents do not answer, or the passages do not support the answer."""

from __future__ import annotations

import re
from typing import Literal

from sra_pipelines.checks.support import Support

__all__ = ["SENTENCE", "Abstention", "abstains"]

Abstention = Literal["nothing found", "model says so", "nothing supported", "not about the question"]
SENTENCE = "The documents do not say."

_SAYS_SO = re.compile(
    r"\b(?:documents?|passages?|context|texts?|information|report|agreement|filing)\b[^.\n]{0,40}"
    r"\b(?:do|does|did)\s*(?:not|n't|n\u2019t)\s+(?:\w+\s+){0,2}?"
    r"(?:say|state|mention|specify|provide|contain|include|hold|give|disclose|indicate|answer|address)"
    r"|\b(?:is|are|was|were)\s*(?:not|n't|n\u2019t)\s+(?:\w+\s+)?"
    r"(?:stated|mentioned|specified|provided|given|disclosed|found|answered|available)\b[^.\n]{0,30}"
    r"\b(?:documents?|passages?|context|texts?|report|agreement|filing)\b"
    r"|\bno (?:information|mention|passage)\b[^.\n]{0,60}\b(?:documents?|passages?|context|texts?|report|agreement)\b"
    r"|\b(?:cannot|can't|can not|could not|couldn't) (?:be )?(?:determined?|answered?|found?|find)\b",
    re.IGNORECASE,
)


def abstains(answer: str, support: Support) -> Abstention | None:
    """Return why a text is a non-answer, or None if it is an answer.

    Parameters
    ----------
    answer
        Output of the model. It is a non-answer if it states that the documents do not answer the question ("model says
        so"), or if no amount, date, name or sentence of it is in a passage ("nothing supported").
    support
        Which parts of the answer are in the passages.

    Returns
    -------
    abstention
        The reason, or None.
    """
    if _SAYS_SO.search(answer):
        return "model says so"
    return "nothing supported" if support.none else None
