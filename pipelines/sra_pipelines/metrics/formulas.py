"""Formulas over the rows of statements: ``(revenue - cost of sales) / revenue``, ``365 * average(inventories) / ...``.

A formula contains numbers, names of rows, ``+ - * /``, parentheses, ``average(name)`` (of the year and the year before)
and ``change(name)`` (from the year before). It is evaluated in decimals.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Literal, Protocol

from sra_rag.errors import ConfigError

__all__ = [
    "Average",
    "Change",
    "Expression",
    "FormulaError",
    "Number",
    "Operator",
    "RowYear",
    "parse_formula",
    "rows_of",
]

Operator = Literal["+", "-", "*", "/"]
_STEP = {"+": 1, "-": 1, "*": 2, "/": 2}  # how strongly an operator binds
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class FormulaError(ConfigError):
    """A formula cannot be read; the message names what is wrong with it."""


class Expression(Protocol):
    """A part of a formula."""

    def rows(self) -> Iterator[RowYear]:
        """Yield the amounts that the expression needs, in the order of their use."""
        ...

    def value(self, amount: Callable[[RowYear], Decimal]) -> Decimal:
        """Compute the expression; raises `ZeroDivisionError` for a divisor of 0."""
        ...

    def written(self, amount: Callable[[RowYear], str], binding: int = 0) -> str:
        """Return the expression with each amount as text, in parentheses if `binding` is stronger than its operator."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Number:
    """A number, such as the days of a year."""

    number: Decimal

    def rows(self) -> Iterator[RowYear]:
        """Yield nothing."""
        yield from ()

    def value(self, amount: Callable[[RowYear], Decimal]) -> Decimal:
        """Return the number."""
        return self.number

    def written(self, amount: Callable[[RowYear], str], binding: int = 0) -> str:
        """Return the number as text."""
        return f"{self.number:,}"


@dataclasses.dataclass(frozen=True, slots=True)
class RowYear:
    """The amount of a row in a year.

    Parameters
    ----------
    row
        Name of the row.
    year
        The year; None for the year that is asked for.
    before
        Number of years before `year`.
    """

    row: str
    year: int | None = None
    before: int = 0

    def rows(self) -> Iterator[RowYear]:
        """Yield this amount."""
        yield self

    def value(self, amount: Callable[[RowYear], Decimal]) -> Decimal:
        """Return the amount."""
        return amount(self)

    def written(self, amount: Callable[[RowYear], str], binding: int = 0) -> str:
        """Return the amount as text."""
        return amount(self)


@dataclasses.dataclass(frozen=True, slots=True)
class Binary:
    """Two expressions with an operator between them."""

    operator: Operator
    left: Expression
    right: Expression

    def rows(self) -> Iterator[RowYear]:
        """Yield the amounts of both sides."""
        yield from self.left.rows()
        yield from self.right.rows()

    def value(self, amount: Callable[[RowYear], Decimal]) -> Decimal:
        """Compute both sides, then the operator."""
        left, right = self.left.value(amount), self.right.value(amount)
        if self.operator == "+":
            return left + right
        if self.operator == "-":
            return left - right
        if self.operator == "*":
            return left * right
        if right == 0:
            raise ZeroDivisionError
        return left / right

    def written(self, amount: Callable[[RowYear], str], binding: int = 0) -> str:
        """Return both sides with the operator between them."""
        own = _STEP[self.operator]
        after = own + (self.operator in "-/")  # a - (b - c)
        text = f"{self.left.written(amount, own)} {self.operator} {self.right.written(amount, after)}"
        return f"({text})" if own < binding else text


@dataclasses.dataclass(frozen=True, slots=True)
class Average:
    """The mean of a row in two years."""

    first: RowYear
    last: RowYear

    def rows(self) -> Iterator[RowYear]:
        """Yield the amounts of both years."""
        yield from (self.first, self.last)

    def value(self, amount: Callable[[RowYear], Decimal]) -> Decimal:
        """Return the mean."""
        return (amount(self.first) + amount(self.last)) / 2

    def written(self, amount: Callable[[RowYear], str], binding: int = 0) -> str:
        """Return the sum in parentheses, divided by 2."""
        text = f"({amount(self.first)} + {amount(self.last)}) / 2"
        return f"({text})" if binding else text


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """The amount of a row in the later of two years minus that in the earlier."""

    first: RowYear
    last: RowYear

    def rows(self) -> Iterator[RowYear]:
        """Yield the amounts of both years."""
        yield from (self.first, self.last)

    def value(self, amount: Callable[[RowYear], Decimal]) -> Decimal:
        """Return the difference."""
        return amount(self.last) - amount(self.first)

    def written(self, amount: Callable[[RowYear], str], binding: int = 0) -> str:
        """Return the difference in parentheses."""
        return f"({amount(self.last)} - {amount(self.first)})"


Named = Callable[[str, int], tuple[Expression, int] | None]
"""Returns the expression whose name starts at a position of a text, and the end of the name; None if there is none."""


def rows_of(expression: Expression) -> list[RowYear]:
    """Return the amounts that an expression needs, each once."""
    return list(dict.fromkeys(expression.rows()))


def parse_formula(text: str, named: Named) -> Expression:
    """Read a formula.

    Parameters
    ----------
    text
        The formula.
    named
        Reads the name of a row, or a form such as ``average(...)``.

    Raises
    ------
    FormulaError
        If the text is not a formula.
    """
    parser = _Parser(text, named)
    expression = parser.sum()
    if parser.rest():
        raise FormulaError(f"the formula {text!r} cannot be read from {parser.rest()!r} on.")
    return expression


class _Parser:
    """Reads a formula from left to right; products bind stronger than sums."""

    def __init__(self, text: str, named: Named) -> None:
        self.text, self.named, self.at = text, named, 0

    def rest(self) -> str:
        """Return what is not read yet, without white space at its start."""
        self.at += len(self.text[self.at :]) - len(self.text[self.at :].lstrip())
        return self.text[self.at :].rstrip()

    def sum(self) -> Expression:
        """Read products with ``+`` and ``-`` between them."""
        left = self.product()
        while self.rest()[:1] in ("+", "-"):
            left = Binary(self._operator(), left, self.product())
        return left

    def product(self) -> Expression:
        """Read single values with ``*`` and ``/`` between them."""
        left = self.single()
        while self.rest()[:1] in ("*", "/"):
            left = Binary(self._operator(), left, self.single())
        return left

    def single(self) -> Expression:
        """Read a name, a number, or a formula in parentheses."""
        rest = self.rest()
        if (hit := self.named(self.text, self.at)) is not None:
            expression, self.at = hit
            return expression
        if number := _NUMBER.match(rest):
            self.at += number.end()
            return Number(Decimal(number[0]))
        if rest[:1] == "(":
            self.at += 1
            inner = self.sum()
            if self.rest()[:1] != ")":
                raise FormulaError(f"the formula {self.text!r} lacks a ')'.")
            self.at += 1
            return inner
        raise FormulaError(f"the formula {self.text!r} has no known row, number or '(' at {rest[:40]!r}.")

    def _operator(self) -> Operator:
        operator: Operator = self.rest()[0]  # type: ignore[assignment]  # the caller has checked the character
        self.at += 1
        return operator
