"""Detect an answer that repeats itself, so that it can be stopped and cut before the repetition.

Small models sometimes write the same sentence until the token limit. What is repeated is found in words, without case,
punctuation and the numbers of list items: the longest end of the text that occurs before, at any distance. Lists and
tables with equal cells or similar rows must not be cut, so a repetition counts only from a length that depends on how
many of its words are letters.
"""

from __future__ import annotations

import dataclasses
import re

__all__ = ["Repeated", "find_repetition"]

_UNSPACED = r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]"  # scripts without spaces: each character is a word
_WORD = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})\w)+(?:[.,'\u2019:/-](?:(?!{_UNSPACED})\w)+)*|[|%$\u00a3\u20ac]")
_NO_WORDS = re.compile(r"[^\w|]{240,}\Z")  # longer than the rows of dots in a table of contents
_LIST_MARK = re.compile(
    r"^[ \t]*(?:[-*\u2022\u2013]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})(?:[.)]|\Z))(?:[ \t]+|\Z)", re.MULTILINE | re.IGNORECASE
)
_LEAST_WORDS = 3  # different words of letters in a repeated unit that is a sentence or phrase, not the cells of a table
_CELLS = 64  # repeated words after which equal cells are a loop
_PHRASE = 32  # repeated words after which a phrase, written three times in a row, is a loop
_WINDOW = 80  # last words of a text; it is a loop if most of them were written before, with other text between
_WRITTEN_BEFORE = 72  # of the last words
_RUN = 8  # words of a run that was written before
# With these a loop counts, or begins again.
_NOTHING_NEW = frozenset((
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "first",
    "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "additionally", "again", "also", "and", "but", "finally", "furthermore", "hence", "however",
    "likewise", "moreover", "next", "or", "similarly", "so", "still", "then", "therefore", "thus",
))  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Repeated:
    """The end of a text that occurs before in the text.

    Parameters
    ----------
    start
        Offset in the text at which the repeated part starts, in characters.
    loops
        Whether it is so long that the text is a loop and should be cut at `start`.
    """

    start: int
    loops: bool


def find_repetition(text: str) -> Repeated | None:
    """Return the longest end of a text that occurs before; None if its last word is new.

    Parameters
    ----------
    text
        Text of an answer so far. It may end in the middle of a word; that word is compared as far as it is written.
    """
    if no_words := _NO_WORDS.search(text):
        return Repeated(no_words.start(), loops=True)
    marks = [match.span() for match in _LIST_MARK.finditer(text)]
    words, starts = [], []
    for match in _WORD.finditer(text):
        if not any(start <= match.start() < end for start, end in marks):
            words.append(match[0].casefold())
            starts.append(match.start())
    length, distance = _longest_repeated_end(words)
    if length == 0:
        # The number of a list item belongs to what follows it.
        return Repeated(marks[-1][0], loops=False) if marks and marks[-1][1] == len(text) else None
    start = starts[-length]
    start = next((first for first, end in marks if end == start), start)  # a list item is cut with its mark
    return Repeated(start, _is_loop(words, length, distance))


def _longest_repeated_end(words: list[str]) -> tuple[int, int]:
    """Return the length of the longest end that occurs before, in words, and its distance from there."""
    best, best_distance = 0, 0
    last = len(words) - 1
    for distance in range(1, len(words)):
        length = 0
        # The last word may be incomplete.
        if not words[last - distance].startswith(words[last]):
            continue
        length = 1
        while length + distance <= last and words[last - length] == words[last - length - distance]:
            length += 1
        if length > best:
            best, best_distance = length, distance
    return best, best_distance


def _is_loop(words: list[str], length: int, distance: int) -> bool:
    unit = words[-min(length, distance) :]
    if len({word for word in unit if word.isalpha()}) < _LEAST_WORDS:
        return length >= _CELLS
    if length >= distance and length >= max(_PHRASE, 2 * distance):
        return True
    return length >= _RUN and not _has_new_word(words) and _n_written_before(words) >= _WRITTEN_BEFORE


def _has_new_word(words: list[str]) -> bool:
    """Return whether one of the last words is not in the text before, apart from the last one, numbers and connectives.

    Items of a list, such as months or risks that are insured, may have all other words in common.
    """
    before = set(words[:-_WINDOW])
    for word in words[-_WINDOW:-1]:
        if word.isalpha() and word not in before and word not in _NOTHING_NEW:
            return True
        before.add(word)
    return False


def _n_written_before(words: list[str]) -> int:
    """Return how many of the last words are part of a run of words that occurs before in the text.

    Contracts and filings say a sentence or a table's heading again, between text that is new; a loop adds nothing new.
    """
    runs = [tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1)]
    first: dict[tuple[str, ...], int] = {}
    for i, run in enumerate(runs):
        first.setdefault(run, i)
    before = {at for i, run in enumerate(runs) if first[run] < i for at in range(i, i + _RUN)}
    return sum(at >= len(words) - _WINDOW for at in before)
