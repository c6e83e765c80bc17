"""Write what was computed for the periods of a question, with its change or average."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from sra_pipelines.checks.calculations import Calculation, Operand, asked_operation
from sra_pipelines.metrics.asked_metric import AskedMetric
from sra_pipelines.metrics.metric import Unit
from sra_pipelines.metrics.periods import Period

__all__ = ["PeriodResult", "metric_calculation", "shown"]

_CENTS = Decimal("0.01")
_PERCENT = re.compile(r"%|\b(?:per ?cent|prozent|pour ?cent)", re.IGNORECASE)
_BY_HOW_MUCH = re.compile(r"\bum wie ?viel|\bwie stark\b|\bde combien\b", re.IGNORECASE)  # in German and French


@dataclasses.dataclass(frozen=True, slots=True)
class PeriodResult:
    """The result for one period.

    Parameters
    ----------
    period
        The period.
    value
        The result, not rounded; a share, not per cent.
    text
        The formula with its amounts and the result.
    operands
        The amounts.
    """

    period: Period
    value: Decimal
    text: str
    operands: tuple[Operand, ...]


def metric_calculation(asked: AskedMetric, question: str, results: Sequence[PeriodResult]) -> Calculation:
    """Return the calculation for a question.

    Parameters
    ----------
    asked
        What the question asks for.
    question
        The question: whether it asks for a change, in amounts or per cent.
    results
        The result of each period, in ascending order.
    """
    operands = tuple(dict.fromkeys(operand for result in results for operand in result.operands))
    parts = [f"{result.period}: {result.text}" for result in results]
    unit = operands[0].unit
    value = _scaled(results[-1].value, asked.unit)
    if asked.averaged:
        value = _scaled(sum((result.value for result in results), Decimal(0)) / len(results), asked.unit)
        parts.append(f"average = {shown(value, asked.unit, unit, scaled=True)}")
    elif len(results) == 2:
        change, growth = _change(asked.unit, results)
        parts.append(change)
        operation = asked_operation(question) or ("difference" if _BY_HOW_MUCH.search(question) else None)
        if operation in ("growth", "difference") and asked.unit == "amount":
            percent = operation == "growth" or _PERCENT.search(question)
            value = growth if percent and growth is not None else results[1].value - results[0].value
    return Calculation("metric", operands, value, f"{asked.name} {'; '.join(parts)}")


def shown(value: Decimal, unit: Unit, of_statement: str, *, scaled: bool = False) -> str:
    """Return a result as text with its unit."""
    number = value if scaled else _scaled(value, unit)
    if unit == "amount":
        number = _rounded(number) if scaled else number
        return f"{number:,}{f' ({of_statement})' if of_statement else ''}"
    return f"{number:,}{ {'percent': '%', 'days': ' days', 'times': ''}[unit] }"


def _change(unit: Unit, results: Sequence[PeriodResult]) -> tuple[str, Decimal | None]:
    """Return the change between two periods as text, and the growth in per cent if it can be computed."""
    difference = _scaled(results[1].value - results[0].value, unit)
    if unit == "percent":
        return f"change = {difference:+,} percentage points", None
    growth = None
    if results[0].value > 0:
        growth = _rounded((results[1].value - results[0].value) / results[0].value * 100)
    percent = f" ({growth:+,}%)" if growth is not None else ""
    return f"change = {difference:+,}{' days' if unit == 'days' else ''}{percent}", growth


def _scaled(value: Decimal, unit: Unit) -> Decimal:
    """Return a result in its unit, rounded; amounts are not rounded."""
    if unit == "amount":
        return value
    return _rounded(value * 100 if unit == "percent" else value)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_CENTS, rounding=ROUND_HALF_EVEN)
