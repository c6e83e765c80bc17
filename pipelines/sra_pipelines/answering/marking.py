"""Mark unsupported amounts and dates in an answer while it is streamed.

The output is the same as that of `mark_unsupported` for the complete answer, however the text is divided into pieces.
Text is buffered as long as the following text could change an amount or a date in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.checks.dates import ORDINALS
from sra_pipelines.checks.support import Claim, check_support, number_spans
from sra_pipelines.checks.worded_numbers import NUMBER_WORDS

__all__ = ["mark_as_it_comes"]

_HELD = 32  # characters: more than can follow the day of a date or the number of an amount
_SIGNS = r"[\d.,'\u2019/:+() \u00a0\u2009\u202f-]*"
_NUMBER = re.compile(
    rf"{_SIGNS}\d{_SIGNS}|{NUMBER_WORDS.pattern}|\b{ORDINALS}(?:\s+(?:day\b)?\s*(?:of\b)?\s*\w*,?\s*)?", re.IGNORECASE
)
_OPEN = re.compile(r"\[[^\]\n]*\Z")  # may become a page reference, whose numbers are not checked


def mark_as_it_comes(pieces: Iterable[str], retrieval: Retrieval) -> Iterator[str]:
    """Yield the text of an answer with a mark after each unsupported amount and date.

    Parameters
    ----------
    pieces
        Pieces of the answer's text, as they are generated.
    retrieval
        The question and its passages.

    Yields
    ------
    text
        Marked text; it lags about 30 characters behind the input.
    """
    text, shown = "", 0
    for piece in pieces:
        text += piece
        settled = len(text) - _HELD
        if open_reference := _OPEN.search(text):
            settled = min(settled, open_reference.start())
        if settled <= shown:
            continue
        unsupported: tuple[Claim, ...] = ()
        spans = [number.span() for number in _NUMBER.finditer(text)]
        spans += number_spans(text)
        if any(start < settled and shown < end for start, end in spans):  # the check takes time
            unsupported = _unsupported(text, retrieval)
            spans += [(claim.start, claim.end) for claim in unsupported]
            settled = min([start for start, end in spans if start < settled <= end], default=settled)
        if settled > shown:
            yield _marked(text, shown, settled, unsupported)
            shown = settled
    if shown < len(text):
        yield _marked(text, shown, len(text), _unsupported(text, retrieval))


def _unsupported(text: str, retrieval: Retrieval) -> tuple[Claim, ...]:
    return check_support(text, retrieval.question, retrieval.passages).unsupported_figures


def _marked(text: str, start: int, end: int, unsupported: Iterable[Claim]) -> str:
    out = ""
    for claim in sorted(unsupported, key=lambda claim: claim.end):
        if start < claim.end <= end:
            out += text[start : claim.end] + "[?]"
            start = claim.end
    return out + text[start:end]
