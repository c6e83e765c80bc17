"""Find out whether the amount of a row of income taxes is an expense or a benefit."""

from __future__ import annotations

import re
from decimal import Decimal

from sra_pipelines.metrics.metric import BESIDE_TAXES, Metrics
from sra_pipelines.metrics.statement_table import StatementRow, StatementTable
from sra_pipelines.retrieval.vocabulary import any_of

__all__ = ["tax_sign"]

_EXPENSE_NEGATIVE = re.compile(r"\((?:expense|provision|charge)\)|^(?:income )?tax(?:es)? (?:benefit|credit)|^benefit")
_EXPENSE_POSITIVE = re.compile(r"\(benefit|\(credit|/\s?\(?benefit")


def tax_sign(row: StatementRow, column: int, table: StatementTable, metrics: Metrics) -> int | None:
    """Return 1 if a positive amount of a row of income taxes is an expense, -1 if a negative one is, None if unknown.

    The label shows it, or else the rows above and below: the amount is what lies between the income before taxes and
    the net income.
    """
    if _EXPENSE_NEGATIVE.search(row.label):
        return -1
    if _EXPENSE_POSITIVE.search(row.label):
        return 1
    written = getattr(row.cells[column], "value", Decimal(0))
    before, after = (_first_amount(metrics, name, column, table) for name in BESIDE_TAXES)
    if before is None or after is None:
        return 1 if written >= 0 else None
    expense, benefit = abs(before - abs(written) - after), abs(before + abs(written) - after)
    if expense * 2 < benefit:
        return 1 if written >= 0 else -1
    if benefit * 2 < expense:
        return -1 if written >= 0 else 1
    return None


def _first_amount(metrics: Metrics, name: str, column: int, table: StatementTable) -> Decimal | None:
    pattern = any_of(metrics.row(name).labels) if metrics.has_row(name) else None
    rows = [row for row in table.rows if pattern is not None and row.cells and pattern.fullmatch(row.label)]
    cells = [row.cells[column] for row in rows]
    return None if not cells or cells[0] is None else cells[0].value
