"""Compute the metric that a question asks for from the rows of statements among its passages.

Each amount is the cell of a row and a period, in a statement of one document. If a row or a period is missing or
ambiguous, nothing is computed, and a note says what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sra_pipelines.checks.calculations import Calculation
from sra_pipelines.metrics.asked_metric import AskedMetric, asked_metric
from sra_pipelines.metrics.formulas import Expression, RowYear, rows_of
from sra_pipelines.metrics.metric import Metrics
from sra_pipelines.metrics.metric_text import PeriodResult, metric_calculation, shown
from sra_pipelines.metrics.periods import YEAR_MONTHS, Period
from sra_pipelines.metrics.statement_amounts import AT_A_DATE, FoundAmount, NotFoundError, Statements
from sra_pipelines.metrics.statement_table import heading_lines
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.retrieval.named_documents import DocumentNames, naming_words
from sra_pipelines.retrieval.packing import Pages
from sra_pipelines.retrieval.placing import PlacedStatement
from sra_pipelines.values import Passage

__all__ = ["computed_metric"]

_MOST_PERIODS = 6


def computed_metric(
    question: str,
    passages: Sequence[Passage],
    statements: Sequence[PlacedStatement],
    metrics: Metrics,
    *,
    pages: Pages | None = None,
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
    pages
        All passages of each page. With them, a statement that was shortened for the prompt is read whole, and sentences
        about the financial year are found on the other pages of its document.
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
    named = DocumentNames(documents).in_question(question)
    document = named[0] if len(named) == 1 else documents[0] if len(documents) == 1 else ""
    if asked.unknown and len(_unknown(asked, question, documents, passages, statements)) > most_unknown:
        return None
    problem = asked.problem or _problem(asked, documents, document)
    if problem:
        return None, _note(asked, problem)
    own = [statement for statement in statements if statement.document == document]
    whole = _whole_pages([p for p in passages if p.document == document], own, pages)
    tables = Statements(whole, own, metrics, lambda: _texts(document, whole, pages))
    try:
        results = [_result(asked, period, tables) for period in asked.periods]
    except NotFoundError as error:
        return None, _note(asked, str(error))
    return metric_calculation(asked, question, results), ""


def _whole_pages(
    passages: Sequence[Passage], statements: Sequence[PlacedStatement], pages: Pages | None
) -> Sequence[Passage]:
    """Return the statements among passages, whole if all passages of their pages are known."""
    if pages is None:
        return passages
    keys = dict.fromkeys((statement.document, statement.page_index) for statement in statements)
    merged = {key: merge_passages(pages.get(key, ())) for key in keys}
    whole = {key: parts[0] for key, parts in merged.items() if len(parts) == 1}
    others = [passage for passage in passages if (passage.document, passage.page_index) not in whole]
    return [*others, *whole.values()]


def _texts(document: str, passages: Sequence[Passage], pages: Pages | None) -> list[str]:
    """Return the texts of all known pages of a document in their order."""
    if pages is None:
        return [passage.text for passage in sorted(passages, key=lambda passage: passage.page_index)]
    keys = sorted(key for key in pages if key[0] == document)
    return ["\n".join(passage.text for passage in merge_passages(pages[key])) for key in keys]


def _problem(asked: AskedMetric, documents: Sequence[str], document: str) -> str:
    if not documents:
        return "no page of a statement is among the passages"
    if not document:
        return f"statements of several documents are among the passages ({', '.join(documents)}); name one"
    if not asked.periods:
        return "the question names no financial year"
    if len(asked.periods) > _MOST_PERIODS:
        return f"the question names {len(asked.periods)} years; at most {_MOST_PERIODS} are computed"
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
    periods = " and ".join(map(str, asked.periods))
    return f"not computed: {asked.name}{f' {periods}' if periods else ''}: {problem}"


def _result(asked: AskedMetric, period: Period, tables: Statements) -> PeriodResult:
    problems: list[str] = []
    for formula in asked.formulas:
        try:
            return _evaluated(asked, formula, period, tables)
        except NotFoundError as error:
            if error.final:
                raise
            problems.append(str(error))
    raise NotFoundError("; ".join(dict.fromkeys(problems)))


def _evaluated(asked: AskedMetric, formula: Expression, period: Period, tables: Statements) -> PeriodResult:
    found: dict[RowYear, FoundAmount] = {}
    for amount in rows_of(formula):
        own = period if amount.year is None else Period(amount.year)
        found[amount] = tables.find(amount.row, own.before(amount.before))
    _check_periods(asked, period, found)
    operands = tuple(operand for hit in found.values() for operand in hit.operands)
    units = {operand.unit for operand in operands}
    if len(units) > 1:
        raise NotFoundError(f"the units differ: {', '.join(sorted(unit or 'none' for unit in units))}", final=True)
    try:
        value = formula.value(lambda amount: found[amount].value)
    except ZeroDivisionError:
        raise NotFoundError(f"the divisor is 0 in {period}", final=True) from None
    result = shown(value, asked.unit, operands[0].unit)
    text = "" if isinstance(formula, RowYear) else formula.written(lambda amount: found[amount].written)
    return PeriodResult(period, value, f"{text} = {result}" if text else result, operands)


def _check_periods(asked: AskedMetric, period: Period, found: Mapping[RowYear, FoundAmount]) -> None:
    """Raise `NotFoundError` if amounts of a part of a year are combined with those of another length, or at a date."""
    kinds = {hit.kind in AT_A_DATE for hit in found.values()}
    if False in kinds and len({other.months for other in asked.periods}) > 1:
        named = " and ".join(map(str, asked.periods))
        raise NotFoundError(f"the periods {named} do not have the same length", final=True)
    if period.is_year or (period.end_month and period.months == YEAR_MONTHS):
        return
    if len(kinds) > 1:
        raise NotFoundError(
            "amounts of a part of a year are not combined with those of a balance sheet, because it is not certain "
            "whether they are extrapolated to a year",
            final=True,
        )
    if any(amount.before or amount.year for amount in found):
        raise NotFoundError("averages and changes of balances are computed for whole years only", final=True)
