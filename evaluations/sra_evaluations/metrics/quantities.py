"""Amounts with their units, and numbers that are names: what makes two figures the same or not.

A quantity is a number with a unit of time, length or mass; it is compared exactly, also between units of one family
("12 weeks" is "84 days"; six months are not 180 days). An identifier is a number that names something, such as a
telephone number or the number of a clause; it is compared digit by digit.
"""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from fractions import Fraction

from sra_pipelines.checks.amounts import Amount, find_amounts

__all__ = ["Quantity", "currency_of", "find_quantities", "is_identifier", "same_identifier", "same_quantity"]

# By family: the factor of each unit, as singular words and abbreviations.
_FAMILIES: dict[str, dict[str, int | Fraction]] = {
    "time": {
        "second|sec": 1, "minute|min": 60, "hour|hr": 3600, "day": 86_400, "week": 604_800, "fortnight": 1_209_600,
    },
    "months": {"month": 1, "quarter": 3, "year|yr": 12, "decade": 120, "century": 1200},
    "metric length": {
        "millimetre|millimeter|mm": 1, "centimetre|centimeter|cm": 10, "metre|meter": 1000,
        "kilometre|kilometer|km": 1_000_000,
    },
    "imperial length": {"inch|in": 1, "foot|feet|ft": 12, "yard|yd": 36, "mile|mi": 63_360},
    "metric mass": {"milligram|mg": 1, "gram|g": 1000, "kilogram|kg": 1_000_000, "tonne": 1_000_000_000},
    "imperial mass": {"ounce|oz": 1, "lb": 16},  # "pound" is a currency here
}  # fmt: skip
_UNITS = {
    name: (family, Fraction(factor))
    for family, units in _FAMILIES.items()
    for names, factor in units.items()
    for name in names.split("|")
} | {"centuries": ("months", Fraction(1200)), "inches": ("imperial length", Fraction(1))}
# An adjective may be between ("45 consecutive days"), or a hyphen ("a five-year term").
_UNIT = re.compile(
    rf"[\s-]*(?:(?:consecutive|calendar|business|working|full|whole|clear|complete|further)\s+)?"
    rf"({'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?:s|es|\.)?(?![a-z])",
    re.IGNORECASE,
)
_EXACT = ("time", "months")
_TOLERANCE = Fraction(1, 100)  # gold answers are rounded
_CURRENCIES = {"$": "dollar", "£": "pound", "€": "euro", "¥": "yen"}
_CURRENCY_WORD = re.compile(r"\s*(?:US\s)?(dollars?|pounds?|euros?|yen|USD|GBP|EUR|JPY)\b", re.IGNORECASE)
_CODES = {"usd": "dollar", "gbp": "pound", "eur": "euro", "jpy": "yen"}

_NUMBERED = (
    r"clauses?|sections?|articles?|paragraphs?|sub-?clauses?|schedules?|appendi(?:x|ces)|annex(?:es)?|exhibits?|items?"
    r"|chapters?|notes?|pages?|tables?|rules?|regulations?|versions?|rooms?|lots?"
)
_NUMBER = r"\d+(?:[.:]\d+)*(?:\([a-z0-9]+\))*"
_NAMED = re.compile(
    rf"\b(?:{_NUMBERED})\s+(?:no\.?\s*|number\s+)?({_NUMBER}(?:(?:\s*,\s*|\s+(?:and|or|to)\s+){_NUMBER})*)", re.I
)
_BEGINS_NAMED = re.compile(rf"\W*(?:(?:in|under|by|the)\s+)*{_NAMED.pattern}", re.IGNORECASE)
_ASKS_FOR_NAME = re.compile(
    rf"\b(?:which|what)\s+(?:{_NUMBERED})\b"
    r"|\b(?:tele)?phone\b|\bfax\b|\bextension\b|\bpost\s?code\b|\bzip\b"
    r"|\b(?:account|registration|registered|company|reference|policy|invoice|case|serial|licence|license|patent|order"
    r"|contract|permit|identification|id)\s+(?:number|no\.?|code)\b",
    re.IGNORECASE,
)
# Digits in groups: a telephone number has at least seven of them and begins with a zero or a plus sign. What a hyphen
# joins to letters, as in a UUID, is no telephone number.
_TELEPHONE = re.compile(r"(?<![\w.,-])(?:\+\d{1,3}[\s().-]*|\(?0)\d(?:[\s().-]{0,3}\d){5,13}(?![\w]|[.,-]\w)")
_ONLY_DIGITS = re.compile(r"\W*(?:0\d+|\d+(?:\.\d+){2,})\W*")  # a leading zero, or as many parts as no decimal has


