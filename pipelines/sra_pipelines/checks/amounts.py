"""Find amounts in a text, in any usual writing, and compare amounts.

Separators are read by their form, because a text seldom says which locale it follows: ``1,234.56``, ``1.234,56``,
``1 234,56``, ``1'234.56`` and ``12,34,567`` have one reading each; ``1.234`` has two, and both are kept. Libraries were
compared for this: babel needs the locale, price-parser drops signs and misreads ``12.5%``, and neither returns spans.
"""

from __future__ import annotations

import dataclasses
import re
from decimal import Context, Decimal

from sra_pipelines.checks.number_forms.counted import counted_after
from sra_pipelines.checks.number_forms.number_writing import (
    FRACTIONS,
    PERCENTAGES,
    SCALES,
    fraction_value,
    is_negated,
    loss_spans,
    percent_power,
    plain_signs,
    scale_power,
)
from sra_pipelines.checks.number_forms.units import same_measure, unit_after

__all__ = ["Amount", "currency_of_words", "find_amounts", "find_spaced_amounts", "same_amount"]

_SPACE = "[\u00a0\u2009\u202f]"  # spaces that group digits and are never between the cells of a table
_SYMBOL = "[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20ba\u20b4\u20aa\u20ab\u0e3f\u20a6\u20b1\u20b8]"
_GROUPED = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?"
    r"|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?"  # lakhs and crores
    r"|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}"
    rf"|\d{{1,3}}(?:{_SPACE}\d{{3}})+(?:[.,]\d+)?"
    r"|\d{1,3}(?:['\u2019]\d{3})+(?:[.,]\d+)?"
)
_PLAIN = r"\d+,\d{1,2}|0,\d+|\d+(?:\.\d+)?|\.\d+"
_AMOUNT = re.compile(
    rf"(?P<open>\()?\s?(?P<minus>[-\u2212])?\s?(?P<currency>{_SYMBOL})?\s?(?P<minus2>[-\u2212](?=[\d.]))?"
    rf"(?<![\d.,])(?:(?P<number>{_GROUPED}|{_PLAIN}){FRACTIONS}?(?![\d]|[.,]\d|['\u2019]\d{{3}})"
    r"|(?P<only>[\u00bc-\u00be\u2150-\u215e]))"
    rf"(?P<close>\s?\))?(?:{PERCENTAGES}|{SCALES})?",
    re.IGNORECASE,
)
_SPACED = re.compile(r"(?<![\d.,/-])(?<![\d.,] )[1-9]\d{0,2}(?: \d{3})+(?:[.,]\d+)?(?![\d/]|[.,]\d)")
_TABLE_POWERS = (-9, -6, -3, 3, 6, 9)  # between an amount with a scale word and one in a table of thousands or millions
_BETWEEN = re.compile(
    r"[\w%)\u20ac\u00a3$][-\u2212]|[\d)%]\s[-\u2212]\s"
)  # the dash of a range or a subtraction, which is not a sign
_DECIMAL_COMMA = re.compile(r",\d+$")
_ONE_GROUP = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")  # a thousand or three decimals
_FISCAL_YEAR = re.compile(r"\b(?:FY|[1-4][QH]|[QH][1-4]\s)\s?['\u2019]?$|(?<!\w)['\u2019]$", re.IGNORECASE)
_MINUS_AFTER = re.compile(r"[-\u2212](?=\s*(?:$|[\n|)])|\s+[\d(])")  # as accounts write it: "4,500.00-"
_RANGE_OF_CURRENCY = re.compile(r"\d\s?$")
_CURRENCIES = (
    {"$", "usd", "cad", "aud", "dollar", "dollars"}, {"\u20ac", "eur", "euro", "euros"},
    {"\u00a3", "gbp", "pound", "pounds", "sterling"}, {"\u00a5", "jpy", "cny", "yen", "yuan"},
    {"\u20b9", "inr", "rs", "rupees"}, {"chf", "francs"}, {"k\u010d", "czk"}, {"z\u0142", "pln"},
    {"sek"}, {"nok"}, {"dkk"},
)  # fmt: skip
_SUBUNITS = frozenset({"cent", "penny"})
_PRECISE = Context(prec=99)  # a third of a trillion has more digits than decimals have by default
_EXACT = 10  # decimals of a percentage that is a fraction in words, such as a third
_CURRENCY_AFTER = re.compile(r"\s?([^\W\d_]{2,8}|[\u20ac\u00a3\u00a5$\u20b9])(?!\w)")
_CURRENCY_BEFORE = re.compile(r"([^\W\d_]{2,3})\s?$")


