"""Write the values of spreadsheet cells as the program shows them (ECMA-376, part 1, 18.8.31).

Days with numbers only, such as ``3/1/24``, are written as ``2024-03-01``, because their order depends on the country.
"""

from __future__ import annotations

import dataclasses
import datetime
import operator
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from sra_pipelines.readers.sheets.date_format import DATE_TOKEN, DatePlan, shown_date

__all__ = ["shown_value"]

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]|(?P<general>General)|'
    rf"(?P<date>{DATE_TOKEN})|(?P<exponent>[Ee][+-])|(?P<digit>[0#?])|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_CURRENCY = re.compile(r"\$([^-]*)(?:-[0-9A-F]+)?", re.IGNORECASE)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)")
_ELAPSED = re.compile(r"h{1,2}|m{1,2}|s{1,2}", re.IGNORECASE)
_NOT_ZERO = re.compile(r"[1-9]")
_THOUSANDS = re.compile(r"(?<=\d)(?=(?:\d{3})+$)")
_LONGEST = 255  # characters of a format; Excel accepts no more
_MOST_DIGITS = 40
_MOST_COMMON_DECIMALS = 6
_EXACT_DIGITS = 15  # of a float; more are not those that were written
_LARGEST = 1e21  # larger numbers have an exponent in any format
_NUMBERS = (int, float)
_DATES = (datetime.date, datetime.time, datetime.timedelta)
_WRITTEN = ("text", "literal")
_TESTS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne}


