"""Compute the metric that a question asks for from the rows of statements among its passages.

Each amount is the cell of a row and a year, in a statement of one document. If a row or a year is missing or ambiguous,
nothing is computed, and a note says what is missing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from sra_pipelines.checks.amounts import Amount
from sra_pipelines.checks.calculations import Calculation, Operand, asked_operation
from sra_pipelines.metrics.asked_metric import AskedMetric, asked_metric
from sra_pipelines.metrics.formulas import Expression, RowYear, rows_of
from sra_pipelines.metrics.metric import BESIDE_TAXES, Metrics, RowNames, Unit
from sra_pipelines.metrics.statement_table import StatementRow, StatementTable, heading_lines, read_tables
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.named_documents import named_documents, naming_words
from sra_pipelines.retrieval.placing import PlacedStatement
from sra_pipelines.retrieval.vocabulary import any_of
from sra_pipelines.values import Passage

__all__ = ["computed_metric"]

_AT_A_DATE = ("balance_sheet",)
_ANOTHER_PART = re.compile(r"^(?:less|other)\b|reserve|allowance|lifo|inventor|suppl|in progress")
_CENTS = Decimal("0.01")
_MOST_YEARS = 6


class _NotFoundError(Exception):
    """An amount is missing; `final` if another formula must not be tried, because it is there but ambiguous."""

    def __init__(self, problem: str, *, final: bool = False) -> None:
        super().__init__(problem)
        self.final = final


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """An amount of a statement: its value for formulas, its place, and how it is written in formulas."""

    value: Decimal
    operands: tuple[Operand, ...]
    written: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Result:
    """The result for one year."""

    year: int
    value: Decimal
    text: str
    operands: tuple[Operand, ...]


def computed_metric(
    question: str,
    passages: Sequence[Passage],
    statements: Sequence[PlacedStatement],
    metrics: Metrics,
    *,
    most_unknown: int = 0,
) -> tuple[Calculation | None, str] | None:
    """Compute the metric or row that a question asks for.

    Parameters
    ----------
    question
        The question.
    passages
        Its passages.
    statements
        Which pages are statements; the kinds of a page can be several.
    metrics
        The known metrics and rows.
    most_unknown
        Most words of the question that may be unknown, see `asked_metric`. More than 0 gives wrong results: a question
        about "cloud revenue" is not about the revenue of the statement.

    Returns
    -------
    calculation, note
        None if the question asks for no metric or row, or has words that are not known. Otherwise the calculation, or
        None and a note that says what is missing.
    """
    asked = asked_metric(question, metrics) if metrics else None
    if asked is None or (not asked.formulas and not asked.problem):
        return None
    documents = list(dict.fromkeys(statement.document for statement in statements))
    named = named_documents(question, documents)
    document = named[0] if len(named) == 1 else documents[0] if len(documents) == 1 else ""
    if asked.unknown and len(_unknown(asked, question, documents, passages, statements)) > most_unknown:
        return None
    problem = asked.problem or _problem(asked, documents, document)
    if problem:
        return None, _note(asked, problem)
    tables = _Tables([p for p in passages if p.document == document], statements, metrics)
    try:
        results = [_result(asked, year, tables) for year in asked.years]
    except _NotFoundError as error:
        return None, _note(asked, str(error))
    return _calculation(asked, question, results), ""


def _problem(asked: AskedMetric, documents: Sequence[str], document: str) -> str:
    if not documents:
        return "no page of a statement is among the passages"
    if not document:
        return f"statements of several documents are among the passages ({', '.join(documents)}); name one"
    if not asked.years:
        return "the question names no financial year"
    if len(asked.years) > _MOST_YEARS:
        return f"the question names {len(asked.years)} years; at most {_MOST_YEARS} are computed"
    return ""


def _unknown(
    asked: AskedMetric,
    question: str,
    documents: Sequence[str],
    passages: Sequence[Passage],
    statements: Sequence[PlacedStatement],
) -> list[str]:
    """Return the unknown words of a question that do not name the document, or the company in the heading."""
    names = set().union(*(naming_words(question, document) for document in documents))
    for passage in passages:
        if any((passage.document, passage.page_index) == statement[:2] for statement in statements):
            lines = "\n".join(heading_lines(passage.text))
            names |= set(keywords([lines])[0]) | {word.lower() for word in re.findall(r"[^\W_]+", lines)}
    return [w for w in asked.unknown if w.lower() not in names and not set(keywords([w])[0]) & names]


def _note(asked: AskedMetric, problem: str) -> str:
    years = " and ".join(map(str, asked.years))
    return f"not computed: {asked.name}{f' {years}' if years else ''}: {problem}"


class _Tables:
    """The statements of one document, and their rows."""

    def __init__(self, passages: Sequence[Passage], statements: Sequence[PlacedStatement], metrics: Metrics) -> None:
        self._metrics = metrics
        self._tables: dict[str, list[tuple[Passage, StatementTable]]] = {}
        for document, page_index, kind in statements:
            for passage in passages:
                if (passage.document, passage.page_index) == (document, page_index):
                    own = self._tables.setdefault(kind, [])
                    continued = own[-1][1] if own and own[-1][0].page_index == page_index - 1 else None
                    own += [(passage, table) for table in read_tables(passage.text, continued)]

    def find(self, name: str, year: int) -> _Found:
        """Return the amount of a row in a year; raises `_NotFoundError`."""
        row, problem = self._metrics.row(name), ""
        for kind in row.pages:
            tables = self._tables.get(kind)
            if not tables:
                missing = (
                    "in the passages has no heading with years" if kind in self._tables else "is not among the passages"
                )
                problem = problem or f"the {_words(kind)} {missing}"
                continue
            for labels in ((label,) for label in row.labels):
                hits = [(p, t, r) for p, t in tables for r in t.rows if any_of(labels).fullmatch(r.label)]
                if whole := [hit for hit in hits if hit[2].cells] or hits[:1]:
                    return self._one([self._cell(kind, row, year, *hit) for hit in whole], row, year, kind)
            if summed := self._parts(kind, row, year, tables):
                return summed
            problem = f"the {_words(kind)} in the passages has no row for {row.name}"
        raise _NotFoundError(problem)

    def _cell(
        self, kind: str, row: RowNames, year: int, passage: Passage, table: StatementTable, hit: StatementRow
    ) -> _Found:
        if not hit.cells:
            raise _NotFoundError(f"{_words(kind)}, row {hit.written!r}: not one amount for each column", final=True)
        column = table.column(year, is_period=kind not in _AT_A_DATE)
        if isinstance(column, str):
            raise _NotFoundError(f"{_words(kind)}, row {hit.written!r}: {column}", final=True)
        cell = hit.cells[column]
        if cell is None:
            raise _NotFoundError(f"{_words(kind)}, row {hit.written!r}: no amount for {year}", final=True)
        value = self._value(row, hit, column, cell, table)
        unit = "%" if cell.percent else table.unit
        operand = Operand(
            hit.written, cell, passage.document, passage.page_index, passage.page_label, hit.line, str(year), unit
        )
        return _Found(value, (operand,), _plain(value))

    def _one(self, hits: Sequence[_Found], row: RowNames, year: int, kind: str) -> _Found:
        if len({hit.value for hit in hits}) > 1:
            labels = " and ".join(f"{hit.operands[0].label!r}" for hit in hits)
            raise _NotFoundError(
                f"the {_words(kind)} has different rows for {row.name} in {year}: {labels}", final=True
            )
        return hits[0]

    def _parts(
        self, kind: str, row: RowNames, year: int, tables: Sequence[tuple[Passage, StatementTable]]
    ) -> _Found | None:
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
            found = [self._cell(kind, row, year, passage, table, part) for part in own]
            value = sum((part.value for part in found), Decimal(0))
            operands = tuple(operand for part in found for operand in part.operands)
            return _Found(value, operands, f"({' + '.join(part.written for part in found)})")
        return None

    def _value(self, row: RowNames, hit: StatementRow, column: int, cell: Amount, table: StatementTable) -> Decimal:
        """Return the value of a cell with the sign that it has in formulas."""
        if row.sign == "cost":
            return abs(cell.value)
        if row.sign == "income_tax":
            return cell.value * _tax_sign(hit, column, table, self._metrics)
        if re.match(r"(?:net )?loss(?:es)?\b", hit.label) and "(" not in hit.label and "/" not in hit.label:
            return -abs(cell.value)
        return cell.value


def _tax_sign(hit: StatementRow, column: int, table: StatementTable, metrics: Metrics) -> int:
    """Return 1 if a positive amount of a row of income taxes is an expense, -1 if a negative one is."""
    if re.search(r"\((?:expense|provision|charge)\)|^(?:income )?tax(?:es)? (?:benefit|credit)|^benefit", hit.label):
        return -1
    if re.search(r"\(benefit|\(credit|/\s?\(?benefit", hit.label):
        return 1
    written = getattr(hit.cells[column], "value", Decimal(0))
    before, after = (_first_amount(metrics, name, column, table) for name in BESIDE_TAXES)
    if before is None or after is None:
        if written >= 0:
            return 1
    else:  # the amount is what lies between the income before taxes and the net income
        expense, benefit = abs(before - abs(written) - after), abs(before + abs(written) - after)
        if expense * 2 < benefit:
            return 1 if written >= 0 else -1
        if benefit * 2 < expense:
            return -1 if written >= 0 else 1
    raise _NotFoundError(f"whether the row {hit.written!r} is an expense or a benefit is not certain", final=True)


def _first_amount(metrics: Metrics, name: str, column: int, table: StatementTable) -> Decimal | None:
    pattern = any_of(metrics.row(name).labels) if metrics.has_row(name) else None
    rows = [row for row in table.rows if pattern is not None and row.cells and pattern.fullmatch(row.label)]
    cells = [row.cells[column] for row in rows]
    return None if not cells or cells[0] is None else cells[0].value


def _result(asked: AskedMetric, year: int, tables: _Tables) -> _Result:
    problems: list[str] = []
    for formula in asked.formulas:
        try:
            return _evaluated(asked, formula, year, tables)
        except _NotFoundError as error:
            if error.final:
                raise
            problems.append(str(error))
    raise _NotFoundError("; ".join(dict.fromkeys(problems)))


def _evaluated(asked: AskedMetric, formula: Expression, year: int, tables: _Tables) -> _Result:
    found: dict[RowYear, _Found] = {}
    for amount in rows_of(formula):
        own = (amount.year or year) - amount.before
        found[amount] = tables.find(amount.row, own)
    operands = tuple(operand for hit in found.values() for operand in hit.operands)
    units = {operand.unit for operand in operands}
    if len(units) > 1:
        raise _NotFoundError(f"the units differ: {', '.join(sorted(unit or 'none' for unit in units))}", final=True)
    try:
        value = formula.value(lambda amount: found[amount].value)
    except ZeroDivisionError:
        raise _NotFoundError(f"the divisor is 0 in {year}", final=True) from None
    shown = _shown(value, asked.unit, operands[0].unit)
    text = formula.written(lambda amount: found[amount].written)
    if isinstance(formula, RowYear):
        text = ""
    return _Result(year, value, f"{text} = {shown}" if text else shown, operands)


def _calculation(asked: AskedMetric, question: str, results: Sequence[_Result]) -> Calculation:
    operands = tuple(dict.fromkeys(operand for result in results for operand in result.operands))
    parts = [f"{result.year}: {result.text}" for result in results]
    unit = operands[0].unit
    value = _scaled(results[-1].value, asked.unit)
    if asked.averaged:
        value = _scaled(sum((result.value for result in results), Decimal(0)) / len(results), asked.unit)
        parts.append(f"average = {_shown(value, asked.unit, unit, scaled=True)}")
    elif len(results) == 2:
        change, growth = _change(asked.unit, results)
        parts.append(change)
        operation = asked_operation(question)
        if operation in ("growth", "difference") and asked.unit == "amount":
            percent = operation == "growth" or re.search(r"%|\bper ?cent", question, re.IGNORECASE)
            value = growth if percent and growth is not None else results[1].value - results[0].value
    return Calculation("metric", operands, value, f"{asked.name} {'; '.join(parts)}")


def _change(unit: Unit, results: Sequence[_Result]) -> tuple[str, Decimal | None]:
    """Return the change between two years as text, and the growth in per cent if it can be computed."""
    difference = _scaled(results[1].value - results[0].value, unit)
    if unit == "percent":
        return f"change = {difference:+,} percentage points", None
    growth = None
    if results[0].value > 0:
        growth = _rounded((results[1].value - results[0].value) / results[0].value * 100)
    shown = f" ({growth:+,}%)" if growth is not None else ""
    return f"change = {difference:+,}{' days' if unit == 'days' else ''}{shown}", growth


def _scaled(value: Decimal, unit: Unit) -> Decimal:
    """Return a result in its unit, rounded; amounts are not rounded."""
    if unit == "amount":
        return value
    return _rounded(value * 100 if unit == "percent" else value)


def _shown(value: Decimal, unit: Unit, of_statement: str, *, scaled: bool = False) -> str:
    number = value if scaled else _scaled(value, unit)
    if unit == "amount":
        number = _rounded(number) if scaled else number
        return f"{number:,}{f' ({of_statement})' if of_statement else ''}"
    return f"{number:,}{ {'percent': '%', 'days': ' days', 'times': ''}[unit] }"


def _plain(value: Decimal) -> str:
    return f"({abs(value):,})" if value < 0 else f"{value:,}"


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_CENTS, rounding=ROUND_HALF_EVEN)


def _words(kind: str) -> str:
    return kind.replace("_", " ")