@dataclasses.dataclass(frozen=True, slots=True)
class Amount:
    """A number in a text, with its currency, sign and unit.

    Parameters
    ----------
    text
        The amount as written, from the sign or currency to the unit.
    start, end
        Span of the amount in the text, in characters.
    value
        The number without its scale, in per cent for per mille and basis points; negative if it has a minus sign or is
        in parentheses.
    scale
        The power of ten of the scale word, such as 6 for "million"; 0 without a scale word.
    percent
        Whether the amount is written in per cent, per mille or basis points.
    other
        The second reading of a number with two, such as 1234 for ``1.234``; None if it has one.
    currency
        Number that identifies the currency next to the amount; -1 if none is known.
    unit
        Unit of time or of a measure after the amount, such as ``"month"``; empty if there is none.
    is_loss
        Whether a word such as "loss" before the amount makes it negative without a sign.
    is_worded
        Whether it is written in words, and so in full.
    is_bare
        Whether it is no amount with a unit: the number of a clause or of an item of a list, or a small number in words.
    counted
        What the number counts, such as ``"rooms"``; empty if it has a currency, a unit or a percent sign, or if none is
        known.
    """

    text: str
    start: int
    end: int
    value: Decimal
    scale: int = 0
    percent: bool = False
    other: Decimal | None = None
    currency: int = -1
    unit: str = ""
    is_loss: bool = False
    is_worded: bool = False
    is_bare: bool = False
    counted: str = ""

    @property
    def states_kind(self) -> bool:
        """Whether it is written with a currency, a unit or a percent sign."""
        return self.percent or self.currency >= 0 or bool(self.unit)


def find_amounts(text: str) -> list[Amount]:
    """Return the amounts in a text, including the numbers in dates."""
    amounts = []
    written, text = text, plain_signs(text)
    losses = loss_spans(text)
    for match in _AMOUNT.finditer(text):
        value, other = _match_values(match)
        enclosed = match["open"] and (match["close"] or re.match(r"\s?\)", text[match.end() : match.end() + 2]))
        dash_of_a_range = match["minus"] and _BETWEEN.search(
            text, max(0, match.start("minus") - 2), match.end("minus") + 1
        )
        start, end = match.span()
        if match["minus2"]:  # not in "10 \u20ac-12 \u20ac"
            dash_of_a_range = _RANGE_OF_CURRENCY.search(text, max(0, start - 2), start)
        first = next(match.start(group) for group in ("currency", "number", "only") if match[group] is not None)
        signed = match["minus2"] or match["minus"] or is_negated(text, first)
        if enclosed or (signed and not dash_of_a_range) or _has_minus_after(text, match):
            value, other = -value, None if other is None else -other
        elif other is None and _is_short_year(text, match):
            other = value + 2000
        if dash_of_a_range or (match["open"] and not enclosed):
            start = match.start("number" if match["only"] is None else "only")
        if match["close"] and not enclosed:
            end = match.start("close")
        start += len(text[start:end]) - len(text[start:end].lstrip())
        scale = scale_power(match["scale"] or match["short"] or match["ideograph"] or "")
        percent = bool(match["percent"] or match["permille"] or match["basis"])
        amount = Amount(
            written[start:end], start, end, value, scale, percent, other,
            _currency(text, match["currency"], start, end), unit_after(text, end),
            any(first <= start < last for first, last in losses),
        )  # fmt: skip
        amounts.append(_with_counted(amount, text))
    return amounts


def _with_counted(amount: Amount, text: str) -> Amount:
    return amount if amount.states_kind else dataclasses.replace(amount, counted=counted_after(text, amount.end))


def _has_minus_after(text: str, match: re.Match[str]) -> bool:
    """Return whether a minus sign follows a number of more than three digits, or with decimals."""
    number = match["number"] or ""
    return bool(re.search(r"\d{4}|[.,' ]", number) and _MINUS_AFTER.match(text, match.end()))


def _is_short_year(text: str, match: re.Match[str]) -> bool:
    number = match["number"] or ""
    return len(number) == 2 and number.isdigit() and bool(_FISCAL_YEAR.search(text[: match.start("number")][-5:]))