@dataclasses.dataclass(frozen=True, slots=True)
class _Common:
    """How Python writes a number in a common layout.

    Parameters
    ----------
    places
        Decimals of the number itself; two more than are shown for per cent.
    decimals
        Decimals that are shown.
    grouped
        Whether thousands are separated.
    specification
        The format of Python for the number itself.
    limit
        Numbers from this one on may have other digits than those that were written.
    """

    places: int
    decimals: int
    grouped: bool
    specification: str
    limit: float

    @classmethod
    def of(cls, decimals: int, is_percent: bool, grouped: bool) -> _Common:
        """Return how a number with some decimals is written."""
        places = decimals + 2 * is_percent
        comma = "," if grouped and not is_percent else ""
        return cls(places, decimals, grouped, f"{comma}.{places}f", 10.0 ** (_EXACT_DIGITS - places))


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """The places for digits in a section, found once for all cells with the format.

    Parameters
    ----------
    whole, decimals, digits
        Places before the decimal point, after it, and of the exponent.
    exponent
        The sign of the exponent, such as ``E+``; None without one.
    factor
        By what the number is multiplied: for per cent, thousands and millions.
    grouped
        Whether thousands are separated.
    before, after
        Texts around the digits.
    is_pattern
        Whether texts are between the digits, as in a telephone number.
    common
        How Python writes a number in a layout such as ``#,##0.00`` or ``0%``, which is faster; None for other layouts.
    """

    whole: tuple[str, ...]
    decimals: tuple[str, ...]
    digits: tuple[str, ...]
    exponent: str | None
    factor: Decimal
    grouped: bool
    before: str
    after: str
    is_pattern: bool
    common: _Common | None

    @classmethod
    def of(cls, tokens: tuple[tuple[str, str], ...]) -> _Layout:
        """Return the layout of a section with a place for a digit."""
        first = next(i for i, (kind, _) in enumerate(tokens) if kind in ("digit", "point"))
        places = [i for i, (kind, _) in enumerate(tokens) if kind == "digit"]
        last = places[-1]
        point = next((i for i, (kind, _) in enumerate(tokens) if kind == "point"), len(tokens))
        exponent = next((i for i, (kind, _) in enumerate(tokens) if kind == "exponent"), len(tokens))
        commas = [i for i, (kind, _) in enumerate(tokens) if kind == "comma"]
        whole = [i for i in places if i < min(point, exponent)]
        last_whole = max(whole, default=min(point, exponent))
        thousands = sum(last_whole < i < min(point, exponent) or last < i for i in commas)
        factor = Decimal(100) ** sum(kind == "percent" for kind, _ in tokens) / Decimal(1000) ** thousands
        shown = tuple(tokens[i][1] for i in whole)
        decimals = tuple(tokens[i][1] for i in places if point < i < exponent)
        is_pattern = any(kind in ("literal", "slash") for kind, _ in tokens[first : last + 1])
        is_common = (
            exponent == len(tokens)
            and not is_pattern
            and factor in (1, 100)
            and shown.count("0") == 1
            and set(decimals) <= {"0"}
            and len(decimals) <= _MOST_COMMON_DECIMALS
        )
        grouped = any(first < i < max(whole, default=0) for i in commas)
        return cls(
            whole=shown,
            decimals=decimals,
            digits=tuple(tokens[i][1] for i in places if i > exponent),
            exponent=tokens[exponent][1] if exponent < len(tokens) else None,
            factor=factor,
            grouped=grouped,
            before="".join(text for kind, text in tokens[:first] if kind in ("literal", "percent")),
            after="".join(text for kind, text in tokens[last + 1 :] if kind in ("literal", "percent")),
            is_pattern=is_pattern,
            common=_Common.of(len(decimals), factor == 100, grouped) if is_common else None,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Section:
    """One of the parts of a format, which are separated by semicolons.

    Parameters
    ----------
    tokens
        Kind and text of its parts.
    condition
        Operator and number; None for the usual order of positive, negative and zero.
    kinds
        The kinds of its parts.
    layout
        The places for digits; None if there are none.
    is_common
        Whether it shows a number by its digits only, in a common layout.
    """

    tokens: tuple[tuple[str, str], ...]
    condition: tuple[str, float] | None
    kinds: frozenset[str]
    layout: _Layout | None
    is_common: bool

    @classmethod
    def of(cls, tokens: tuple[tuple[str, str], ...], condition: tuple[str, float] | None) -> _Section:
        """Return the section with these parts."""
        kinds = frozenset(kind for kind, _ in tokens)
        layout = _Layout.of(tokens) if "digit" in kinds else None
        has_digits_only = kinds.isdisjoint(("general", "text", "slash", "date", "elapsed"))
        is_common = has_digits_only and layout is not None and layout.common is not None
        return cls(tokens, condition, kinds, layout, is_common)

    def has(self, kind: str) -> bool:
        return kind in self.kinds


@dataclasses.dataclass(frozen=True, slots=True)
class _Format:
    """A format, read once for all cells that have it.

    Parameters
    ----------
    sections
        Its sections.
    has_conditions
        Whether conditions select one of its sections for a number.
    dates
        How it shows dates.
    """

    sections: tuple[_Section, ...]
    has_conditions: bool
    dates: DatePlan


def shown_value(value: object, number_format: str) -> str:
    """Return the value of a cell as text.

    Parameters
    ----------
    value
        The value; a number with a date format may be given as a date, a time or a duration.
    number_format
        The format code of the cell, such as ``#,##0.00" kg"``.
    """
    if value is None:
        return ""
    if isinstance(value, _NUMBERS):
        if isinstance(value, bool):
            return str(value).upper()
        if number_format == "General" and value - value == 0:
            return _general(value)
        return _shown_number(value, _format(number_format)) if number_format != "General" else str(value)
    if number_format == "General" and not isinstance(value, _DATES):
        return str(value)
    known = _format(number_format)
    sections = known.sections
    if isinstance(value, _DATES):
        return shown_date(value, sections[0].tokens, known.dates)
    text = str(value)
    if len(sections) > 3 or (len(sections) == 1 and sections[0].has("text")):
        return "".join(text if kind == "text" else own for kind, own in sections[-1].tokens if kind in _WRITTEN)
    return text


@cache
def _format(number_format: str) -> _Format:
    number_format = number_format[:_LONGEST]
    sections: list[_Section] = []
    tokens: list[tuple[str, str]] = []
    condition = None
    for match in [*_TOKEN.finditer(number_format), None]:
        if match is None or match["other"] == ";":
            sections.append(_Section.of(tuple(tokens), condition))
            tokens, condition = [], None
        elif match["bracket"] is not None:
            if found := _CONDITION.fullmatch(match["bracket"]):
                condition = (found[1], float(found[2]))
            elif sign := _CURRENCY.fullmatch(match["bracket"]):
                tokens.append(("literal", sign[1]))
            elif _ELAPSED.fullmatch(match["bracket"]):
                tokens.append(("elapsed", match["bracket"]))
        elif token := _token(match):
            tokens.append(token)
    has_conditions = any(section.condition for section in sections[:3])
    return _Format(tuple(sections), has_conditions, DatePlan.of(sections[0].tokens))


def _token(match: re.Match[str]) -> tuple[str, str] | None:
    for kind in ("general", "date", "exponent", "digit"):
        if match[kind]:
            return kind, match[kind]
    literal = match["quoted"] if match["quoted"] is not None else match["escaped"]
    if literal is not None:
        return "literal", literal
    if match["other"] is None:
        return None  # a space as wide as a character, or a filling character
    kinds = {".": "point", ",": "comma", "%": "percent", "@": "text", "/": "slash"}
    return kinds.get(match["other"], "literal"), match["other"]


def _shown_number(value: float, known: _Format) -> str:
    if not -_LARGEST < value < _LARGEST:
        return _general(value) if value - value == 0 else "#NUM!"  # infinite, or not a number
    section, negative = _section_for(value, known)
    if section is None:
        return ""
    if section.is_common and section.layout is not None and section.layout.common is not None:
        text = _common(abs(value), section.layout, section.layout.common)
        if text is not None:
            return f"-{text}".strip() if value < 0 and not negative and _NOT_ZERO.search(text) else text.strip()
    if section.has("date") or section.has("elapsed"):  # a number that is no valid date
        return _general(value)
    number = abs(Decimal(repr(value))) if negative else Decimal(repr(value))
    if section.layout is None and not section.has("general") and not section.has("text"):
        return "".join(text for kind, text in section.tokens if kind in ("literal", "percent", "slash")).strip()
    if section.has("general") or section.has("text"):
        pieces = (_general(float(number)) if kind in ("general", "text") else text for kind, text in section.tokens)
        return "".join(pieces).strip()
    if section.layout is None or section.has("slash"):
        return _general(float(number))  # a fraction
    text = _with_digits(abs(number), section.tokens, section.layout)
    return f"-{text}".strip() if number < 0 and _NOT_ZERO.search(text) else text.strip()


def _section_for(value: float, known: _Format) -> tuple[_Section | None, bool]:
    """Return the section for a number, and whether it shows the number without its sign."""
    sections = known.sections
    if known.has_conditions:
        numeric = sections[:3]
        for section in numeric:
            if section.condition is None or _TESTS[section.condition[0]](value, section.condition[1]):
                return section, section.condition is not None and value < 0 and section is not numeric[0]
        return None, False
    if value < 0 and len(sections) > 1:
        return sections[1], True
    return sections[2 if value == 0 and len(sections) > 2 else 0], False


def _with_digits(number: Decimal, tokens: tuple[tuple[str, str], ...], layout: _Layout) -> str:
    if layout.factor != 1:
        number *= layout.factor
    if layout.exponent is not None:
        body = _scientific(number, layout)
    elif layout.is_pattern:
        return _patterned(number, tokens, layout)
    else:
        body = _plain(number, layout.whole, layout.decimals, layout.grouped)
    return f"{layout.before}{body}{layout.after}"


def _common(value: float, layout: _Layout, common: _Common) -> str | None:
    """Return a number of a common layout without decimal arithmetic; None if that could round it differently.

    The shortest digits that give the same float, which Excel rounds, are on the same side of a half as the float itself
    unless they end with it.
    """
    if value >= common.limit:
        return None
    digits = repr(value)
    if "e" in digits or (digits[-1] == "5" and len(digits) - digits.find(".") - 1 == common.places + 1):
        return None
    text = format(value, common.specification)
    if common.places > common.decimals:  # per cent
        whole, _, fraction = text.partition(".")
        whole, fraction = (whole + fraction[:2]).lstrip("0") or "0", fraction[2:]
        if common.grouped and len(whole) > 3:
            whole = f"{int(whole):,}"
        text = f"{whole}.{fraction}" if fraction else whole
    return f"{layout.before}{text}{layout.after}"


def _plain(number: Decimal, whole: Sequence[str], decimals: Sequence[str], grouped: bool) -> str:
    step = Decimal(1).scaleb(-len(decimals[:_MOST_DIGITS]))
    rounded = number.quantize(step, ROUND_HALF_UP) if number.adjusted() < _MOST_DIGITS // 2 else number
    integer, _, fraction = f"{rounded:f}".partition(".")
    integer = integer.lstrip("0").zfill(whole.count("0")) if whole.count("0") or integer.strip("0") else ""
    if grouped:
        integer = _THOUSANDS.sub(",", integer) if len(integer) > 3 else integer
    needed = max((i + 1 for i, place in enumerate(decimals) if place != "#"), default=0)
    fraction = fraction[:needed] + fraction[needed:].rstrip("0")
    return f"{integer}.{fraction}" if fraction else integer or ("" if decimals else "0" if "0" in whole else "")


def _scientific(number: Decimal, layout: _Layout) -> str:
    width, sign = max(1, len(layout.whole)), layout.exponent or "E+"
    power = 0 if not number else number.adjusted() - (number.adjusted() % width if width > 1 else 0)
    mantissa = _plain(number.scaleb(-power), layout.whole, layout.decimals, False)
    mark = "-" if power < 0 else "+" if sign.endswith("+") else ""
    return f"{mantissa}{sign[0]}{mark}{str(abs(power)).zfill(layout.digits.count('0'))}"


def _patterned(number: Decimal, tokens: tuple[tuple[str, str], ...], layout: _Layout) -> str:
    """Return a number with texts between its digits: ``(555) 123-4567``, ``1'234.50``."""
    plain = _plain(number, ("0",) * len(layout.whole), layout.decimals, False)
    integer, _, fraction = plain.partition(".")
    shown = integer.lstrip("0").rjust(len(layout.whole))
    extra, digits = shown[: len(shown) - len(layout.whole)], iter(shown[len(shown) - len(layout.whole) :] + fraction)
    parts: list[str] = []
    for kind, text in tokens:
        if kind == "digit":
            digit = next(digits, "")
            parts.append(extra + (digit if digit.strip() else "0" if text == "0" else ""))
            extra = ""
        elif kind in ("literal", "percent") or (kind == "point" and fraction):
            parts.append(text)
    return "".join(parts)


def _general(value: float) -> str:
    """Return a number without a format: a large one with an exponent, others without."""
    if abs(value) >= _LARGEST:
        return f"{value:.10g}"
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    digits = 10 if abs(value) < 1e6 else 15  # significant ones; the last of 17 are errors of rounding
    return f"{Decimal(f'{value:.{digits}g}'):f}"
