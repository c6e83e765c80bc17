"""Unicode forms: the same word is the same string, however it was typed, composed or set.

Text, names and questions have the composed form (NFC), which looks the same. Search words have the compatible form
(NFKC), in which ligatures, full-width digits and superscripts are ordinary characters.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["composed", "searchable"]

# Characters that are not seen except at a line end: soft hyphens, zero-width spaces and word joiners.
_UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")


def composed(text: str) -> str:
    """Return text in the form NFC, without soft hyphens and zero-width spaces."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _UNSEEN.sub("", text))


def searchable(text: str) -> str:
    """Return text in the form NFKC, in which keywords are compared; not for display."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", _UNSEEN.sub("", text))
