"""Find numbers in words, such as "six months" and "one hundred and fifty per cent", in English.

The words of a number are found here and read by text2num. They count as a number only before a unit, because
"one" and "two" are also used without an amount ("one of the parties").
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal

from sra_pipelines.checks.amounts import Amount, time_unit

__all__ = ["NUMBER_WORDS", "find_number_words"]

_WORD = (
    "(?:one|two|three|fourteen|four|fifteen|five|sixteen|sixty|six|seventeen|seventy|seven|eighteen|eighty|eight"
    "|nineteen|ninety|nine|ten|eleven|twelve|thirteen|twenty|thirty|forty|fifty|hundred|thousand|million|billion)"
)
NUMBER_WORDS = re.compile(rf"\b(?:a\s+(?=hundred|thousand|million))?{_WORD}\b(?:(?:\s+and\s+|[\s-]+){_WORD}\b)*", re.I)
"""A number in words, with or without a unit after it."""

_DIGITS_BEFORE = re.compile(r"[\d\u00bc-\u00be][\s-]?$")  # "12.5 billion dollars" is not an amount in words
_PERCENT = re.compile(r"\s+per\s?cent\b|\s*%", re.IGNORECASE)
_UNIT = re.compile(
    r"\s+(?:(?:further|consecutive|full|equal|business|working|calendar|annual|monthly)\s+)*"
    r"(?:periods?|times|instalments?|installments?|pounds|dollars|euros|pence|cents|shares|people|employees|persons)\b",
    re.IGNORECASE,
)


def find_number_words(text: str) -> list[Amount]:
    """Return the numbers in words that are followed by a unit, per cent or a word for what is counted."""
    amounts = []
    for match in NUMBER_WORDS.finditer(text):
        percent = _PERCENT.match(text, match.end())
        unit = time_unit(text, match.end())
        if not (percent or unit or _UNIT.match(text, match.end())):
            continue
        if _DIGITS_BEFORE.search(text[max(0, match.start() - 2) : match.start()]):
            continue
        value = _value(re.sub(r"^a\s+", "one ", " ".join(match[0].lower().split())))
        if value is not None:
            end = percent.end() if percent else match.end()
            amounts.append(
                Amount(text[match.start() : end], match.start(), end, value, percent=bool(percent), unit=unit)
            )
    return amounts


@functools.lru_cache(maxsize=1024)
def _value(words: str) -> Decimal | None:
    from text_to_num import text2num

    try:
        return Decimal(text2num(words, "en"))
    except ValueError:  # not a number, such as "six two"
        return None
