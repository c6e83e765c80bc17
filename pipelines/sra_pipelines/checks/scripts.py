"""Compare sentences as text, for scripts without spaces between words, which keywords do not cover."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["stands_in"]

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NO_WORD = re.compile(r"[\W_]+")
_LEAST = 4  # characters
_MOST_PAIRS = 0.6  # share of the pairs of characters of a sentence that a passage must contain


def stands_in(sentence: str, passage: str, question: str = "") -> bool:
    """Return whether a passage contains a sentence in a script without spaces, at least in most of its character pairs.

    Pairs that are in the question are ignored if the sentence has others. For other scripts the result is False.
    """
    if len(_UNSPACED.findall(sentence)) < _LEAST:
        return False
    text, there = _letters(sentence), _letters(passage)
    if text in there:
        return True
    pairs = _pairs(text)
    own = pairs - _pairs(_letters(question)) or pairs
    return len(own & _pairs(there)) >= _MOST_PAIRS * len(own)


def _letters(text: str) -> str:
    return _NO_WORD.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)}
