"""Find out whether the amount of a row of income taxes is an expense or a benefit."""

from __future__ import annotations

import re
from decimal import Decimal

from sra_pipelines.metrics.metric import BESIDE_TAXES, Metrics
from sra_pipelines.metrics.statement_table import StatementRow, StatementTable
from sra_pipelines.retrieval.vocabulary import any_of

__all__ = ["tax_sign"]

_EXPENSE_NEGATIVE = re.compile(r"\((?:expense|provision(?: for)?|charge)\)|(?:benefit|credit) \(")
_EXPENSE_POSITIVE = re.compile(r"\(benefit|\(credit|/\s?\(?benefit")
_BENEFIT = re.compile(r"benefit|credit")


def tax_sign(row: StatementRow, column: int, table: StatementTable, metrics: Metrics) -> int | None:
    """Return 1 if a positive amount of a row of income taxes is an expense, -1 if a negative one is, None if unknown.

    The label shows it, and the rows above and below: the amount is what lies between the income before taxes and the
    net income. If they contradict each other, nothing is known. A "benefit" without an expense in the label can have
    either sign, so only the rows show it.
    """
    written = getattr(row.cells[column], "value", Decimal(0))
    between = _sign_between(written, column, table, metrics)
    if _EXPENSE_NEGATIVE.search(row.label):
        return None if between == 1 else -1
    if _EXPENSE_POSITIVE.search(row.label):
        return None if between == -1 else 1
    if between is not None or _BENEFIT.search(row.label):
        return between
    return 1 if written >= 0 and not _has_both(column, table, metrics) else None


def _sign_between(written: Decimal, column: int, table: StatementTable, metrics: Metrics) -> int | None:
    before, after = (_first_amount(metrics, name, column, table) for name in BESIDE_TAXES)
    if before is None or after is None or not written:
        return None
    as_written, reversed_sign = abs(before - written - after), abs(before + written - after)
    if as_written * 2 < reversed_sign:
        return 1
    return -1 if reversed_sign * 2 < as_written else None


def _has_both(column: int, table: StatementTable, metrics: Metrics) -> bool:
    return None not in [_first_amount(metrics, name, column, table) for name in BESIDE_TAXES]


def _first_amount(metrics: Metrics, name: str, column: int, table: StatementTable) -> Decimal | None:
    pattern = any_of(metrics.row(name).labels) if metrics.has_row(name) else None
    rows = [row for row in table.rows if pattern is not None and row.cells and pattern.fullmatch(row.label)]
    cells = [row.cells[column] for row in rows]
    return None if not cells or cells[0] is None else cells[0].value
