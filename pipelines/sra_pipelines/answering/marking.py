"""Mark unsupported figures in an answer while it is still being written.

What comes out is `mark_unsupported` of the whole answer, however its text was cut into pieces: text is held back for as
long as what follows could change what a figure or a date in it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.checks.support import Claim, check_support

__all__ = ["mark_as_it_comes"]

_HELD = 32  # characters: more than what may follow the day of a date or the number of a figure
_DIGITS = re.compile(r"[\d.,]*\d[\d.,]*")
_OPEN = re.compile(r"\[[^\]\n]*\Z")  # may become a reference to a page, whose figures are not looked up


def mark_as_it_comes(pieces: Iterable[str], found: Retrieval) -> Iterator[str]:
    """Hand pieces of an answer on, with a mark behind each figure and date that is not supported.

    Parameters
    ----------
    pieces
        Of the text.
    found
        The question and its passages.

    Yields
    ------
    text
        Marked, and up to some 30 characters behind what came in.
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
        if _DIGITS.search(text, shown, settled):  # nothing else is marked, and looking up takes a while
            unsupported = _unsupported(text, found)
            spans = [digits.span() for digits in _DIGITS.finditer(text)] + [(c.start, c.end) for c in unsupported]
            settled = min([start for start, end in spans if start < settled <= end], default=settled)
        if settled > shown:
            yield _marked(text, shown, settled, unsupported)
            shown = settled
    if shown < len(text):
        yield _marked(text, shown, len(text), _unsupported(text, found))


def _unsupported(text: str, found: Retrieval) -> tuple[Claim, ...]:
    return check_support(text, found.question, found.passages).unsupported_figures


def _marked(text: str, start: int, end: int, unsupported: Iterable[Claim]) -> str:
    out = ""
    for claim in sorted(unsupported, key=lambda claim: claim.end):
        if start < claim.end <= end:
            out += text[start : claim.end] + "[?]"
            start = claim.end
    return out + text[start:end]