def _match_values(match: re.Match[str]) -> tuple[Decimal, Decimal | None]:
    """Return the value of a match, including its fraction and in per cent, and its other reading if it has two."""
    if match["only"] is not None:
        value, other = fraction_value(match["only"], None, None), None
    else:
        value, other = _values(match["number"])
    if match["number"] is not None and match["fraction"] is not None:
        value, other = value + fraction_value(match["fraction"], match["above"], match["below"]), None
    power = percent_power(bool(match["permille"]), bool(match["basis"]))
    return value.scaleb(power), None if other is None else other.scaleb(power)


def find_spaced_amounts(text: str) -> list[Amount]:
    """Return the numbers whose thousands may be grouped by ordinary spaces, such as ``82 400``.

    In a table they may also be two cells; `find_amounts` returns the parts.
    """
    amounts = []
    written, text = text, plain_signs(text)
    for match in _SPACED.finditer(text):
        number = match[0].replace(" ", "").replace(",", ".")
        amount = Amount(
            written[match.start() : match.end()], match.start(), match.end(), Decimal(number),
            currency=_currency(text, None, match.start(), match.end()), unit=unit_after(text, match.end()),
        )  # fmt: skip
        amounts.append(_with_counted(amount, text))
    return amounts


def same_amount(claimed: Amount, written: Amount, *, has_scales: bool = True, has_percentages: bool = True) -> bool:
    """Return whether an amount in an answer agrees with an amount in a document.

    `has_scales` and `has_percentages` say whether the documents, or the question, have a scale word and a percent sign
    anywhere: a number without one may be in millions or in per cent only if a heading says so. A number that counts
    something ("45 rooms") differs from an amount with a currency, another unit or a percent sign.

    Amounts with different currencies differ; those with different units differ unless they are equal, such as 2 years
    and 24 months. A percentage differs from an amount that is not a percentage if both state their kind, by a percent
    sign or a scale word. An amount with a scale word ("8.7 billion") agrees with one without a scale word that is the
    same in full, or 10^3, 10^6 or 10^9 times larger or smaller (tables state their scale in a heading), if that amount
    rounds to it; with a currency, and without the scale word that the document has, it must be the same in full. A
    positive amount in the answer agrees with a negative one in the document (tables show outflows and losses in
    parentheses), but not the reverse, unless the document calls it a loss. If a number has two readings, any counts;
    one with three decimals does only if the other amount has three too, or for percentages: "82,400" is not 82.4.
    """
    if written.is_bare and (claimed.states_kind or claimed.scale):
        return False
    if (written.counted and claimed.states_kind) or (claimed.counted and written.states_kind):
        return False
    if claimed.percent and not written.percent and not has_percentages and not _is_share(written):
        return False
    if claimed.scale and not written.scale and (written.counted or not has_scales):
        return any(_in_full(claimed, one) for one in _readings(written))
    if _kinds(claimed) and _kinds(written) and not _kinds(claimed) & _kinds(written):
        return False  # "2 weeks" is not "2 euros"
    if (claimed.unit in _SUBUNITS) != (written.unit in _SUBUNITS) and max(claimed.currency, written.currency) >= 0:
        return _in_main_unit(claimed) == _in_main_unit(written)
    if claimed.unit and written.unit and claimed.unit != written.unit:
        return same_measure(claimed.value, claimed.unit, written.value, written.unit)
    if claimed.currency >= 0 and written.currency >= 0 and claimed.currency != written.currency:
        return False
    return any(
        _same(one, other)
        for one in _readings(claimed)
        for other in _readings(written)
        if claimed.percent or written.percent or _has_as_many_decimals(claimed, one, other)
        if claimed.percent or written.percent or _has_as_many_decimals(written, other, one)
    )


def _kinds(amount: Amount) -> frozenset[str]:
    """Return of which kinds an amount is: money, a percentage, a time or another measure."""
    kinds = {"money": amount.currency >= 0 or amount.unit in _SUBUNITS, "percentage": amount.percent}
    kinds["measure"] = bool(amount.unit) and amount.unit not in _SUBUNITS
    return frozenset(kind for kind, is_one in kinds.items() if is_one)


def _in_main_unit(amount: Amount) -> Decimal:
    """Return a sum of money in full, in dollars rather than cents."""
    return amount.value.scaleb(amount.scale - (2 if amount.unit in _SUBUNITS else 0))


def _has_as_many_decimals(amount: Amount, reading: Amount, other: Amount) -> bool:
    """Return whether a reading of an amount is its usual one, or has as many decimals as the other amount."""
    is_usual = reading.value == amount.value or _decimals(reading.value) == 0
    return is_usual or _decimals(reading.value) == _decimals(other.value)


