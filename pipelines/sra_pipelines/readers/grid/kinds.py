"""Kinds of values in the cells of a table, by which column headings differ from data."""

from __future__ import annotations

import enum
import re
from functools import lru_cache

__all__ = [
    "VALUES",
    "Kind",
    "begins_as_label",
    "is_amount",
    "is_column_name",
    "is_unit",
    "is_value",
    "kind_of",
    "may_name_columns",
]


class Kind(enum.Enum):
    """Kinds of values."""

    EMPTY = "empty"
    PLACEHOLDER = "a mark for a missing value, such as a dash"
    AMOUNT = "an amount"
    DATE = "a day"
    PERIOD = "a year or another period"
    TEXT = "text"


VALUES = (Kind.AMOUNT, Kind.DATE)
"""Kinds of values that are not names of columns or rows."""

_CURRENCY = r"(?:[$€£¥₹₽₩]|(?:US|A|C|HK|NZ|S)\$|USD|EUR|GBP|CHF|CZK|JPY|INR|PLN|SEK|NOK|DKK|Kč|zł|kr\.?|Rs\.?)"
_UNIT = (
    r"(?:[%‰°]\s?[CF]?|[a-zA-Zµμ²³/·]{1,3}|kWh|MWh|GWh|bps|pts|tons?|mio\.?|mrd\.?|million|billion|thousand|hours?|pcs)"
)
_AMOUNT = re.compile(
    rf"[-+\u2212\u2013(\[~<>≈≤≥\s]*{_CURRENCY}?\s?[-+\u2212(]?\s?{_CURRENCY}?\s?(?:\d[\d.,:'\u2019\s]*|\.\d+)"
    rf"(?:[eE][-+]?\d+)?\s?[)\]]?\s?(?:{_CURRENCY}|{_UNIT})?(?:\s?/\s?\w{{1,5}})?\s?[)\]%*]{{0,2}}"
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_YEAR = r"(?:19|20)\d\d"
_PERIOD = re.compile(
    rf"{_YEAR}(?:\s?[AEFPB])?|(?:FY|CY|H[12]|Q[1-4]|[1-4]Q|[12]H)\s?[-/']?\s?(?:{_YEAR}|\d\d)?|"
    rf"{_YEAR}\s?[-/\u2013]\s?\d\d(?:\d\d)?|{_YEAR}\s?[-/]?\s?(?:Q[1-4]|H[12])|{_MONTH}[\s'-]*(?:{_YEAR}|\d\d)?|"
    rf".*\b(?:ended|ending|as of|as at)\b.*",
    re.IGNORECASE,
)
_DATE = re.compile(
    rf"{_YEAR}-\d\d?-\d\d?(?:[ T]\d\d?:\d\d(?::\d\d)?)?|\d\d?[./-]\d\d?[./-](?:{_YEAR}|\d\d)|"
    rf"\d\d?\.?\s?{_MONTH},?\s?{_YEAR}|{_MONTH}\s?\d\d?,?\s?{_YEAR}",
    re.IGNORECASE,
)
_LONGEST_VALUE = 60
_SHORT = 2  # characters
_LONGEST_STEP = 5  # years between two columns
# Most cells are one of these, and are recognized by one pattern: an amount that is no year, and words. The words decide
# more than speed: "Ending balance" is a label, though a period may contain "ending".
_SIMPLE_AMOUNT = re.compile(r"[-(]?(?:[$€£] ?[-(]?)?(?:\d{1,3}(?:,\d{3})*+|\d{5,})(?:\.\d+)?(?:%?\)?|\)%)")
_WORDS = re.compile(r"(?!none|null|january|february|march|april|june|july|august|september|october|november|december)"
                    r"[A-Za-z]{4,}(?: (?!ended|ending|as of|as at)[a-z]{2,})*", re.IGNORECASE)  # fmt: skip
# Only for speed: texts that begin with a word are the most frequent labels. The first word of any other kind is
# shorter, or begins as one of these; only a period can also have its words elsewhere.
_LABEL = re.compile(
    r"(?!none|null|true|fals|janu|febr|marc|apri|june|july|augu|sept|octo|nove|dece|"
    r"usd|eur|gbp|chf|czk|jpy|inr|pln|sek|nok|dkk|kr|rs)[a-z]{4}",
    re.ASCII | re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"=.*|[-\u2013\u2014\u2212.*…]+|n\.?/?a\.?|n\.?m\.?|nil|none|tbd|tba|null|#\w+[/!?\w]*", re.IGNORECASE
)
_IN_UNITS = re.compile(
    rf"\(?(?:in\s+)?(?:{_CURRENCY}|%|[A-Z]{{3}})?\s?(?:{_UNIT}|thousands?|millions?|billions?|'?000s?)?\)?",
    re.IGNORECASE,
)
# Words of column headings, for tables of two columns, which otherwise look like a list of names and values.
_NAMES_OF_AMOUNTS = re.compile(
    r"\b(?:amounts?|values?|totals?|sums?|prices?|costs?|rates?|sales|revenues?|turnover|counts?|numbers?|no\.?|qty|"
    r"quantity|quantities|dates?|years?|shares?|percent(?:age)?|fees?|units?|balances?|salary|wages?|income|profits?|"
    r"budget|actual|plan|forecast|score|points|days|hours|months|weight|length|size|area|population|employees|staff|"
    r"headcount|volume|result|average|mean|median|usd|eur|gbp|czk|charges?|rent|tax|vat|expenses?|debt|assets|limit|"
    r"deadline|age|stock|duration|tons|kg|km)\b|[%€$£]|\((?!\d+\)).*\)",
    re.IGNORECASE,
)
_NAMES_OF_ROWS = re.compile(
    r"(?:line\s+)?items?|metrics?|measures?|categor(?:y|ies)|descriptions?|details?|particulars|names?|parameters?|fields?|"
    r"regions?|countr(?:y|ies)|cit(?:y|ies)|sites?|locations?|stores?|branch(?:es)?|products?|services?|accounts?|"
    r"departments?|teams?|segments?|quarters?|months?|years?|dates?|days?|periods?|weeks?|ids?|keys?|codes?|types?|"
    r"positions?|roles?|employees?|stages?|steps?|tasks?|terms?|ratios?|indicators?|tests?|projects?|classes|class|"
    r"kinds?|tiers?|grades?|levels?|plans?",
    re.IGNORECASE,
)
_HAS_DAY = re.compile(r"(?:date|day|period|term|year|month|quarter|week)s?", re.IGNORECASE)
_IN_WORDS = re.compile(r"\(|in\s", re.IGNORECASE)  # of a unit: "(in thousands)"
_ENDED = re.compile(r"\b(?:ended|ending|as of|as at)\b", re.IGNORECASE)


def kind_of(text: str) -> Kind:
    """Return the kind of a cell."""
    if not text:
        return Kind.EMPTY
    if not text[0].isalpha():  # only such a text can be a simple amount, and only other ones begin as labels
        # Digits with commas and one point, which are no year, are an amount; without an expression.
        digits = text if text.isdecimal() else text.replace(",", "").replace(".", "", 1)
        if digits.isdecimal() and text[0] not in ",." and 4 != len(text) <= _LONGEST_VALUE:
            return Kind.AMOUNT
        if _SIMPLE_AMOUNT.fullmatch(text):
            return Kind.AMOUNT
    elif len(text) > _LONGEST_VALUE or (begins_as_label(text[:4]) and not _may_be_period(text)):
        return Kind.TEXT
    elif text in ("TRUE", "FALSE"):
        return Kind.AMOUNT
    if len(text) > _LONGEST_VALUE or _WORDS.fullmatch(text):
        return Kind.TEXT
    if _PLACEHOLDER.fullmatch(text):
        return Kind.PLACEHOLDER
    if _DATE.fullmatch(text):
        return Kind.DATE
    if _PERIOD.fullmatch(text):
        return Kind.PERIOD
    return Kind.AMOUNT if _AMOUNT.fullmatch(text) else Kind.TEXT


def is_value(text: str) -> bool:
    """Return whether a text is one of `VALUES`."""
    return bool(text) and not begins_as_label(text[:4]) and kind_of(text) in VALUES


_kind_of_sign = lru_cache(maxsize=4096)(kind_of)


def is_amount(text: str) -> bool:
    """Return whether a text is an amount; faster than `kind_of` for signs, such as a currency in a cell of its own."""
    return (_kind_of_sign if len(text) <= _SHORT else kind_of)(text) is Kind.AMOUNT


@lru_cache(maxsize=4096)
def begins_as_label(start: str) -> bool:
    """Return whether only labels, and periods with their words within, begin with these four letters."""
    return _LABEL.fullmatch(start) is not None


def _may_be_period(text: str) -> bool:
    """Return whether a text that begins as a label may have the words of a period within."""
    lower = text.lower()
    return "end" in lower or "as " in lower or not text.isascii()


def may_name_columns(texts: list[str]) -> bool:
    """Return whether the years among the cells of a row can be headings, unlike the amounts 2000 and 1950."""
    years = [int(text) for text in texts if text.isdecimal() and kind_of(text) is Kind.PERIOD]
    return len(years) < 2 or max(years) - min(years) <= _LONGEST_STEP * (len(years) - 1)


def is_unit(text: str) -> bool:
    """Return whether a text is only a unit, such as ``£m`` or ``(in thousands)``."""
    return bool(text) and bool(_IN_UNITS.fullmatch(text))


def is_column_name(first: str, second: str) -> bool:
    """Return whether the two cells of a row are by their words the headings of two columns.

    A day or a month is a heading only beside a name of rows or a unit: ``Item | 31 March 2027``. Beside any other text
    it may be a value: ``End | 31 March 2027``.
    """
    if not first:
        return True
    is_day = kind_of(second) in (Kind.PERIOD, Kind.DATE) and not second.isdecimal()
    if _NAMES_OF_ROWS.fullmatch(first):
        return not (is_day and _HAS_DAY.fullmatch(first))
    if is_day and (_IN_WORDS.match(first) or _ENDED.search(second)):
        return True
    return bool(_NAMES_OF_AMOUNTS.search(second))
