"""The statements of one document, and the amounts of their rows by name and period."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cached_property

from sra_pipelines.checks.calculations import Operand
from sra_pipelines.metrics.calendar_evidence import fiscal_calendar
from sra_pipelines.metrics.fiscal_calendar import FiscalCalendar
from sra_pipelines.metrics.metric import Metrics, RowNames
from sra_pipelines.metrics.periods import Period
from sra_pipelines.metrics.statement_table import StatementRow, StatementTable, read_tables
from sra_pipelines.metrics.tax_sign import tax_sign
from sra_pipelines.metrics.unlabelled_totals import unlabelled_row
from sra_pipelines.retrieval.placing import PlacedStatement
from sra_pipelines.retrieval.vocabulary import any_of
from sra_pipelines.values import Passage

__all__ = ["AT_A_DATE", "FoundAmount", "NotFoundError", "Statements", "plain_number"]

AT_A_DATE = ("balance_sheet",)
_ANOTHER_PART = re.compile(r"^(?:less|other)\b|reserve|allowance|lifo|inventor|suppl|in progress")
_LOSS = re.compile(r"(?:net )?loss(?:es)?\b")


class NotFoundError(Exception):
    """An amount is missing; `final` if another formula must not be tried, because it is there but ambiguous."""

    def __init__(self, problem: str, *, final: bool = False) -> None:
        super().__init__(problem)
        self.final = final


@dataclasses.dataclass(frozen=True, slots=True)
class FoundAmount:
    """An amount of a statement.

    Parameters
    ----------
    value
        Its value for formulas.
    operands
        Its place; several for a sum of rows.
    written
        How it is written in formulas.
    kind
        Kind of its statement.
    """

    value: Decimal
    operands: tuple[Operand, ...]
    written: str
    kind: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Hit:
    """A row of a statement."""

    passage: Passage
    table: StatementTable
    row: StatementRow


class Statements:
    """The statements of one document, and their rows.

    Parameters
    ----------
    passages
        The pages of the document that are statements.
    statements
        Which pages are statements.
    metrics
        The rows that are known.
    texts
        Returns the texts of all pages of the document, to find out when its financial years end.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        statements: Sequence[PlacedStatement],
        metrics: Metrics,
        texts: Callable[[], Iterable[str]],
    ) -> None:
        self._metrics, self._texts = metrics, texts
        self._tables: dict[str, list[tuple[Passage, StatementTable]]] = {}
        for document, page_index, kind in statements:
            for passage in passages:
                if (passage.document, passage.page_index) == (document, page_index):
                    own = self._tables.setdefault(kind, [])
                    continued = own[-1][1] if own and own[-1][0].page_index == page_index - 1 else None
                    own += [(passage, table) for table in read_tables(passage.text, continued)]

    def find(self, name: str, period: Period) -> FoundAmount:
        """Return the amount of a row in a period.

        Parameters
        ----------
        name
            Name of the row.
        period
            The period; for an amount at a date, its end.

        Raises
        ------
        NotFoundError
            If there is none, or it is ambiguous; the message says what is missing.
        """
        row, problem = self._metrics.row(name), ""
        for kind in row.pages:
            tables = self._tables.get(kind)
            if not tables:
                missing = (
                    "in the passages has no heading with years" if kind in self._tables else "is not among the passages"
                )
                problem = problem or f"the {_words(kind)} {missing}"
                continue
            if hits := self._hits(row, tables):
                return self._one(hits, row, period, kind)
            if summed := self._parts(kind, row, period, tables):
                return summed
            problem = f"the {_words(kind)} in the passages has no row for {row.name}"
        raise NotFoundError(problem)

    def _hits(self, row: RowNames, tables: Sequence[tuple[Passage, StatementTable]]) -> list[_Hit]:
        """Return the rows with the best label; without any, a total without a label."""
        for label in row.labels:
            pattern = any_of((label,))
            hits = [_Hit(p, t, r) for p, t in tables for r in t.rows if r.label and pattern.fullmatch(r.label)]
            if hits:
                return [hit for hit in hits if hit.row.cells] or hits[:1]
        return [
            _Hit(passage, table, dataclasses.replace(total, written=f"{row.name} (row without a label)"))
            for passage, table in tables
            if (total := unlabelled_row(row, self._metrics, table)) is not None
        ]

    def _one(self, hits: Sequence[_Hit], row: RowNames, period: Period, kind: str) -> FoundAmount:
        """Return the amount of a row, which can be in several tables if they have columns of different lengths."""
        problems: list[NotFoundError] = []
        found: list[FoundAmount] = []
        for hit in hits:
            try:
                found.append(self._cell(kind, row, period, hit))
            except _OtherLengthError as error:
                problems.append(error)
        if not found:
            raise problems[0]
        if len({hit.value for hit in found}) > 1:
            labels = " and ".join(f"{hit.operands[0].label!r}" for hit in found)
            raise NotFoundError(
                f"the {_words(kind)} has different rows for {row.name} in {period}: {labels}", final=True
            )
        return found[0]

    def _cell(self, kind: str, row: RowNames, period: Period, hit: _Hit) -> FoundAmount:
        where = f"{_words(kind)}, row {hit.row.written!r}"
        if not hit.row.cells:
            raise NotFoundError(f"{where}: not one amount for each column", final=True)
        column = hit.table.column(period, self._calendar, is_period=kind not in AT_A_DATE)
        if isinstance(column, str):
            lengths = set(hit.table.columns.months)
            error = _OtherLengthError if lengths.isdisjoint((0, -1, period.months)) else NotFoundError
            raise error(f"{where}: {column}", final=True)
        cell = hit.row.cells[column]
        if cell is None:
            raise NotFoundError(f"{where}: no amount for {period}", final=True)
        if hit.table.unit == "several":
            raise NotFoundError(f"{where}: the heading names several currencies", final=True)
        value = self._value(row, hit, column, cell.value)
        passage = hit.passage
        operand = Operand(
            hit.row.written, cell, passage.document, passage.page_index, passage.page_label, hit.row.line, str(period),
            "%" if cell.percent else hit.table.unit,
        )  # fmt: skip
        return FoundAmount(value, (operand,), plain_number(value), kind)

    def _parts(
        self, kind: str, row: RowNames, period: Period, tables: Sequence[tuple[Passage, StatementTable]]
    ) -> FoundAmount | None:
        """Return the sum of the rows that are the parts of a row; None if they are not next to each other."""
        if not row.parts:
            return None
        pattern = any_of(row.parts)
        for passage, table in tables:
            places = [number for number, own in enumerate(table.rows) if pattern.fullmatch(own.label)]
            own = [table.rows[number] for number in places]
            together = len(places) > 1 and places[-1] - places[0] == len(places) - 1
            if not together or len({part.group for part in own}) > 1:
                continue
            following = table.rows[places[-1] + 1].label if places[-1] + 1 < len(table.rows) else ""
            whole = own[0].complete_above and all(part.complete_below for part in own)
            if not whole or not following or _ANOTHER_PART.search(following):
                continue
            found = [self._cell(kind, row, period, _Hit(passage, table, part)) for part in own]
            value = sum((part.value for part in found), Decimal(0))
            operands = tuple(operand for part in found for operand in part.operands)
            return FoundAmount(value, operands, f"({' + '.join(part.written for part in found)})", kind)
        return None

    def _value(self, row: RowNames, hit: _Hit, column: int, value: Decimal) -> Decimal:
        """Return the value of a cell with the sign that it has in formulas."""
        if row.sign == "cost":
            return abs(value)
        if row.sign == "income_tax":
            sign = tax_sign(hit.row, column, hit.table, self._metrics)
            if sign is None:
                raise NotFoundError(
                    f"whether the row {hit.row.written!r} is an expense or a benefit is not certain", final=True
                )
            return value * sign
        if _LOSS.match(hit.row.label) and "(" not in hit.row.label and "/" not in hit.row.label:
            return -abs(value)
        return value

    @cached_property
    def _calendar(self) -> FiscalCalendar:
        tables = {kind: [table for _, table in own] for kind, own in self._tables.items()}
        return fiscal_calendar(tables, self._texts, AT_A_DATE)


class _OtherLengthError(NotFoundError):
    """The table is for periods of other lengths; another one can be for the period."""


def plain_number(value: Decimal) -> str:
    """Return a number with separators, a negative one in parentheses."""
    return f"({abs(value):,})" if value < 0 else f"{value:,}"


def _words(kind: str) -> str:
    return kind.replace("_", " ")
