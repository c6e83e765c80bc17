"""Simple arithmetic with amounts that were verified on a page, computed in decimals by code, never by a model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal, get_args

from sra_pipelines.checks.amounts import Amount, find_amounts, same_amount
from sra_pipelines.checks.table_amounts import PageAmount, read_amounts
from sra_pipelines.values import Passage

__all__ = ["Calculation", "Operand", "Operation", "asked_operation", "calculate", "find_operand"]

Operation = Literal["difference", "growth", "ratio", "sum", "average"]

_CHANGE = r"(?:(?:increase|decrease|rise|change|decline)d?|fall|grow|grew|rose|fell)"
_SHARE = r"\bas a (?:share|proportion|per ?cent(?:age)?) of\b"
# The first match wins; growth precedes difference because of "by what percentage did it change".
_WORDS: tuple[tuple[Operation, str], ...] = (
    ("average", r"\b(?:average|mean) (?:of|over|across)\b|\baverage\b.*\b(?:19|20)\d\d\b.*\b(?:19|20)\d\d\b"),
    ("growth", rf"\bgrowth\b|(?:%|\bper ?cent(?:age)?) {_CHANGE}|\b{_CHANGE} (?:in|by) (?:%|per ?cent)"),
    ("growth", rf"\b(?:what|which) per ?cent(?:age)? (?:did|has|have|was|were)\b.*\b{_CHANGE}\b"),
    ("ratio", rf"\bratio\b|\bmargin\b|\bturnover\b|{_SHARE}|\b(?:what|which) (?:per ?cent(?:age)?|share) of\b"),
    ("difference", rf"\bdifference\b|\b{_CHANGE}\b|\bby how much\b|\b(?:more|less) than\b"),
    ("sum", r"\b(?:sum|combined|altogether|together|in total)\b"),
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_WORD = re.compile(r"[^\W\d_]{3,}")
_CURRENCY = re.compile(r"[$€£¥]")
_SIGNED = re.compile(r"\b(?:profit|loss|losses|income|earnings|net|cash)\b|\bother comprehensive\b", re.IGNORECASE)
_PLACES = Decimal("0.01")
_LEAST_SHARED = 0.5  # share of the words of a label that must be in the line of its amount


@dataclasses.dataclass(frozen=True, slots=True)
class Operand:
    """An amount on a page, with its label and position.

    Parameters
    ----------
    label
        Description of the amount, from the row of its table or from the model.
    figure
        The amount as written on the page.
    document, page_index, page_label
        Document and page of the amount.
    line
        The line of the page that contains the amount.
    period, unit
        Period and unit of the amount, from its table or sentence; empty if the page does not state them.
    """

    label: str
    figure: Amount
    document: str
    page_index: int
    page_label: str
    line: str
    period: str = ""
    unit: str = ""

    def __str__(self) -> str:
        details = [text for text in (self.period, self.unit) if text and text not in f"{self.label} {self.figure.text}"]
        where = f"({'; '.join([*details, f'{self.document}, page {self.page_label}'])})"
        return f"{self.label}: {self.figure.text} {where}"

    @classmethod
    def of(cls, label: str, amount: PageAmount, passage: Passage) -> Operand:
        """Create an operand from an amount in a passage."""
        line = passage.text[amount.start : amount.end].strip()
        place = passage.document, passage.page_index, passage.page_label
        return cls(label, amount.amount, *place, line, amount.period, amount.unit)


@dataclasses.dataclass(frozen=True, slots=True)
class Calculation:
    """A calculation with its operands and result.

    Parameters
    ----------
    operation
        The operation that was computed; ``"metric"`` for a metric or row of statements in one or several years.
    operands
        Verified amounts, in the order of their use: for a difference or growth, the earlier one first.
    result
        The result: in per cent for growth, a plain number for a ratio, otherwise in the unit of the operands. For a
        metric, that of the last year in the unit of the metric, or the average or change that is asked for.
    text
        The calculation as text for readers.
    """

    operation: Operation | Literal["metric"]
    operands: tuple[Operand, ...]
    result: Decimal
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON-ready values; amounts are returned as written."""
        operands = [dataclasses.asdict(operand) | {"figure": operand.figure.text} for operand in self.operands]
        return {"operation": self.operation, "operands": operands, "result": str(self.result), "text": self.text}


def asked_operation(question: str) -> Operation | None:
    """Return the operation that the words of a question ask for, or None."""
    return next((operation for operation, words in _WORDS if re.search(words, question, re.IGNORECASE)), None)


