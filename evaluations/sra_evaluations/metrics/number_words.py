"""Write the numbers of a text as digits: "six months" is "6 months", and "1.5 million" stays as it is."""

from __future__ import annotations

import re

from text_to_num import alpha2digit

__all__ = ["with_digits"]

_AFTER_DIGITS = re.compile(r"(?<=\d)(\s*)(hundred|thousand|million|billion|trillion)(s?)\b", re.IGNORECASE)
_GUARD = "qqq"  # a beginning that no number word has
# The library keeps "one" and "zero" because they are often no numbers ("no one"): here they count before a unit, and
# at the end of a text.
_UNITS = (
    r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|quarters?|years?|per\s?cent|percent|pounds?|dollars?|euros?)"
)
_SMALL = re.compile(rf"\b(one|zero)(?=[\s-]+{_UNITS}\b|\W*$)", re.IGNORECASE)
_NO_NUMBER = re.compile(r"(\b(no|any|every|some|this|that|which|each|the|other|last|only)\s+|-)$", re.IGNORECASE)


def with_digits(text: str) -> str:
    """Return the text with its English number words, ordinal numbers among them, written as digits.

    A scale word after digits ("1.5 million") is left alone, as are "one" and "zero" unless they count a unit or end the
    text.
    """
    guarded = _AFTER_DIGITS.sub(rf"\1{_GUARD}\2\3", text)
    return _SMALL.sub(_small_number, str(alpha2digit(guarded, "en", threshold=2)).replace(_GUARD, ""))


def _small_number(match: re.Match[str]) -> str:
    if _NO_NUMBER.search(match.string[max(0, match.start() - 12) : match.start()]):
        return match[0]
    return "1" if match[1].lower() == "one" else "0"
