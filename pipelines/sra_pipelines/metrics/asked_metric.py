"""Find out which metric or row of the statements a question asks for, and for which periods.

A question is understood only if each of its words is known: as a name of a metric or row, a year, a word that changes
nothing ("what", "improve", "USD millions"), or, for the caller to decide, a name of the company.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import NamedTuple

from sra_pipelines.metrics.asked_periods import asked_periods
from sra_pipelines.metrics.formulas import Average, Binary, Change, Expression, FormulaError, RowYear, parse_formula
from sra_pipelines.metrics.known_words import is_known
from sra_pipelines.metrics.metric import BESIDE_TAXES, Metrics, Unit
from sra_pipelines.metrics.periods import Period
from sra_pipelines.retrieval.vocabulary import any_of

__all__ = ["AskedMetric", "asked_metric", "needed_rows"]

_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])|:\s+(?=(?:what|how|does|do|is|was|were|did|has|have|which|by)\b)", re.I)
_INSTRUCTION = re.compile(
    r"(?:please |kindly )?(?:assume|answer|give|round|address|calculate what|respond|reply|use|using|express|state"
    r"|explain|provide|base|rely)\b|if\b.*\b(?:state|explain|say)\b",
    re.IGNORECASE,
)
_DEFINED = (
    re.compile(
        r"(?P<name>[^.?!:;]+?)\s+(?:is|are|was)\s+(?:defined|calculated|computed)\s+as:?\s+(?P<formula>[^?]+)", re.I
    ),
    re.compile(r"\bdefine\s+(?P<name>[^.?!:;]+?)\s+as:?\s+(?P<formula>[^?]+)", re.I),
)
_OF = r"(?:%|per ?cent(?:age)?|share|proportion|fraction) of(?: (?:the|its|their|total))*"
_DIVIDED = re.compile(rf",?\s+(?:as an? {_OF}|to(?: the)?|divided by(?: the)?|over(?: the)?)\s+", re.IGNORECASE)
# Before the divisor, which comes first then: "what percentage of 2022 revenue was ..."
_SHARE_OF = re.compile(rf"\b{_OF}\s+(?:FY ?)?(?:(?:19|20)\d\d\s+)?$", re.IGNORECASE)
_SHARE_IS = re.compile(r"\s+(?:is|are|was|were)(?: the)?\s+(?:spent on )?", re.IGNORECASE)
_SPOKEN = (("divided by", "/"), ("multiplied by", "*"), ("minus", "-"), ("less", "-"), ("plus", "+"), ("times", "*"))
_WITHOUT_MEANING = re.compile(
    r"\((?:in|as|round)\b[^()]*\)|\bin US ?(?:\$|dollars?)|\bpercentage points?\b|\bin units of \w+",
    re.IGNORECASE,
)
_STATEMENTS = re.compile(
    r"\b(?:statements? of (?:\w+ )?(?:income|operations|earnings|cash flows?|financial position)|cash flow statements?"
    r"|(?:income|profit and loss) statements?|balance sheets?|p ?& ?l(?: statements?)?)",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True, slots=True)
class AskedMetric:
    """What a question asks to be computed from statements.

    Parameters
    ----------
    name
        Name of the metric or row.
    unit
        Unit of the result.
    formulas
        Formulas, best first.
    periods
        The periods, in ascending order; empty if the question names none.
    averaged
        Whether the mean over the periods is asked for.
    unknown
        Words of the question that are not known, as written.
    problem
        Why it cannot be computed, whatever the passages are; empty if nothing is known against it.
    """

    name: str
    unit: Unit
    formulas: tuple[Expression, ...]
    periods: tuple[Period, ...]
    averaged: bool = False
    unknown: tuple[str, ...] = ()
    problem: str = ""


class _Mention(NamedTuple):
    """A metric or row that a question names, and where."""

    start: int
    end: int
    name: str
    is_metric: bool


def asked_metric(question: str, metrics: Metrics) -> AskedMetric | None:
    """Return the metric or row that a question asks for; None if it asks for none, or for several.

    Parameters
    ----------
    question
        The question.
    metrics
        The known metrics and rows.
    """
    text = " ".join(question.split())
    sentences, definitions = _without_definitions(text)
    asked = " ".join(sentence for sentence in sentences if not _INSTRUCTION.match(sentence))
    if definitions:
        return _defined(text, asked, definitions, metrics)
    mentions = _mentions(asked, metrics)
    names = {(mention.name, mention.is_metric) for mention in mentions}
    known: Expression | None = None
    if len(names) == 1:
        [(name, is_metric)] = names
        if is_metric:
            metric = next(other for other in metrics.metrics if other.name == name)
            unit, formulas = metric.unit, tuple(metrics.formulas(metric))
        else:
            unit, formulas = "amount", (RowYear(name),)
    elif (known := _ratio_of_rows(asked, mentions)) is not None:
        rows = [amount.row for amount in known.rows()]
        name, unit, formulas = f"{rows[0]} / {rows[1]}", "percent", (known,)
    else:
        return None
    covered = [(mention.start, mention.end) for mention in mentions]
    covered += [match.span() for pattern in (_STATEMENTS, _WITHOUT_MEANING) for match in pattern.finditer(asked)]
    if known is not None:
        covered.append((mentions[0].start, mentions[-1].end))
    when = asked_periods(asked)
    unknown = _unknown_words(asked, [*covered, *when.spans])
    return AskedMetric(name, unit, formulas, when.periods, when.averaged, unknown, when.problem)


def needed_rows(question: str, metrics: Metrics) -> re.Pattern[str] | None:
    """Return a pattern of the labels of all rows that may be needed for a question; None if it asks for no metric."""
    asked = asked_metric(question, metrics) if metrics else None
    if asked is None:
        return None
    names = {amount.row for formula in asked.formulas for amount in formula.rows()}
    if any(metrics.row(name).sign == "income_tax" for name in names):
        names |= set(filter(metrics.has_row, BESIDE_TAXES))
    rows = [metrics.row(name) for name in sorted(names)]
    return any_of(tuple(pattern for row in rows for pattern in (*row.labels, *row.parts))) if rows else None


def _defined(text: str, asked: str, definitions: Mapping[str, str], metrics: Metrics) -> AskedMetric:
    """Return what a question asks for with its own definition."""
    first = next(iter(definitions))
    name = re.sub(r"^the\s+", "", first, flags=re.IGNORECASE)
    when = asked_periods(asked)
    try:
        formula = _read_definition(first, definitions, metrics, ())
    except FormulaError as error:
        problem = f"the definition in the question cannot be used: {error}"
        return AskedMetric(name, "times", (), when.periods, problem=problem)
    explicit = [amount.year for amount in formula.rows() if amount.year is not None]
    periods = when.periods
    if explicit and all(amount.year is not None for amount in formula.rows()):
        periods = (Period(max(explicit)),)
    percent = re.search(r"%|\bper ?cent", text, re.IGNORECASE) is not None
    problem = when.problem
    if not all(period.is_year for period in periods):
        problem = problem or "definitions in questions are computed for whole financial years only"
    return AskedMetric(name, "percent" if percent else "times", (formula,), periods, when.averaged, problem=problem)


def _read_definition(
    name: str, definitions: Mapping[str, str], metrics: Metrics, reading: tuple[str, ...]
) -> Expression:
    if name in reading:
        raise FormulaError(f"{name!r} is defined by itself.")
    text = definitions[name]
    for spoken, operator in _SPOKEN:
        text = re.sub(rf"\b{spoken}\b", operator, text, flags=re.IGNORECASE)
    text = re.sub("[\u00d7]", "*", re.sub("[\u2013\u2014\u2212]", "-", text)).replace("\u00f7", "/")

    def named(formula: str, at: int) -> tuple[Expression, int] | None:
        for other in sorted(definitions, key=len, reverse=True):
            if formula[at:].lower().startswith(other.lower()) and not formula[at + len(other) :][:1].isalnum():
                return _read_definition(other, definitions, metrics, (*reading, name)), at + len(other)
        return _named_row(formula, at, metrics)

    return parse_formula(text, named)


_BETWEEN = r"\s+(?:between|of|from|in|for)\s+(?:FY ?)?(\d{4})\s+(?:and|to|-)\s+(?:FY ?)?(\d{4})"
_FORM = re.compile(r"(?:the )?(?P<form>average|change in|change of|increase in)\s+(?:the )?", re.I)
_YEAR_BEFORE = re.compile(r"(?:the )?(?:FY ?|fiscal )?((?:19|20)\d\d)\s+(?:total )?", re.I)
_YEAR_AFTER = re.compile(r"\s+(?:in|for|of|at the end of)\s+(?:FY ?|fiscal )?((?:19|20)\d\d)\b", re.I)


def _named_row(formula: str, at: int, metrics: Metrics) -> tuple[Expression, int] | None:
    """Read the name of a row with its years, as in a definition: "average inventory between FY2016 and FY2017"."""
    form = _FORM.match(formula, at)
    start = form.end() if form else at
    before = None if form else _YEAR_BEFORE.match(formula, start)
    start = before.end() if before else start
    hits = [
        (match.end(), row.name)
        for row in metrics.rows
        if row.asked and (match := any_of(row.asked).match(formula, start)) is not None
    ]
    if not hits:
        return None
    end, name = max(hits)
    if sum(1 for other in hits if other[0] == end) > 1:
        raise FormulaError(
            f"{formula[start:end]!r} can be several rows: {', '.join(sorted(n for e, n in hits if e == end))}."
        )
    if form is not None:
        years = re.compile(_BETWEEN, re.IGNORECASE).match(formula, end)
        first, last = (RowYear(name, before=1), RowYear(name))
        if years is not None:
            first, last, end = RowYear(name, int(years[1])), RowYear(name, int(years[2])), years.end()
        return (Average if form["form"].lower() == "average" else Change)(first, last), end
    after = None if before else _YEAR_AFTER.match(formula, end)
    year = before or after
    return RowYear(name, int(year[1]) if year else None), after.end() if after else end


def _without_definitions(text: str) -> tuple[list[str], dict[str, str]]:
    """Return the sentences of a question without its definitions, and the definitions by name."""
    definitions: dict[str, str] = {}
    kept = []
    for sentence in _SENTENCE.split(text):
        match = next((m for pattern in _DEFINED if (m := pattern.search(sentence))), None)
        if match is None:
            kept.append(sentence)
        else:
            definitions[match["name"].strip()] = match["formula"].strip().rstrip(".")
            if match.start() > 0:
                kept.append(sentence[: match.start()])
    return kept, definitions


def _mentions(asked: str, metrics: Metrics) -> list[_Mention]:
    """Return the metrics and rows that a question names; a name within a longer one does not count."""
    named = [(metric.name, metric.asked, True) for metric in metrics.metrics]
    named += [(row.name, row.asked, False) for row in metrics.rows if row.asked]
    every = [
        _Mention(match.start(), match.end(), name, is_metric)
        for name, patterns, is_metric in named
        for match in any_of(patterns).finditer(asked)
    ]
    # Names of statements contain names of rows: "income" in "statement of income".
    statements = [match.span() for match in _STATEMENTS.finditer(asked)]
    outer = [
        mention
        for mention in every
        if not any(_within(mention, other.start, other.end) for other in every)
        and not any(_within(mention, start, end) for start, end in statements)
    ]
    return sorted(outer)


def _within(mention: _Mention, start: int, end: int) -> bool:
    return start <= mention.start and mention.end <= end and end - start > mention.end - mention.start


def _ratio_of_rows(asked: str, mentions: list[_Mention]) -> Expression | None:
    """Return a ratio of two rows that a question asks for, such as "wages as a percentage of net sales"."""
    if len(mentions) != 2 or any(mention.is_metric for mention in mentions) or mentions[0].name == mentions[1].name:
        return None
    first, second = mentions
    between = asked[first.end : second.start]
    if _DIVIDED.fullmatch(between):
        return Binary("/", RowYear(first.name), RowYear(second.name))
    if _SHARE_IS.fullmatch(between) and _SHARE_OF.search(asked[: first.start]):
        return Binary("/", RowYear(second.name), RowYear(first.name))
    return None


def _unknown_words(asked: str, covered: list[tuple[int, int]]) -> tuple[str, ...]:
    blank = list(asked)
    for start, end in covered:
        blank[start:end] = " " * (end - start)
    words = re.findall(r"[^\W_]+", "".join(blank))
    return tuple(word for word in words if not is_known(asked, word))
