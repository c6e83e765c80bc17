"""Find numbers in words, such as "six months" and "one hundred and fifty per cent".

The words of a number are found here and read by text2num. Small numbers count only before a unit, because "one" and
"two" are also used without an amount ("one of the parties"). In languages other than English, numbers count before a
unit of time.
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal

from sra_pipelines.checks.amounts import Amount
from sra_pipelines.checks.number_forms.number_writing import is_negated
from sra_pipelines.checks.number_forms.units import unit_after

__all__ = ["NUMBER_WORDS", "find_number_words"]

_WORD = (
    "(?:one|two|three|fourteen|four|fifteen|five|sixteen|sixty|six|seventeen|seventy|seven|eighteen|eighty|eight"
    "|nineteen|ninety|nine|ten|eleven|twelve|thirteen|twenty|thirty|forty|fifty|hundred|thousand|million|billion|zero)"
)
_HALVES = {"half": Decimal("0.5"), "quarter": Decimal("0.25"), "three quarters": Decimal("0.75")}
_SCALES = {"thousand": 3, "million": 6, "billion": 9}
NUMBER_WORDS = re.compile(rf"\b(?:a\s+(?=hundred|thousand|million))?{_WORD}\b(?:(?:\s+and\s+|[\s-]+){_WORD}\b)*", re.I)
"""A number in words, with or without a unit after it."""

_FRACTION = re.compile(
    r"(?:\s+and\s+(?:an?\s+)?(?P<part>half|quarter|three[\s-]quarters))(?:\s+(?P<scale>thousand|million|billion))?\b",
    re.I,
)
_PART_OF_A_SCALE = re.compile(
    r"\b(?:an?\s+)?(?P<part>half|quarter|three[\s-]quarters)(?:\s+of)?\s+an?\s+(?P<scale>thousand|million|billion)\b",
    re.I,
)
_DIGITS_BEFORE = re.compile(r"[\d\u00bc-\u00be][\s-]?$")  # "12.5 billion dollars" is not an amount in words
_ORDINAL_AFTER = re.compile(
    r"[\s-]?(?:first|second|third|half|halves|quarters?|[a-z]+(?:th|ths|ieth|ieths))\b", re.IGNORECASE
)
_PERCENT = re.compile(r"\s+per\s?cent(?:age\s+points?)?\b|\s*%|\s+percent\b", re.IGNORECASE)
_BASIS_POINTS = re.compile(r"\s+basis\s+points?\b", re.IGNORECASE)
_UNIT = re.compile(
    r"\s+(?:(?:further|consecutive|full|equal|business|working|calendar|annual|monthly)\s+)*"
    r"(?:periods?|times|instalments?|installments?|pounds|dollars|euros|pence|cents|shares|people|employees|persons)\b",
    re.IGNORECASE,
)
_AND_THREE = re.compile(r"\s+and\s+three$", re.IGNORECASE)
_QUARTERS = re.compile(r"[\s-]quarters\b", re.IGNORECASE)
_IN_DIGITS = re.compile(r"\s*\(\d+\)")  # "thirty (30) days"
_SHARE = re.compile(
    r"\b(?P<above>an?|one|two|three|four)[\s-](?P<below>half|halves|third|quarter|fifth|tenth)s?(?=\s+(?:of|share|interest)\b)",
    re.I,
)
_ABOVE = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4}
_BELOW = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fifth": 5, "tenth": 10}
_LARGEST_SMALL = 12  # larger numbers are amounts without a unit too
_OTHER_LANGUAGES = ("de", "fr", "es", "it", "nl", "pt")
_WORD_BEFORE_UNIT = re.compile(r"(?<![\w-])(?P<word>[^\W\d_]{2,}(?:-[^\W\d_]+)*)(?=\s+[^\W\d_]+)")
# Articles, which are numbers too where text2num does not read them.
_OTHER_WORDS = frozenset({"cent", "due", "once", "sec", "second", "ten"})  # English ones
_ARTICLES = {"ein": 1, "eine": 1, "einen": 1, "einem": 1, "einer": 1, "eines": 1, "zwei": 2, "zweier": 2}


def find_number_words(text: str) -> list[Amount]:
    """Return the numbers in words that are followed by a unit, or above twelve."""
    amounts = [_part_of_a_scale(match) for match in _PART_OF_A_SCALE.finditer(text)]
    amounts += [_share(match) for match in _SHARE.finditer(text)]
    taken = [(amount.start, amount.end) for amount in amounts]
    for match in NUMBER_WORDS.finditer(text):
        if any(match.start() < last and first < match.end() for first, last in taken):
            continue
        if _DIGITS_BEFORE.search(text[max(0, match.start() - 2) : match.start()]):
            continue
        end = match.end()
        if (three := _AND_THREE.search(match[0])) and _QUARTERS.match(text, end):  # "twelve and three quarters"
            end = match.start() + three.start()
        words = " ".join(text[match.start() : end].lower().split())
        value = _value(re.sub(r"^a\s+", "one ", words))
        if value is None:
            continue
        is_named = words.partition(" ")[0] not in ("hundred", "thousand", "million", "billion")  # "several thousand"
        if fraction := _FRACTION.match(text, end):
            value, end = (value + _HALVES[_plain(fraction["part"])]) * _scale(fraction["scale"]), fraction.end()
        percent, basis = _PERCENT.match(text, end), _BASIS_POINTS.match(text, end)
        repeated = _IN_DIGITS.match(text, end)
        unit = unit_after(text, repeated.end() if repeated else end)
        is_large = is_named and (value > _LARGEST_SMALL or fraction) and not _ORDINAL_AFTER.match(text, end)
        if not (percent or basis or unit or is_large or _UNIT.match(text, end)):
            continue
        if measure := percent or basis:
            end = measure.end()
        value = value.scaleb(-2) if basis else value
        if is_negated(text, match.start()):
            value = -value
        amounts.append(
            Amount(text[match.start() : end], match.start(), end, value, percent=measure is not None, unit=unit)
        )
    return sorted([*amounts, *_in_other_languages(text)], key=lambda amount: amount.start)


def _part_of_a_scale(match: re.Match[str]) -> Amount:
    value = _HALVES[_plain(match["part"])] * _scale(match["scale"])
    return Amount(match[0], match.start(), match.end(), value)


def _share(match: re.Match[str]) -> Amount:
    value = Decimal(100 * _ABOVE[match["above"].lower()]) / _BELOW[match["below"].lower()]
    return Amount(match[0], match.start(), match.end(), value, percent=True)


def _plain(words: str) -> str:
    return " ".join(re.split(r"[\s-]+", words.lower()))


def _scale(word: str | None) -> Decimal:
    return Decimal(1).scaleb(_SCALES[word.lower()] if word else 0)


def _in_other_languages(text: str) -> list[Amount]:
    """Return the numbers in one word before a unit of time, such as "sechs Monate"."""
    amounts = []
    for match in _WORD_BEFORE_UNIT.finditer(text):
        unit = unit_after(text, match.end())
        if unit and not NUMBER_WORDS.fullmatch(match["word"]) and match["word"].lower() not in _OTHER_WORDS:
            value = _value_in_other_languages(match["word"].lower())
            if value is not None:
                amounts.append(Amount(match["word"], match.start(), match.end(), value, unit=unit))
    return amounts


@functools.lru_cache(maxsize=1024)
def _value(words: str, language: str = "en") -> Decimal | None:
    from text_to_num import text2num

    try:
        return Decimal(text2num(words, language))
    except ValueError:  # not a number, such as "six two"
        return None


@functools.lru_cache(maxsize=1024)
def _value_in_other_languages(word: str) -> Decimal | None:
    if word in _ARTICLES:
        return Decimal(_ARTICLES[word])
    return next((value for language in _OTHER_LANGUAGES if (value := _value(word, language)) is not None), None)
