"""What metrics are computed from: the rows of statements with their names in documents, and formulas over them."""

from __future__ import annotations

import dataclasses
import re
from functools import cached_property
from typing import Literal, get_args

from sra_pipelines.metrics.formulas import Average, Change, Expression, FormulaError, RowYear, parse_formula
from sra_pipelines.retrieval.vocabulary import compiled
from sra_pipelines.structure.statement_rows import STATEMENTS
from sra_rag.errors import ConfigError

__all__ = ["BESIDE_TAXES", "Metric", "Metrics", "RowNames", "Sign", "Unit", "Unlabelled"]

Sign = Literal["as_written", "cost", "income_tax"]
Unlabelled = Literal["", "group", "gross_profit", "total_assets"]
Unit = Literal["percent", "times", "days", "amount"]

BESIDE_TAXES = ("income before taxes", "net income")
"""Names of the rows between which a row of income taxes is: they show whether it is an expense or a benefit."""


@dataclasses.dataclass(frozen=True, slots=True)
class RowNames:
    """A row of the statements, such as the cost of sales, and what it is called.

    Parameters
    ----------
    name
        Name for formulas and users.
    labels
        Patterns of the whole label of the row in a statement, best first: a later one is used only if no row fits an
        earlier one. A label is in lower case, without marks of footnotes.
    pages
        Kinds of the statements that contain the row, best first, keys of `STATEMENTS`.
    asked
        Patterns of what a question calls it; none if it is only used in formulas.
    parts
        Patterns of the labels of rows whose sum it is, if no row has one of `labels` and they are next to each other.
    groups
        Patterns of the headings of groups of rows whose total it is, for ``unlabelled="group"``.
    unlabelled
        How it is recognized if its row has no label: ``"group"`` for the sum of the rows below one of `groups`,
        ``"gross_profit"`` for the revenue less the costs above it, ``"total_assets"`` for the total above the
        liabilities that equals the one at the end; by default it is not.
    sign
        ``"cost"`` for a row that has the same meaning with and without parentheses, such as a payment; ``"income_tax"``
        for one that can be an expense or a benefit, see `BESIDE_TAXES`; otherwise ``"as_written"``.

    Raises
    ------
    ConfigError
        If a field is empty, a pattern is not a regular expression, or a value is unknown.
    """

    name: str
    labels: tuple[str, ...]
    pages: tuple[str, ...]
    asked: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    sign: Sign = "as_written"
    groups: tuple[str, ...] = ()
    unlabelled: Unlabelled = ""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.labels or not self.pages:
            raise ConfigError("name, labels or pages is empty. Give at least one text for each.")
        for pattern in (*self.labels, *self.asked, *self.parts, *self.groups):
            compiled(pattern)
        unknown = [page for page in self.pages if page not in STATEMENTS]
        if unknown:
            raise ConfigError(f"pages: unknown statements {unknown}. Use {', '.join(STATEMENTS)}.")
        if self.sign not in get_args(Sign):
            raise ConfigError(f"sign: {self.sign!r} is not allowed. Use {', '.join(get_args(Sign))}.")
        if self.unlabelled not in get_args(Unlabelled):
            allowed = ", ".join(filter(None, get_args(Unlabelled)))
            raise ConfigError(f"unlabelled: {self.unlabelled!r} is not allowed. Use {allowed}, or leave it out.")


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """A metric with its formulas.

    Parameters
    ----------
    name
        Name for users.
    asked
        Patterns of what a question calls it.
    computed
        Formulas over names of rows, best first: a later one is used only if a row of an earlier one is missing.
    unit
        Unit of the result: ``"percent"``, ``"times"``, ``"days"``, or ``"amount"`` for the unit of the statement.

    Raises
    ------
    ConfigError
        If a field is empty, a pattern is not a regular expression, or the unit is unknown.
    """

    name: str
    asked: tuple[str, ...]
    computed: tuple[str, ...]
    unit: Unit = "percent"

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.asked or not self.computed:
            raise ConfigError("name, asked or computed is empty. Give at least one text for each.")
        for pattern in self.asked:
            compiled(pattern)
        if self.unit not in get_args(Unit):
            raise ConfigError(f"unit: {self.unit!r} is not allowed. Use {', '.join(get_args(Unit))}.")


@dataclasses.dataclass(frozen=True)
class Metrics:
    """The rows and metrics of a vocabulary.

    Parameters
    ----------
    rows
        The rows that formulas and questions can name.
    metrics
        The metrics.

    Raises
    ------
    FormulaError
        If a formula of a metric cannot be read, or names a row that `rows` does not have.
    """

    rows: tuple[RowNames, ...] = ()
    metrics: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        for metric in self.metrics:
            self.formulas(metric)

    def __bool__(self) -> bool:
        return bool(self.rows)

    def has_row(self, name: str) -> bool:
        """Return whether there is a row with a name."""
        return name in self._by_name

    def row(self, name: str) -> RowNames:
        """Return a row by its name."""
        return self._by_name[name]

    def formulas(self, metric: Metric) -> list[Expression]:
        """Return the formulas of a metric."""
        try:
            return [parse_formula(text, self._named) for text in metric.computed]
        except FormulaError as error:
            names = ", ".join(row.name for row in self.rows)
            raise FormulaError(f"metric {metric.name!r}: {error} Known rows are: {names or 'none'}.") from None

    @cached_property
    def _by_name(self) -> dict[str, RowNames]:
        return {row.name: row for row in self.rows}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = "|".join(re.escape(name) for name in sorted(self._by_name, key=len, reverse=True)) or "(?!)"
        return re.compile(rf"\s*(?:(?P<form>average|change)\s*\(\s*(?P<inner>{names})\s*\)|(?P<name>{names})(?!\w))")

    def _named(self, text: str, at: int) -> tuple[Expression, int] | None:
        match = self._pattern.match(text, at)
        if match is None:
            return None
        if match["form"] is None:
            return RowYear(match["name"]), match.end()
        years = RowYear(match["inner"], before=1), RowYear(match["inner"])
        return (Average(*years) if match["form"] == "average" else Change(*years)), match.end()
