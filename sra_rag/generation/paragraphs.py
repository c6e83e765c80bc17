"""The paragraphs of a context: what counts as its passages where nobody says what they are."""

from __future__ import annotations

import re

__all__ = ["lines", "paragraphs"]

_LONGEST = 1200  # characters, some 300 tokens: a longer block is divided at its line or sentence ends
_BLOCK = re.compile(r"\S(?:(?!\n[ \t]*\n).)*", re.DOTALL)
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s)|\Z)", re.DOTALL)


def paragraphs(text: str) -> list[tuple[int, int]]:
    """Find the blocks between blank lines; longer ones are divided at the ends of lines, else of sentences.

    Returns
    -------
    spans
        The first character of each and the one after its last.
    """
    return [part for found in _BLOCK.finditer(text) for part in _divided(text, *_stripped(text, *found.span()))]


def lines(text: str) -> list[tuple[int, int]]:
    """Find the lines that hold anything, as spans of characters."""
    return [found.span() for found in _LINE.finditer(text)]


def _stripped(text: str, first: int, last: int) -> tuple[int, int]:
    return first, first + len(text[first:last].rstrip())


def _divided(text: str, first: int, last: int) -> list[tuple[int, int]]:
    if last - first <= _LONGEST:
        return [(first, last)]
    pattern = _LINE if "\n" in text[first:last] else _SENTENCE
    parts: list[tuple[int, int]] = []
    for found in pattern.finditer(text, first, last):
        if parts and found.end() - parts[-1][0] <= _LONGEST:
            parts[-1] = parts[-1][0], found.end()
        else:
            parts.append(found.span())
    return parts