def find_operand(label: str, figure: str, passages: Sequence[Passage]) -> Operand | None:
    """Find an amount in the passages, in a line that contains at least half of the words of its label.

    Returns
    -------
    operand
        None if `figure` is not exactly one amount, if no such line contains it, or if `label` names a year and the page
        does not state that the amount is for that year.
    """
    wanted = find_amounts(figure)
    if len(wanted) != 1:
        return None
    words = {word.lower() for word in _WORD.findall(label)}
    years = set(_YEAR.findall(label))
    best: tuple[float, Operand] | None = None
    for passage in passages:
        for amount in read_amounts(passage.text):
            if not same_amount(wanted[0], amount.amount) or (years and years != set(_YEAR.findall(amount.period))):
                continue
            line_words = {word.lower() for word in _WORD.findall(passage.text[amount.start : amount.end])}
            shared = len(words & line_words) / len(words) if words else 0.0
            if shared >= _LEAST_SHARED and (best is None or shared > best[0]):
                best = shared, Operand.of(label, amount, passage)
    return None if best is None else best[1]


def calculate(operation: Operation, operands: Sequence[Operand]) -> Calculation | None:
    """Compute an operation; return None if the operands are not compatible.

    Operands are not compatible if their number is wrong, if only some of them are percentages, if their currencies,
    units or scale words differ, or if a divisor is 0. A difference, growth or ratio takes exactly two operands. For a
    difference or growth with different years, the operand of the earlier year comes first; if both operands are written
    in parentheses, as financial statements write expenses and payments, their absolute values are used, except for a
    profit, loss or net amount, which keeps its sign.
    """
    if operation not in get_args(Operation) or not _are_compatible(operands):
        return None
    chosen = list(operands)
    if operation in ("difference", "growth"):
        chosen = _by_year(chosen)
    values = [operand.figure.value for operand in chosen]
    shown = [_plain(operand.figure) for operand in chosen]
    if operation in ("difference", "growth") and all(map(_is_outflow, chosen)):
        values = [abs(value) for value in values]
        shown = [text.strip("()") for text in shown]
    if operation in ("difference", "growth", "ratio") and len(chosen) != 2:
        return None
    if operation == "difference":
        result = values[1] - values[0]
        text = f"{shown[1]} - {shown[0]} = {_like(result, chosen[0])}"
    elif operation == "growth":
        if values[0] == 0:
            return None
        result = _rounded((values[1] - values[0]) / abs(values[0]) * 100)
        text = f"({shown[1]} - {shown[0]}) / {shown[0]} = {result}%"
    elif operation == "ratio":
        if values[1] == 0:
            return None
        result = _rounded(values[0] / values[1], Decimal("0.0001"))
        text = f"{shown[0]} / {shown[1]} = {result} ({_rounded(values[0] / values[1] * 100)}%)"
    else:
        total = sum(values, Decimal(0))
        joined = " + ".join(shown)
        result = total if operation == "sum" else _rounded(total / len(values))
        text = f"{joined} = {_like(result, chosen[0])}"
        if operation == "average":
            text = f"({joined}) / {len(values)} = {_like(result, chosen[0])}"
    return Calculation(operation, tuple(chosen), result, text)


def _are_compatible(operands: Sequence[Operand]) -> bool:
    amounts = [operand.figure for operand in operands]
    places = {(o.document, o.page_index, o.line, o.figure.start) for o in operands}
    return (
        len(operands) >= 2
        and len(places) == len(operands)
        and len({amount.percent for amount in amounts}) == 1
        and len({amount.scale for amount in amounts}) == 1
        and len({operand.unit for operand in operands if operand.unit}) <= 1
        and len({mark[0] for amount in amounts if (mark := _CURRENCY.search(amount.text))}) <= 1
    )


def _by_year(operands: list[Operand]) -> list[Operand]:
    years = [_YEAR.findall(operand.period) for operand in operands]
    if all(len(matches) == 1 for matches in years) and len({matches[0] for matches in years}) == len(operands):
        return [operand for _, operand in sorted(zip(years, operands, strict=True), key=lambda pair: pair[0])]
    return operands


def _is_outflow(operand: Operand) -> bool:
    written = operand.figure.text.startswith("(") and operand.figure.value < 0
    return written and not _SIGNED.search(f"{operand.label} {operand.line}")


def _plain(amount: Amount) -> str:
    return f"({amount.text})" if amount.value < 0 and not amount.text.startswith("(") else amount.text


def _like(result: Decimal, operand: Operand) -> str:
    """Return a result as text, with the currency and unit of an operand."""
    amount = operand.figure
    if amount.percent:
        return f"{result:,} percentage points"
    currency = _CURRENCY.search(amount.text)
    unit = re.search(r"[A-Za-z ]+$", amount.text)
    sign = "-" if result < 0 else ""
    written = f"{sign}{currency[0] if currency else ''}{abs(result):,}{unit[0] if unit else ''}"
    return written if unit or not operand.unit else f"{written} ({operand.unit})"


def _rounded(value: Decimal, places: Decimal = _PLACES) -> Decimal:
    return value.quantize(places, rounding=ROUND_HALF_EVEN)
