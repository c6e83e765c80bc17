"""Find totals without a label in a statement: rows of amounts only, which the rows above or below explain.

Such a row is used only if its amount is the sum of the rows that it must be the sum of, in every column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from sra_pipelines.metrics.metric import Metrics, RowNames
from sra_pipelines.metrics.statement_table import StatementRow, StatementTable
from sra_pipelines.retrieval.vocabulary import any_of

__all__ = ["unlabelled_row"]

_LEAST_PARTS = 2
_COST_OF_SALES = re.compile(r"costs? of ")
_OPERATING = re.compile(
    r"selling|\bgeneral\b|administrative|marketing|research|development|restructuring|impairment|operating expenses"
    r"|depreciation|amorti[sz]ation|\btax"
)
_AFTER_GROSS_PROFIT = re.compile(r"selling|general and administrative|marketing|research|operating expenses")
_ALL_CLAIMS = re.compile(r"total (?:liabilities|equity).{0,80}\b(?:equity|deficit|liabilities)\b.*")


def unlabelled_row(row: RowNames, metrics: Metrics, table: StatementTable) -> StatementRow | None:
    """Return the row without a label that is the total with a name.

    Parameters
    ----------
    row
        The total that is looked for; `RowNames.unlabelled` says how it is recognized.
    metrics
        All rows, for those that the total is compared with.
    table
        The statement.
    """
    if not row.unlabelled:
        return None
    rules: dict[str, Callable[[int], bool]] = {
        "group": lambda number: _closes_group(row, table.rows, number),
        "gross_profit": lambda number: _is_gross_profit(metrics, table, number),
        "total_assets": lambda number: _is_total_assets(table.rows, number),
    }
    rule = rules[row.unlabelled]
    hits = [own for number, own in enumerate(table.rows) if _is_bare(own) and rule(number)]
    return hits[0] if len(hits) == 1 else None


def _is_bare(row: StatementRow) -> bool:
    return not row.label and bool(row.cells) and row.complete_above and None not in row.cells


def _values(row: StatementRow) -> list[Decimal]:
    """Return the amounts of a row, 0 for an empty cell."""
    return [Decimal(0) if cell is None else cell.value for cell in row.cells]


def _sums(rows: Sequence[StatementRow]) -> list[Decimal]:
    return [sum(column, Decimal(0)) for column in zip(*map(_values, rows), strict=True)]


def _whole(rows: Sequence[StatementRow]) -> bool:
    """Return whether all rows have a label and amounts, and none is left out between them."""
    return bool(rows) and all(row.label and row.cells and row.complete_below for row in rows)


def _closes_group(row: RowNames, rows: Sequence[StatementRow], number: int) -> bool:
    """Return whether a row is the sum of all rows below the heading of its group."""
    group = rows[number].group
    if not row.groups or not any_of(row.groups).fullmatch(group):
        return False
    first = number
    while first > 0 and rows[first - 1].group == group:
        first -= 1
    parts = rows[first:number]
    complete = len(parts) >= _LEAST_PARTS and _whole(parts) and parts[0].complete_above
    return complete and _sums(parts) == _values(rows[number])


def _is_gross_profit(metrics: Metrics, table: StatementTable, number: int) -> bool:
    """Return whether a row is the revenue less all costs above it, and expenses of the operation follow below it."""
    rows = table.rows
    names = any_of(metrics.row("revenue").labels) if metrics.has_row("revenue") else None
    revenues = [n for n in range(number) if names is not None and rows[n].cells and names.fullmatch(rows[n].label)]
    if not revenues:
        return False
    costs = rows[revenues[-1] + 1 : number]
    if not _whole(costs) or any(_OPERATING.search(cost.label) for cost in costs):
        return False
    if not any(_COST_OF_SALES.match(cost.label) for cost in costs):
        return False
    expenses = [other for other in rows[number + 1 :] if _AFTER_GROSS_PROFIT.search(other.label)]
    if not expenses or not expenses[0].cells:
        return False
    if len(costs) > _LEAST_PARTS and _absolute(costs[:-1]) == _absolute(costs[-1:]):
        costs = costs[-1:]  # their total
    left = [a - b for a, b in zip(_values(rows[revenues[-1]]), _absolute(costs), strict=True)]
    return left == _values(rows[number])


def _absolute(rows: Sequence[StatementRow]) -> list[Decimal]:
    """Return the sums of costs: with or without parentheses, but all in the same way."""
    sums = _sums(rows)
    one_sign = all(
        len({value > 0 for value in column if value}) <= 1 for column in zip(*map(_values, rows), strict=True)
    )
    return [abs(value) for value in sums] if one_sign else [Decimal(-1)] * len(sums)


def _is_total_assets(rows: Sequence[StatementRow], number: int) -> bool:
    """Return whether liabilities follow a row, and the total of liabilities and equity at the end equals it."""
    below = rows[number + 1 :]
    if not below or "liabilit" not in below[0].group or any("liabilit" in row.group for row in rows[:number]):
        return False
    totals = [row for row in below if row.cells and (not row.label or _ALL_CLAIMS.fullmatch(row.label))]
    return bool(totals) and _values(totals[-1]) == _values(rows[number])
