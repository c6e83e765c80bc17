"""Unicode forms: the same word is the same string, however it was typed, composed or set.

Text, names and questions have the composed form (NFC), which looks the same. Search words have the compatible form
(NFKC), in which ligatures, full-width digits and superscripts are ordinary characters.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["composed", "searchable"]

# Characters that are not seen except at a line end: soft hyphens, zero-width spaces and word joiners.
# A raised or lowered number after a word or number: the mark of a note, an exponent or an index.
_RAISED = re.compile(r"(?<=[^\W_])(?<![⁰¹²³⁴-⁹₀-₉])(?=[⁰¹²³⁴-⁹₀-₉])")
_UNSEEN_CHARACTERS = "\u00ad\u200b\u2060\ufeff"
_UNSEEN = re.compile(f"[{_UNSEEN_CHARACTERS}]")


def composed(text: str) -> str:
    """Return text in the form NFC, without soft hyphens and zero-width spaces."""
    if text.isascii():
        return text
    if any(character in text for character in _UNSEEN_CHARACTERS):  # faster than the expression
        text = _UNSEEN.sub("", text)
    return unicodedata.normalize("NFC", text)


def searchable(text: str) -> str:
    """Return text in the form NFKC, in which keywords are compared; not for display.

    A raised digit is separated from the number before it: ``500²`` holds 500 and 2, and not 5002.
    """
    if text.isascii():
        return text
    if any(character in text for character in _UNSEEN_CHARACTERS):
        text = _UNSEEN.sub("", text)
    if unicodedata.is_normalized("NFKC", text):  # so it has no raised digits
        return text
    return unicodedata.normalize("NFKC", _RAISED.sub(" ", text))
