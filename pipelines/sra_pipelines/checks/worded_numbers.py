"""Find numbers in words, such as "six months" and "one hundred and fifty per cent".

The words of a number are found here and read by text2num. Small numbers count only before a unit, because "one" and
"two" are also used without an amount ("one of the parties"). In languages other than English, numbers count before a
unit of time.
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal

from sra_pipelines.checks.amounts import Amount, currency_of_words
from sra_pipelines.checks.number_forms.number_writing import is_negated
from sra_pipelines.checks.number_forms.units import unit_after

__all__ = ["NUMBER_WORDS", "SMALL_WORDS", "find_number_words", "find_written_number_words", "small_number"]

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
_BELOW_WORDS = "half|halves|third|quarter|fourth|fifth|sixth|eighth|tenth"
SMALL_WORDS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
"""The numbers from one to twelve, as alternatives of a regular expression."""

_SHARES = (
    re.compile(
        rf"\b(?P<above>an?|{SMALL_WORDS})[\s-](?P<below>{_BELOW_WORDS})s?(?=\s+(?:of|share|interest)\b)(?!\s+of\s+an?\b)",
        re.I,
    ),
    # Without "of" only where it is no ordinal ("one third") and no quarter of a year ("three quarters").
    re.compile(r"\b(?P<above>one|two|three|four|five|seven)[\s-](?P<below>third|fifth|sixth|eighth|tenth)s?\b", re.I),
    re.compile(r"\b(?P<above>one|two|three)-(?P<below>half|halves|quarter|fourth)s?\b", re.I),
    re.compile(
        r"\bby\s+(?P<above>an?|one)\s+(?P<below>half|third|quarter|fifth|tenth)\b(?![\s-]+(?:part|person|time))", re.I
    ),
    re.compile(
        rf"\b(?P<above>{SMALL_WORDS}|\d{{1,2}})\s+(?:in|out\s+of)\s+(?:every\s+|the\s+)?(?P<below>{SMALL_WORDS}|\d{{1,2}})\b"
        r"(?!\s+(?:years?|months?|weeks?|days?|hours?|minutes?)\b|[.,:/]?\d|%)",
        re.I,
    ),
    re.compile(r"(?<![\w/.,-])(?P<above>[1-9])/(?P<below>[2-9]|10|12)(?![\w/-]|[.,]\d)"),
)
_SMALL = re.compile(r"(?<![-\w])(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?![-\w])", re.I)
_HALF_OF = re.compile(r"\b(?:half|halves)\s+(?:of\s+)?(?:the|its|their|all|our|his|her)\b", re.I)
_DOZENS = re.compile(rf"\b(?:(?P<half>half\s+a)|(?P<count>a|the|{SMALL_WORDS}|\d{{1,2}}))\s+dozens?\b", re.I)
_COMPOUND_SCALES = {"hundred": 2, "thousand": 3, "lakh": 5, "lakhs": 5, "million": 6, "crore": 7, "billion": 9}
_COMPOUND_SCALE = r"hundred|thousand|lakhs?|million|crore|billion"
_COMPOUND = re.compile(
    rf"(?<![\w.,])\d{{1,3}}(?:\.\d+)?\s+(?:{_COMPOUND_SCALE})(?:,?\s+(?:and\s+)?(?:\d{{1,3}}(?:\s+(?:{_COMPOUND_SCALE}))?(?![\d.,%]\d|\s?%)"
    rf"|{_WORD}(?:[\s-]+(?:and\s+)?{_WORD})*))+\b",
    re.I,
)
_COMPOUND_PART = re.compile(
    rf"(?:(?P<digits>\d[\d,]*(?:\.\d+)?)(?:\s+(?P<scale>{_COMPOUND_SCALE}))?|(?P<words>{_WORD}(?:[\s-]+(?:and\s+)?{_WORD})*))",
    re.I,
)
_ABOVE = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4}
_BELOW = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10,
}  # fmt: skip
_LARGEST_SMALL = 12  # larger numbers are amounts without a unit too
_OTHER_LANGUAGES = ("de", "fr", "es", "it", "nl", "pt")
_WORD_BEFORE_UNIT = re.compile(r"(?<![\w-])(?P<word>[^\W\d_]{2,}(?:-[^\W\d_]+)*)(?=\s+[^\W\d_]+)")
# Articles, which are numbers too where text2num does not read them.
_OTHER_WORDS = frozenset({"cent", "due", "once", "sec", "second", "ten"})  # English ones
_ARTICLES = {"ein": 1, "eine": 1, "einen": 1, "einem": 1, "einer": 1, "eines": 1, "zwei": 2, "zweier": 2}


def small_number(text: str) -> int:
    """Return a number of one word or in digits, such as 7 for "seven"; 0 if it cannot be read."""
    return int(text) if text.isdigit() else int(_value(text.lower()) or 0)


def find_written_number_words(text: str) -> list[Amount]:
    """Return the numbers in words of a passage: those of `find_number_words`, and 2 to 12 without a unit."""
    amounts = find_number_words(text)
    taken = {amount.start for amount in amounts}
    small = [match for match in _SMALL.finditer(text) if match.start() not in taken]
    amounts += [Amount(m[0], *m.span(), Decimal(50), percent=True) for m in _HALF_OF.finditer(text)]
    return amounts + [Amount(m[0], *m.span(), Decimal(small_number(m[0])), is_bare=True) for m in small]


def find_number_words(text: str) -> list[Amount]:
    """Return the numbers in words that are followed by a unit, or above twelve."""
    amounts = [_part_of_a_scale(match) for match in _PART_OF_A_SCALE.finditer(text)]
    amounts += [share for pattern in _SHARES for match in pattern.finditer(text) if (share := _share(match))]
    amounts += [_dozens(match) for match in _DOZENS.finditer(text)]
    amounts += [compound for match in _COMPOUND.finditer(text) if (compound := _compound(match))]
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
            Amount(
                text[match.start() : end], match.start(), end, value, percent=measure is not None, unit=unit,
                currency=currency_of_words(text, end), is_worded=True,
            )
        )  # fmt: skip
    return sorted([*amounts, *_in_other_languages(text)], key=lambda amount: amount.start)


def _part_of_a_scale(match: re.Match[str]) -> Amount:
    value = _HALVES[_plain(match["part"])] * _scale(match["scale"])
    return Amount(match[0], match.start(), match.end(), value)


def _share(match: re.Match[str]) -> Amount | None:
    above, below = _part_of_a_share(match["above"]), _part_of_a_share(match["below"])
    if not 0 < above < below:
        return None
    return Amount(match[0], match.start(), match.end(), Decimal(100 * above) / below, percent=True)


def _part_of_a_share(word: str) -> int:
    lowered = word.lower()
    return _ABOVE.get(lowered) or _BELOW.get(lowered) or small_number(lowered)


def _dozens(match: re.Match[str]) -> Amount:
    count = Decimal("0.5") if match["half"] else Decimal(small_number(match["count"]) or 1)
    return Amount(match[0], *match.span(), 12 * count, is_worded=True)


def _compound(match: re.Match[str]) -> Amount | None:
    """Return an amount whose parts have their own scales, as "82 thousand five hundred"; None if it has no value."""
    total, least = Decimal(0), None
    for part in _COMPOUND_PART.finditer(match[0]):
        power = _COMPOUND_SCALES[part["scale"].lower()] if part["scale"] else 0
        number = _value(part["words"].lower()) if part["words"] else Decimal(part["digits"].replace(",", ""))
        if number is None or (least is not None and number.scaleb(power) >= least):
            return None
        least = Decimal(1).scaleb(power)
        total += number.scaleb(power)
    return Amount(match[0], *match.span(), total, is_worded=True, unit=unit_after(match.string, match.end()))


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
