"""Simple arithmetic over figures that were found on a page: done here, in decimals, never by a model."""

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
# The first that a question's words call for; growth before difference: "by what percentage did it change".
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
_LEAST_SHARED = 0.5  # of the words of a label, in the line of its figure


@dataclasses.dataclass(frozen=True, slots=True)
class Operand:
    """A figure that stands on a page.

    Parameters
    ----------
    label
        What it is, as the model calls it.
    figure
        As written on the page.
    document, page_index, page_label
        Where.
    line
        The line it stands in.
    period, unit
        Of its column and table, or as its sentence says; empty where the page does not say.
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
        said = [one for one in (self.period, self.unit) if one and one not in f"{self.label} {self.figure.text}"]
        where = f"({'; '.join([*said, f'{self.document}, page {self.page_label}'])})"
        return f"{self.label}: {self.figure.text} {where}"

    @classmethod
    def of(cls, label: str, found: PageAmount, passage: Passage) -> Operand:
        """Return a figure that was read from a passage as an operand of that name."""
        line = passage.text[found.start : found.end].strip()
        place = passage.document, passage.page_index, passage.page_label
        return cls(label, found.figure, *place, line, found.period, found.unit)


@dataclasses.dataclass(frozen=True, slots=True)
class Calculation:
    """What was computed, from what.

    Parameters
    ----------
    operation
        Which.
    operands
        Verified figures, in the order in which they are used: of a difference or growth the earlier one first.
    result
        In per cent for growth; else in the unit of the operands, or a plain number for a ratio.
    text
        The calculation as a reader sees it.
    """

    operation: Operation
    operands: tuple[Operand, ...]
    result: Decimal
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values; figures as they are written."""
        operands = [dataclasses.asdict(operand) | {"figure": operand.figure.text} for operand in self.operands]
        return {"operation": self.operation, "operands": operands, "result": str(self.result), "text": self.text}


def asked_operation(question: str) -> Operation | None:
    """Return the arithmetic that a question asks for by its words, None for none."""
    return next((operation for operation, words in _WORDS if re.search(words, question, re.IGNORECASE)), None)


def find_operand(label: str, figure: str, passages: Sequence[Passage]) -> Operand | None:
    """Find the place of a figure, in a line that holds at least half of the words of its label.

    Returns
    -------
    operand
        None where `figure` is not one figure, or stands in no such line, or `label` names a year and the page does not
        say that the figure is of that year.
    """
    wanted = find_amounts(figure)
    if len(wanted) != 1:
        return None
    words = {word.lower() for word in _WORD.findall(label)}
    years = set(_YEAR.findall(label))
    best: tuple[float, Operand] | None = None
    for passage in passages:
        for found in read_amounts(passage.text):
            if not same_amount(wanted[0], found.figure) or (years and years != set(_YEAR.findall(found.period))):
                continue
            held = {word.lower() for word in _WORD.findall(passage.text[found.start : found.end])}
            shared = len(words & held) / len(words) if words else 0.0
            if shared >= _LEAST_SHARED and (best is None or shared > best[0]):
                best = shared, Operand.of(label, found, passage)
    return None if best is None else best[1]


def calculate(operation: Operation, operands: Sequence[Operand]) -> Calculation | None:
    """Compute; None where the operands do not go together.

    They do not where their number is wrong, one is a percentage and another is not, their currencies, units or scale
    words differ, or a divisor is 0. Of a difference, growth or ratio exactly two are taken; where those of a difference
    or growth are of different years, the earlier one is the first. Where both of these are written in parentheses, as
    statements write expenses and payments, they are taken without; a profit, loss or net figure keeps its sign.
    """
    if operation not in get_args(Operation) or not _go_together(operands):
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


def _go_together(operands: Sequence[Operand]) -> bool:
    figures = [operand.figure for operand in operands]
    places = {(o.document, o.page_index, o.line, o.figure.start) for o in operands}
    return (
        len(operands) >= 2
        and len(places) == len(operands)
        and len({figure.percent for figure in figures}) == 1
        and len({figure.scale for figure in figures}) == 1
        and len({operand.unit for operand in operands if operand.unit}) <= 1
        and len({mark[0] for figure in figures if (mark := _CURRENCY.search(figure.text))}) <= 1
    )


def _by_year(operands: list[Operand]) -> list[Operand]:
    years = [_YEAR.findall(operand.period) for operand in operands]
    if all(len(found) == 1 for found in years) and len({found[0] for found in years}) == len(operands):
        return [operand for _, operand in sorted(zip(years, operands, strict=True), key=lambda pair: pair[0])]
    return operands


def _is_outflow(operand: Operand) -> bool:
    written = operand.figure.text.startswith("(") and operand.figure.value < 0
    return written and not _SIGNED.search(f"{operand.label} {operand.line}")


def _plain(figure: Amount) -> str:
    return f"({figure.text})" if figure.value < 0 and not figure.text.startswith("(") else figure.text


def _like(result: Decimal, operand: Operand) -> str:
    """Write a result with the currency and unit of an operand."""
    figure = operand.figure
    if figure.percent:
        return f"{result:,} percentage points"
    currency = _CURRENCY.search(figure.text)
    unit = re.search(r"[A-Za-z ]+$", figure.text)
    sign = "-" if result < 0 else ""
    written = f"{sign}{currency[0] if currency else ''}{abs(result):,}{unit[0] if unit else ''}"
    return written if unit or not operand.unit else f"{written} ({operand.unit})"


def _rounded(value: Decimal, places: Decimal = _PLACES) -> Decimal:
    return value.quantize(places, rounding=ROUND_HALF_EVEN)