@dataclasses.dataclass(frozen=True, slots=True)
class Quantity:
    """A number with the unit that follows it.

    Parameters
    ----------
    value
        The number as written.
    family
        Kind of unit, such as ``"time"``; units of one family can be converted. Empty if the number has no known unit.
    factor
        Size of the unit in the smallest unit of its family.
    """

    value: Decimal
    family: str = ""
    factor: Fraction = Fraction(1)


def find_quantities(text: str) -> list[Quantity]:
    """Return the numbers of a text with their units; percentages and amounts with a scale word are omitted."""
    quantities = []
    for amount in find_amounts(text):
        if amount.percent or amount.scale:
            continue
        unit = _UNIT.match(text, amount.end)
        # "in" is more often a preposition than an inch.
        if unit is None or (unit[1] == "in" and not re.match(r"[\s-]*in(?:\.|\W*$|\s*\d)", text[amount.end :])):
            quantities.append(Quantity(abs(amount.value)))
        else:
            quantities.append(Quantity(abs(amount.value), *_UNITS[unit[1].lower()]))
    return quantities


def same_quantity(answered: Quantity, gold: Quantity) -> bool:
    """Return whether two quantities are equal, lengths and masses within 1%.

    An answer without a unit is in that of the gold answer.
    """
    if answered.family not in ("", gold.family):
        return False
    one = Fraction(answered.value) * (answered.factor if answered.family else gold.factor)
    other = Fraction(gold.value) * gold.factor
    return one == other or (gold.family not in _EXACT and abs(one - other) <= _TOLERANCE * max(one, other))


def currency_of(amount: Amount, text: str) -> str | None:
    """Return the currency that an amount of `text` is written with, as a word; None if there is none."""
    for sign, name in _CURRENCIES.items():
        if sign in amount.text:
            return name
    word = _CURRENCY_WORD.match(text, amount.end)
    if word is None:
        return None
    name = word[1].lower()
    return _CODES.get(name, name.rstrip("s"))


def is_identifier(gold: str, question: str = "") -> bool:
    """Return whether a gold answer is a number that names something, so that a similar number is wrong.

    Parameters
    ----------
    gold
        The gold answer.
    question
        A bare number is an identifier if this asks for one, as "Which clause ...?" does.
    """
    if _TELEPHONE.search(gold) or _ONLY_DIGITS.fullmatch(gold) or _BEGINS_NAMED.match(gold):
        return True
    return bool(re.fullmatch(r"[\W\d]*\d[\W\d]*", gold) and _ASKS_FOR_NAME.search(question))


def same_identifier(answer: str, gold: str) -> bool:
    """Return whether an answer has every identifier of the gold answer, digit by digit.

    Spaces and signs within a telephone number do not count, nor does an international prefix that one of the two has.
    If the answer names clauses and similar parts, its other numbers do not count.
    """
    telephones = [_digits(match[0]) for match in _TELEPHONE.finditer(gold)]
    if telephones:
        lines = [_digits(match[0]) for match in _TELEPHONE.finditer(answer)]
        return all(any(_same_line(one, other) for other in lines) for one in telephones)
    named = _BEGINS_NAMED.match(gold)
    wanted = _numbers(named[1] if named else gold)
    given = [number for part in _NAMED.findall(answer) for number in _numbers(part)] if named else []
    return set(wanted) <= set(given or _numbers(answer))


def _numbers(text: str) -> list[str]:
    return re.findall(rf"(?<![\w.:]){_NUMBER}(?![\w(])", text, re.IGNORECASE)


def _digits(telephone: str) -> str:
    return ("+" if telephone.startswith("+") else "") + re.sub(r"\D", "", telephone.replace("(0)", ""))


def _same_line(one: str, other: str) -> bool:
    if one.startswith("+") == other.startswith("+"):
        return one == other
    national, international = sorted((one, other), key=lambda number: number.startswith("+"))
    return national.startswith("0") and international.endswith(national[1:])
