"""Read numbers in Chinese characters, as Chinese and Japanese write them, before a unit or with a power of ten."""

from __future__ import annotations

import itertools
import re
from decimal import Decimal

from sra_pipelines.checks.amounts import Amount
from sra_pipelines.checks.number_forms.units import unit_after

__all__ = ["find_ideographic_numbers"]

_DIGITS = {digit: value for value, digits in enumerate(
    ("\u3007\u96f6", "\u4e00\u58f1\u58f9", "\u4e8c\u4e24\u5169\u5f10\u8d30", "\u4e09\u53c2\u53c1", "\u56db\u8086",
     "\u4e94\u4f0d", "\u516d\u9646", "\u4e03\u67d2", "\u516b\u634c", "\u4e5d\u7396")
) for digit in digits}  # fmt: skip
_TENS = {"\u5341": 1, "\u62fe": 1, "\u767e": 2, "\u4f70": 2, "\u5343": 3, "\u4edf": 3}
_GROUPS = {"\u4e07": 4, "\u842c": 4, "\u5104": 8, "\u4ebf": 8, "\u5146": 12}
_CHARACTERS = "".join((*_DIGITS, *_TENS, *_GROUPS))
_NUMBER = re.compile(rf"(?<![\d.,\uff10-\uff19])(?P<percent>\u767e\u5206\u4e4b)?(?P<number>[{_CHARACTERS}]+)")
_COUNTED = re.compile(
    "[\u5e74\u6708\u65e5\u5929\u5186\u5713\u5143\u4eba\u540d\u6761\u689d\u9031\u5468\u56de\u6b21\u500b\u4e2a\u9805\u9879\u53f0\u672c\u679a\u4ef6\u7ae0]"
)
_PERCENT = re.compile("\uff05|%|\u30d1\u30fc\u30bb\u30f3\u30c8")


def find_ideographic_numbers(text: str) -> list[Amount]:
    """Return the numbers in Chinese characters.

    The characters are also parts of other words, so a number counts only before a unit or a word for what is counted,
    or as a product with a power of ten.
    """
    amounts = []
    for match in _NUMBER.finditer(text):
        number = match["number"]
        unit = unit_after(text, match.end())
        percent = match["percent"] or _PERCENT.match(text, match.end())
        is_product = any(one in _DIGITS and after not in _DIGITS for one, after in itertools.pairwise(number))
        if unit or percent or is_product or _COUNTED.match(text, match.end()):
            value = _value(number)
            amounts.append(Amount(match[0], match.start(), match.end(), value, percent=bool(percent), unit=unit))
    return amounts


def _value(number: str) -> Decimal:
    """Return the value of a number such as "\u767e\u4e94\u5341\u4e07" or "\u4e8c\u3007\u4e8c\u4e03"."""
    if all(character in _DIGITS for character in number):
        return Decimal("".join(str(_DIGITS[character]) for character in number))
    total = group = digit = 0
    for character in number:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _TENS:
            group, digit = group + (digit or 1) * 10 ** _TENS[character], 0
        else:
            total, group, digit = total + (group + digit or 1) * 10 ** _GROUPS[character], 0, 0
    return Decimal(total + group + digit)
