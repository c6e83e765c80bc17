"""Characters of symbol fonts in PDF pages, such as the bullets and ticks of Wingdings, as Unicode."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import pypdfium2.raw as pdfium

from sra_pipelines.readers.word.symbols import UNKNOWN, symbol

__all__ = ["with_symbols"]

_PRIVATE = re.compile("[\uf020-\uf0ff]")
_FONT = re.compile(r"(?:[A-Z]{6}\+)?(?:Open)?(Symbol|Wingdings|Webdings)[ -]?([23]?)", re.IGNORECASE)
_LONGEST_NAME = 128  # bytes


def with_symbols(text: str, text_page: Any) -> str:
    """Return the text of a page with the characters of symbol fonts as Unicode, as far as their meaning is known.

    Parameters
    ----------
    text
        The text, with one character for each of PDFium's.
    text_page
        Handle of the text page.
    """
    if not _PRIVATE.search(text):
        return text
    name, flags = ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_int()

    def unicode(match: re.Match[str]) -> str:
        length = pdfium.FPDFText_GetFontInfo(text_page, match.start(), name, _LONGEST_NAME, flags)
        font = _FONT.match(name.value.decode("latin-1")) if 0 < length <= _LONGEST_NAME else None
        meaning = symbol(f"{font[1]} {font[2]}".strip(), ord(match[0])) if font is not None else UNKNOWN
        return match[0] if meaning == UNKNOWN else meaning

    return _PRIVATE.sub(unicode, text)
