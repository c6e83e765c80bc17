"""Find what a number counts, such as "rooms" in "45 rooms", and whether a text has scale words or percentages.

A number that counts something is no sum of money, no percentage and no time or measure, although it is written in the
same figures: "a 2.5 star hotel" does not support "2.5 million euros".
"""

from __future__ import annotations

import re

from sra_pipelines.checks.number_forms.number_writing import PERCENT_SIGNS, is_scale_word
from sra_pipelines.checks.number_forms.units import unit_after
from sra_pipelines.retrieval.languages import ENGLISH, stop_words

__all__ = ["counted_after", "is_before_currency", "states_percentages", "states_scales"]

_NEXT_WORD = re.compile(r"[ \u00a0-](?P<word>[a-z]{3,})(?![\w'\u2019])")  # labels of rows begin with a capital
_MOST_WORDS = 3  # "14 full calendar days"; what follows later belongs to something else
_PLURAL = re.compile(r".*(?<![siu])s")
_COUNTED_TOO = (  # nouns without an s, and in the singular where they are written before another noun
    "people men women children staff personnel persons feet teeth fish sheep cattle series species "
    "star storey story page room bed seat person piece volt watt degree door stage step cylinder megapixel"
)
_FUNCTION_WORDS = (  # beyond the stop words of keyword search
    "has have had was were been its our your his her their from about after before above below over under per than "
    "between during since until upon within without against through when where which who whom whose what how why any "
    "all each other some both can may might would should could did done also only but though while because "
    "perhaps besides sometimes always afterwards onwards upwards overseas towards unless whereas"
)
_VERBS = (
    "applies remains covers includes equals represents relates refers comes goes becomes gives makes shows means "
    "exceeds expires ends starts begins runs pays falls rises takes follows results needs requires depends consists "
    "accrues arises reflects compares excludes contains leads leaves serves works counts stands lies appears says "
    "does gets holds keeps lets sets sits sees uses wants helps belongs concerns corresponds exists"
)
_OF_MONEY = (  # and words for parts of 100
    "points tenths hundredths thousandths times terms figures amounts units numbers totals "
    "sales earnings savings proceeds costs expenses fees taxes wages assets liabilities revenues gains payments funds "
    "deposits prices charges sums salaries rents premiums fines dues grants loans rates dividends contributions"
)
_CURRENCIES = (  # that have no sign or code of their own in `sra_pipelines.checks.amounts`
    "crowns pesos rubles roubles liras shekels dirhams riyals rials nairas cedis shillings forints dinars zlotys "
    "hryvnias lev leva lei guilders marks schillings escudos pesetas bitcoins credits"
)
_COUNTED = frozenset(_COUNTED_TOO.split())
_CURRENCY_WORDS = frozenset(_CURRENCIES.split())
_COUNTS_NOTHING = frozenset(f"{_FUNCTION_WORDS} {_VERBS} {_OF_MONEY}".split()) | _CURRENCY_WORDS
_ZEROS = re.compile(r"(?<![\d.,])['\u2019]?000s?\b")  # "$000", "in '000s"
_WORD = re.compile(r"[^\W\d_]+")
_IDEOGRAPHIC_SCALE = re.compile("[\u4e07\u842c\ub9cc\u5104\u4ebf\uc5b5\u5146]|\u5343|\u767e")
_SHARES = re.compile(
    rf"{PERCENT_SIGNS}|\b(?:percentages?|rates?|ratios?|shares?|margins?|proportions?|interest|yields?|growth)\b",
    re.IGNORECASE,
)


def counted_after(text: str, end: int) -> str:
    """Return the noun that follows a number which ends at `end`, such as "rooms"; empty if none is known.

    English nouns in the plural are found, also after an adjective, if no unit, scale word or punctuation is before
    them.
    """
    for _ in range(_MOST_WORDS):
        if unit_after(text, end) or (match := _NEXT_WORD.match(text, end)) is None:
            return ""
        word = match["word"]
        if word in _COUNTS_NOTHING or word in stop_words(ENGLISH) or is_scale_word(word):
            return ""
        if word in _COUNTED or _PLURAL.fullmatch(word):
            return word
        end = match.end()
    return ""


def is_before_currency(text: str, end: int) -> bool:
    """Return whether a currency in words, such as "crowns", follows a number which ends at `end`."""
    match = _NEXT_WORD.match(text, end)
    return match is not None and match["word"] in _CURRENCY_WORDS


def states_scales(text: str) -> bool:
    """Return whether a text has a scale word, such as "million" or "$000", also without a number."""
    words = {match[0] for match in _WORD.finditer(text)}
    return any(map(is_scale_word, words)) or bool(_ZEROS.search(text) or _IDEOGRAPHIC_SCALE.search(text))


def states_percentages(text: str) -> bool:
    """Return whether a text has a percent sign, or a word for what is given in per cent."""
    return bool(_SHARES.search(text))
