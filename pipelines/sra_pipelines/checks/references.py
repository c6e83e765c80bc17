"""Numbers that name something and are compared as a whole: of clauses, telephones, accounts and versions, and ordinals.

``Clause 15.2`` is not supported by an amount of 15.2, and a telephone number is not supported by parts of another one.
Roman numbers are compared with Arabic ones, and ordinals in words with those in figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sra_pipelines.checks.dates import ORDINALS, day_in_words

__all__ = ["CLAUSE_MARK", "Reference", "find_codes", "find_marks", "find_references", "names_a_clause"]

Reference = tuple[int, int, Callable[[str], bool]]
"""Start and end in characters, and a function that returns whether a text contains the same number."""

CLAUSE_MARK = re.compile(
    r"^[ \t]*(?:\(?(?P<item>\d{1,3}(?:\.\d{1,3})*)[.)](?=\s|$)|(?P<clause>\d{1,3}(?:\.\d{1,3})+)(?=\s+[A-Z(\"\u201c]))",
    re.MULTILINE,
)
"""The number of a clause, or of an item of a list, at the beginning of a line."""

_CLAUSE = re.compile(
    r"(?:\b(?:clause|section|article|paragraph|schedule|annex|appendix|note|exhibit|chapter|part|title|volume)s?|\u00a7{1,2})"
    r"\s*(?P<number>\d{1,3}(?:\.\d{1,3})*|\b(?-i:[IVXLC]{1,7})\b)(?!\d|[.,]\d|%)",
    re.IGNORECASE,
)
_PAGE = re.compile(r"\b(?:pages?|pp?\.|no\.)\s?(?P<number>\d{1,4})(?!\d|[.,]\d|%)", re.IGNORECASE)
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_VERSION = re.compile(r"\b(?:versions?|releases?|v\.?)\s?(?P<number>\d+(?:\.\d+)+)(?![\w.]*\d)", re.IGNORECASE)
_CODE = re.compile(r"(?<![\w.,/-])[A-GI-PS-Z]\d{1,4}(?![\w/-]|[.,]\d)")  # "E3"; Q4, H1 and R500 are something else
_ORDINAL = re.compile(rf"\b(?:(?P<figures>\d{{1,3}})(?:st|nd|rd|th)|(?P<word>{ORDINALS}))\b", re.IGNORECASE)
_LEAST_ORDINAL = 4  # in words: "first" to "third" have other meanings ("a third party", "for a second")
_NO_ORDINAL = re.compile(r"[\s-]+(?:of\s+(?:an?|the|all|its|their)\b|share|interest)|\s*,", re.IGNORECASE)
_TELEPHONE = re.compile(
    r"(?<![\w.,-])(?:\+\d{1,3}[ -]?(?:\(0\)[ -]?)?\d{1,4}|\(?0\d{1,5}\)?)(?:[ /-]\d{2,5}){1,4}(?![\d/-]|[.,]\d)"
    r"|(?<![\w.,-])(?:1[ -])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\d/-]|[.,]\d)"
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
    for match in _VERSION.finditer(text):
        yield match.start("number"), match.end("number"), _contains_version(match["number"])
    for match in find_codes(text):
        yield match.start(), match.end(), _contains_code(match[0])
    for match in _ORDINAL.finditer(text):
        number = _ordinal(match)
        if match["figures"] or (number >= _LEAST_ORDINAL and not _NO_ORDINAL.match(text, match.end())):
            yield match.start(), match.end(), _contains_ordinal(number)


def find_codes(text: str) -> Iterator[re.Match[str]]:
    """Yield codes of a capital letter and a number, such as the error "E3", whose number is no amount."""
    return _CODE.finditer(text)


def find_marks(text: str) -> Iterator[int]:
    """Yield where the number of a clause, an item of a list or a page begins, which is no amount."""
    for match in CLAUSE_MARK.finditer(text):
        yield match.start(match.lastgroup or 0)
    for pattern in (_CLAUSE, _PAGE):
        for match in pattern.finditer(text):
            yield match.start("number")


def names_a_clause(text: str) -> bool:
    """Return whether a text names a clause, section or the like by its number."""
    return _CLAUSE.search(text) is not None


def _contains_clause(number: str) -> Callable[[str], bool]:
    wanted = _arabic(number)
    pattern = re.compile(rf"^[ \t]*(?:{re.escape(number)}|{re.escape(wanted)})\.?(?=\s|$)", re.MULTILINE)

    def contains(text: str) -> bool:
        return bool(pattern.search(text)) or any(_arabic(match["number"]) == wanted for match in _CLAUSE.finditer(text))

    return contains


def _arabic(number: str) -> str:
    """Return a number in figures, given in figures or as a Roman number."""
    if number[0].isdigit():
        return number
    values = [_ROMAN[letter] for letter in number]
    signed = [-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True)]
    return str(sum(signed))


def _contains_version(number: str) -> Callable[[str], bool]:
    pattern = re.compile(rf"(?<![\d.]){re.escape(number)}(?!\d|\.\d)")
    return lambda text: bool(pattern.search(text))


def _contains_code(code: str) -> Callable[[str], bool]:
    return lambda text: any(match[0] == code for match in find_codes(text))


def _contains_ordinal(number: int) -> Callable[[str], bool]:
    figure = re.compile(rf"(?<![\d.,]){number}(?!\d|[.,]\d)")

    def contains(text: str) -> bool:
        return bool(figure.search(text)) or any(_ordinal(match) == number for match in _ORDINAL.finditer(text))

    return contains


def _ordinal(match: re.Match[str]) -> int:
    return int(match["figures"]) if match["figures"] else day_in_words(match["word"])


def _contains_telephone(digits: str) -> Callable[[str], bool]:
    return lambda text: any(_digits(match[0]) == digits for match in _TELEPHONE.finditer(text))


def _contains_account(number: str) -> Callable[[str], bool]:
    return lambda text: any(_unspaced(match[0]) == number for match in _ACCOUNT.finditer(text))


def _unspaced(text: str) -> str:
    return text.replace(" ", "")


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text.replace("(0)", ""))
