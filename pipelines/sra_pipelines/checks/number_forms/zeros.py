"""Find claims that something is zero: ``0 accidents``, ``zero``, ``nil``; a passage may also say ``no accidents``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sra_pipelines.retrieval.keywords import keywords

__all__ = ["find_zeros"]

_CLAIM = re.compile(
    r"(?<![\w.,$\u20ac\u00a3-])(?P<zero>0|zero|nil)(?![\w-]|[.,]\d|\s?%|\s+per\s?cent|\s?[:/-]\s?\d)(?P<after>(?:\s[^\W\d_]{1,12}\b){0,2})",
    re.IGNORECASE,
)
_WRITTEN = re.compile(
    r"(?<![\w.,-])(?:0(?![.,]?\d|[/:])|zero|nil|none)(?![\w-])|[:|]\s*[-\u2013\u2014](?=\s*(?:$|[|\n]))",
    re.IGNORECASE | re.MULTILINE,
)
_NONE_OF = re.compile(r"\bno(?P<what>(?:\s+[^\W\d_]+){1,3})", re.IGNORECASE)


def find_zeros(text: str) -> Iterator[tuple[int, int, Callable[[str], bool]]]:
    """Yield the zeros of an answer, each with the function that looks for it in a passage."""
    for match in _CLAIM.finditer(text):
        yield *match.span("zero"), _contains_zero(frozenset(keywords([match["after"]])[0]))


def _contains_zero(things: frozenset[str]) -> Callable[[str], bool]:
    def contains(text: str) -> bool:
        if _WRITTEN.search(text):
            return True
        return any(not things.isdisjoint(keywords([match["what"]])[0]) for match in _NONE_OF.finditer(text))

    return contains