def _decimals(value: Decimal) -> int:
    return max(0, -int(value.as_tuple().exponent))


def _readings(amount: Amount) -> list[Amount]:
    if amount.other is None:
        return [amount]
    return [amount, dataclasses.replace(amount, value=amount.other, other=None)]


def _same(claimed: Amount, written: Amount) -> bool:
    if claimed.value < 0 and written.value > 0 and not written.is_loss:
        return False
    if claimed.percent != written.percent and (claimed.percent or claimed.scale) and (written.percent or written.scale):
        return False
    claimed_value, value = abs(claimed.value), abs(written.value)
    if claimed.percent and written.percent and _decimals(value) > _EXACT > _decimals(claimed_value):
        value = value.quantize(Decimal(1).scaleb(-_decimals(claimed_value)), context=_PRECISE)  # "33.3%" for a third
    if claimed.percent and written.percent and _decimals(claimed_value) > _EXACT > _decimals(value):
        claimed_value = claimed_value.quantize(Decimal(1).scaleb(-_decimals(value)), context=_PRECISE)
    if claimed.percent != written.percent and _is_share(written if claimed.percent else claimed):
        return claimed_value * (1 if claimed.percent else 100) == value * (100 if claimed.percent else 1)
    # With a currency and without the scale that the document states, "$5" is not "$5 million".
    is_in_full = (claimed.currency >= 0 or claimed.is_worded) and written.scale > 0 and not claimed.scale
    if (
        claimed_value == value
        and not is_in_full
        and (claimed.scale == written.scale or not (claimed.scale and written.scale))
    ):
        return True
    if claimed.scale == written.scale or claimed.percent or written.percent:
        return False
    powers = [written.scale - claimed.scale]
    if not (claimed.scale and written.scale) and not is_in_full:
        powers += _TABLE_POWERS
    places = Decimal(1).scaleb(min(0, int(claimed.value.as_tuple().exponent)))
    return any(value.scaleb(power).quantize(places, context=_PRECISE) == claimed_value for power in powers)


def _in_full(claimed: Amount, written: Amount) -> bool:
    """Return whether an amount with a scale word is one without it in full, perhaps rounded."""
    if claimed.value < 0 and written.value > 0 and not written.is_loss:
        return False
    places = Decimal(1).scaleb(min(0, int(claimed.value.as_tuple().exponent)))
    return abs(written.value).scaleb(-claimed.scale).quantize(places, context=_PRECISE) == abs(claimed.value)


def _is_share(amount: Amount) -> bool:
    """Return whether an amount without a percent sign may be a share, such as 0.05 for 5%."""
    return 0 < abs(amount.value) < 1 and not (amount.scale or amount.unit or amount.currency >= 0)


def _values(number: str) -> tuple[Decimal, Decimal | None]:
    """Return the value of a number as written, and its other reading if it has two."""
    digits = re.sub(rf"{_SPACE}|['\u2019]", "", number)
    if _ONE_GROUP.fullmatch(digits):
        thousand, decimal = Decimal(re.sub(r"[.,]", "", digits)), Decimal(digits.replace(",", "."))
        return (thousand, decimal) if "," in digits else (decimal, thousand)
    if "." in digits and "," in digits:
        grouping = "," if digits.rindex(".") > digits.rindex(",") else "."
        return Decimal(digits.replace(grouping, "").replace(",", ".")), None
    if digits.count(".") > 1:
        return Decimal(digits.replace(".", "")), None
    decimal_comma = _DECIMAL_COMMA.search(digits)
    if decimal_comma and digits.count(",") == 1 and (len(decimal_comma[0]) != 4 or digits.startswith("0,")):
        return Decimal(digits.replace(",", ".")), None
    return Decimal(digits.replace(",", "")), None


def currency_of_words(text: str, end: int) -> int:
    """Return the currency after a number in words that ends at `end`, as in `Amount`."""
    return _currency(text, None, end, end)


def _currency(text: str, symbol: str | None, start: int, end: int) -> int:
    names = [symbol or ""]
    if after := _CURRENCY_AFTER.match(text, end):
        names.append(after[1].lower())
    if before := _CURRENCY_BEFORE.search(text, max(0, start - 5), start):
        names.append(before[1].lower())
    return next((number for number, known in enumerate(_CURRENCIES) if known & set(names)), -1)
