"""Numbers that name something and are compared as a whole: clause, telephone and account numbers.

``Clause 15.2`` is not supported by an amount of 15.2, and a telephone number is not supported by parts of another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

__all__ = ["Reference", "find_references"]

Reference = tuple[int, int, Callable[[str], bool]]
"""Start and end in characters, and a function that returns whether a text contains the same number."""

_CLAUSE = re.compile(
    r"(?:\b(?:clause|section|article|paragraph|schedule|annex|appendix|note|exhibit)s?|\u00a7{1,2})\s*"
    r"(?P<number>\d{1,3}(?:\.\d{1,3})*)(?!\d|[.,]\d|%)",
    re.IGNORECASE,
)
_TELEPHONE = re.compile(
    r"(?<![\w.,])(?:\+\d{1,3}[ -]?(?:\(0\)[ -]?)?\d{1,4}|\(?0\d{1,5}\)?)(?:[ /-]\d{2,5}){1,4}(?![\d/-]|[.,]\d)"
)
_ACCOUNT = re.compile(r"(?<![\w.,])[A-Z]{2}\d{2}(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?(?!\w|[.,]\w)")  # IBAN


def find_references(text: str) -> Iterator[Reference]:
    """Yield these numbers of a text, each with the function that looks for it in another text."""
    for match in _ACCOUNT.finditer(text):
        yield match.start(), match.end(), _contains_account(_unspaced(match[0]))
    for match in _CLAUSE.finditer(text):
        yield match.start("number"), match.end("number"), _contains_clause(match["number"])
    for match in _TELEPHONE.finditer(text):
        yield match.start(), match.end(), _contains_telephone(_digits(match[0]))


def _contains_clause(number: str) -> Callable[[str], bool]:
    pattern = re.compile(rf"^[ \t]*{re.escape(number)}\.?(?=\s|$)", re.MULTILINE)

    def contains(text: str) -> bool:
        return bool(pattern.search(text)) or any(match["number"] == number for match in _CLAUSE.finditer(text))

    return contains


def _contains_telephone(digits: str) -> Callable[[str], bool]:
    return lambda text: any(_digits(match[0]) == digits for match in _TELEPHONE.finditer(text))


def _contains_account(number: str) -> Callable[[str], bool]:
    return lambda text: any(_unspaced(match[0]) == number for match in _ACCOUNT.finditer(text))


def _unspaced(text: str) -> str:
    return text.replace(" ", "")


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text.replace("(0)", ""))
