"""Compare sentences as text, for scripts without spaces between words and others that keywords do not cover."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["stands_in"]

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_OTHER = re.compile(r"[\u0370-\u07ff\u0900-\u1fff\u3040-\u9fff\uac00-\ud7af]")  # no letters of Latin
_COMPOUND = re.compile(r"[\u30a1-\u30fa\u30fc\u3400-\u9fff]{5,}")
_LEAST_KNOWN, _LEAST_UNKNOWN = 3, 2  # characters of a compound, such as the name of a court with another place
_NO_WORD = re.compile(r"[\W_]+")
_LEAST = 4  # characters
_MOST_PAIRS = 0.6  # share of the pairs of characters of a sentence that a passage must contain


def stands_in(sentence: str, passage: str, question: str = "") -> bool:
    """Return whether a passage contains a sentence in a script without spaces, at least in most of its character pairs.

    Pairs that are in the question are ignored if the sentence has others. A sentence with a compound of which the
    passage has another form, as of names of the same kind, is not contained. In other scripts, except Latin, the
    passage must contain the sentence as it is.
    """
    text, there = _letters(sentence), _letters(passage)
    if len(_OTHER.findall(sentence)) >= _LEAST and text in there:
        return True
    if len(_UNSPACED.findall(sentence)) < _LEAST:
        return False
    known = there + _letters(question)
    if any(_is_changed(compound, known) for compound in _COMPOUND.findall(unicodedata.normalize("NFKC", sentence))):
        return False
    pairs = _pairs(text)
    own = pairs - _pairs(_letters(question)) or pairs
    return len(own & _pairs(there)) >= _MOST_PAIRS * len(own)


def _is_changed(compound: str, known: str) -> bool:
    """Return whether a part of a compound is known, and another part is not."""
    unknown = place = 0
    longest = 0
    while place < len(compound):
        end = max((e for e in range(place + 2, len(compound) + 1) if compound[place:e] in known), default=0)
        if end:
            longest, place = max(longest, end - place), end
        else:
            unknown, place = unknown + 1, place + 1
    return longest >= _LEAST_KNOWN and unknown >= _LEAST_UNKNOWN


def _letters(text: str) -> str:
    return _NO_WORD.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)}
