"""Write superscripts, subscripts and struck text so that they do not become digits of the number beside them."""

from __future__ import annotations

import re

__all__ = ["lowered", "raised", "struck"]

_SUPERSCRIPTS = str.maketrans("0123456789+-\u2212", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_INTEGER = re.compile(r"[-+\u2212]?\d+")
_WRITTEN_AS_SUCH = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_BASE = re.compile(r"(?<![\w.,])(?:10|e)$")
_ORDINAL = re.compile(r"(?:st|nd|rd|th|er|ère|re|e|ème|nd|os?|as?|º|ª)(?![a-z])", re.IGNORECASE)
_WORD_END = re.compile(r"[^\W_]$|[)%]$")


def raised(before: str, text: str) -> str:
    """Return a superscript after the text before it: ``500²``, ``10^6``, ``1st``, ``500 (a)``.

    Parameters
    ----------
    before
        The text before it; only its end matters.
    text
        The superscript.
    """
    stripped = text.strip()
    if _WRITTEN_AS_SUCH.fullmatch(stripped):
        return text
    if _INTEGER.fullmatch(stripped):
        if _BASE.search(before):
            return f"^{stripped}"
        return text.translate(_SUPERSCRIPTS)
    if not stripped or not _WORD_END.search(before) or not stripped[0].isalnum():
        return f" {text}" if stripped.startswith("(") and _WORD_END.search(before) else text
    if not before[-1].isdigit():
        return text
    return text if _ORDINAL.match(stripped) and stripped[1:2].isalpha() else f" ({stripped})"


def lowered(before: str, text: str) -> str:
    """Return a subscript after the text before it: ``H2O``, ``¹/₂``."""
    if _INTEGER.fullmatch(text.strip()) and re.search(r"[\d⁰¹²³⁴⁵⁶⁷⁸⁹/\u2044]$", before):
        return text.translate(_SUBSCRIPTS)
    return text


def struck(before: str, text: str) -> str:
    """Return text that is struck out; an amount is marked as in Markdown, for it is not valid: ``~~500~~``."""
    words = text.strip()
    if not any(map(str.isdigit, words)):
        return text
    start = text.index(words[0])
    return f"{text[:start]}~~{words}~~{text[start + len(words) :]}"
