"""Write the values of spreadsheet cells as the program shows them (ECMA-376, part 1, 18.8.31).

Days with numbers only, such as ``3/1/24``, are written as ``2024-03-01``, because their order depends on the country.
"""

from __future__ import annotations

import dataclasses
import datetime
import operator
import re
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from sra_pipelines.readers.sheets.date_format import DATE_TOKEN, shown_date

__all__ = ["shown_value"]

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]|(?P<general>General)|'
    rf"(?P<date>{DATE_TOKEN})|(?P<exponent>[Ee][+-])|(?P<digit>[0#?])|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_CURRENCY = re.compile(r"\$([^-]*)(?:-[0-9A-F]+)?", re.IGNORECASE)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)")
_ELAPSED = re.compile(r"h{1,2}|m{1,2}|s{1,2}", re.IGNORECASE)
_LONGEST = 255  # characters of a format; Excel accepts no more
_MOST_DIGITS = 40
_LARGEST = 1e21  # larger numbers have an exponent in any format
_WRITTEN = ("text", "literal")
_TESTS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne}


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
    """

    tokens: tuple[tuple[str, str], ...]
    condition: tuple[str, float] | None
    kinds: frozenset[str]

    def has(self, kind: str) -> bool:
        return kind in self.kinds


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
    if isinstance(value, bool):
        return str(value).upper()
    if number_format == "General" and not isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return _general(value) if isinstance(value, int | float) and value - value == 0 else str(value)
    sections = _sections(number_format[:_LONGEST])
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return shown_date(value, sections[0].tokens)
    if isinstance(value, int | float):
        return _shown_number(value, sections)
    text = str(value)
    if len(sections) > 3 or (len(sections) == 1 and sections[0].has("text")):
        return "".join(text if kind == "text" else own for kind, own in sections[-1].tokens if kind in _WRITTEN)
    return text


@cache
def _sections(number_format: str) -> tuple[_Section, ...]:
    sections: list[_Section] = []
    tokens: list[tuple[str, str]] = []
    condition = None
    for match in [*_TOKEN.finditer(number_format), None]:
        if match is None or match["other"] == ";":
            sections.append(_Section(tuple(tokens), condition, frozenset(kind for kind, _ in tokens)))
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
    return tuple(sections)


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


def _shown_number(value: float, sections: tuple[_Section, ...]) -> str:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "#NUM!"
    if abs(value) >= _LARGEST:
        return _general(value)
    section, negative = _section_for(value, sections)
    if section is None:
        return ""
    if section.has("date") or section.has("elapsed"):  # a number that is no valid date
        return _general(value)
    number = abs(Decimal(repr(value))) if negative else Decimal(repr(value))
    if not any(section.has(kind) for kind in ("digit", "general", "text")):
        return "".join(text for kind, text in section.tokens if kind in ("literal", "percent", "slash")).strip()
    if section.has("general") or section.has("text"):
        pieces = (_general(float(number)) if kind in ("general", "text") else text for kind, text in section.tokens)
        return "".join(pieces).strip()
    if section.has("slash"):
        return _general(float(number))  # a fraction
    sign = "-" if number < 0 else ""
    text = _with_digits(abs(number), section)
    return f"{sign}{text}".strip() if sign and not re.fullmatch(r"[^1-9]*", text) else text.strip()


def _section_for(value: float, sections: tuple[_Section, ...]) -> tuple[_Section | None, bool]:
    """Return the section for a number, and whether it shows the number without its sign."""
    numeric = sections[:3]
    if any(section.condition for section in numeric):
        for section in numeric:
            if section.condition is None or _TESTS[section.condition[0]](value, section.condition[1]):
                return section, section.condition is not None and value < 0 and section is not numeric[0]
        return None, False
    if value < 0 and len(sections) > 1:
        return sections[1], True
    if value == 0 and len(sections) > 2:
        return sections[2], False
    return sections[0], False


def _with_digits(number: Decimal, section: _Section) -> str:
    tokens = section.tokens
    first = next(i for i, (kind, _) in enumerate(tokens) if kind in ("digit", "point"))
    places = [i for i, (kind, _) in enumerate(tokens) if kind == "digit"]
    last = places[-1]
    point = next((i for i, (kind, _) in enumerate(tokens) if kind == "point"), len(tokens))
    exponent = next((i for i, (kind, _) in enumerate(tokens) if kind == "exponent"), len(tokens))
    number *= Decimal(100) ** sum(kind == "percent" for kind, _ in tokens)
    end = min(point, exponent)
    whole = [tokens[i][1] for i in places if i < end]
    decimals = [tokens[i][1] for i in places if point < i < exponent]
    commas = [i for i, (kind, _) in enumerate(tokens) if kind == "comma"]
    last_whole = max((i for i in places if i < end), default=end)
    number /= Decimal(1000) ** sum(last_whole < i < end or last < i for i in commas)
    grouped = any(first < i < max((p for p in places if p < end), default=0) for i in commas)
    if exponent < len(tokens):
        digits = [tokens[i][1] for i in places if i > exponent]
        body = _scientific(number, whole, decimals, digits, tokens[exponent][1])
    elif _is_pattern(tokens, first, last):
        return _patterned(number, tokens)
    else:
        body = _plain(number, whole, decimals, grouped)
    before = "".join(text for kind, text in tokens[:first] if kind in ("literal", "percent"))
    after = "".join(text for kind, text in tokens[last + 1 :] if kind in ("literal", "percent"))
    return f"{before}{body}{after}"


def _plain(number: Decimal, whole: list[str], decimals: list[str], grouped: bool) -> str:
    step = Decimal(1).scaleb(-len(decimals[:_MOST_DIGITS]))
    rounded = number.quantize(step, ROUND_HALF_UP) if number.adjusted() < _MOST_DIGITS // 2 else number
    integer, _, fraction = f"{rounded:f}".partition(".")
    integer = integer.lstrip("0").zfill(whole.count("0")) if whole.count("0") or integer.strip("0") else ""
    if grouped:
        integer = re.sub(r"(?<=\d)(?=(?:\d{3})+$)", ",", integer)
    needed = max((i + 1 for i, place in enumerate(decimals) if place != "#"), default=0)
    fraction = fraction[:needed] + fraction[needed:].rstrip("0")
    return f"{integer}.{fraction}" if fraction else integer or ("" if decimals else "0" if "0" in whole else "")


def _scientific(number: Decimal, whole: list[str], decimals: list[str], digits: list[str], sign: str) -> str:
    width = max(1, len(whole))
    power = 0 if not number else number.adjusted() - (number.adjusted() % width if width > 1 else 0)
    mantissa = _plain(number.scaleb(-power), whole, decimals, False)
    mark = "-" if power < 0 else "+" if sign.endswith("+") else ""
    return f"{mantissa}{sign[0]}{mark}{str(abs(power)).zfill(digits.count('0'))}"


def _is_pattern(tokens: tuple[tuple[str, str], ...], first: int, last: int) -> bool:
    """Return whether texts are between the digits, as in a telephone number."""
    return any(kind in ("literal", "slash") for kind, _ in tokens[first : last + 1])


def _patterned(number: Decimal, tokens: tuple[tuple[str, str], ...]) -> str:
    places = sum(kind == "digit" for kind, _ in tokens)
    digits = f"{number.quantize(Decimal(1), ROUND_HALF_UP):f}".zfill(places)
    extra, rest = digits[: len(digits) - places], iter(digits[len(digits) - places :])
    parts: list[str] = []
    for kind, text in tokens:
        if kind == "digit":
            parts.append(extra + next(rest))
            extra = ""
        elif kind in ("literal", "percent"):
            parts.append(text)
    return "".join(parts)


def _general(value: float) -> str:
    """Return a number without a format: a large one with an exponent, others without."""
    if abs(value) >= _LARGEST:
        return f"{value:.10g}"
    if float(value).is_integer():
        return str(int(value))
    digits = 10 if abs(value) < 1e6 else 15  # significant ones; the last of 17 are errors of rounding
    return f"{Decimal(f'{value:.{digits}g}'):f}"
