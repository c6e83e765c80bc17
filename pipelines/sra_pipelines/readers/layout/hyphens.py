"""Join the words that are broken at the ends of lines, so that they are found.

Whether "long-" and "term" are one word or a compound with a hyphen is not written down. The rest of the document is
asked first: the form that it has elsewhere is taken. Else the hyphen stays after words that often begin compounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

__all__ = ["join_broken_words"]

_WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# Words that begin compounds, and ends of words that are hyphenated after them without being compounds: "short-age".
_BEGINNINGS = {"cross", "eight", "five", "four", "full", "half", "high", "long", "low", "mid", "nine", "non", "one",
               "self", "seven", "short", "six", "third", "three", "two", "well"}  # fmt: skip
_ENDS = {"age", "dle", "dles", "ed", "er", "ers", "est", "evity", "fall", "falls", "fill", "ing", "ings", "ish",
         "light", "lights", "ly", "ness", "sense", "ward", "way", "ways"}  # fmt: skip
_SECONDS = {"backed", "based", "free", "owned", "quality", "related", "term"}


def join_broken_words(texts: Sequence[str], mark: str) -> list[str]:
    """Return texts in which each word that is broken at the end of a line is whole, before the line break.

    Parameters
    ----------
    texts
        Texts of one document.
    mark
        The hyphen at the end of a line, followed by the line break.
    """
    if not any(mark in text for text in texts):
        return list(texts)
    known = _known_words(texts)
    # Possessive, and only at the start of a word, so that the time is linear in its length.
    broken = re.compile(rf"(?<![^\s{mark}])([^\s{mark}]*+){mark}[ \t]*\n[ \t]*(\S*)[ \t]*(\n?)")

    def joined(match: re.Match[str]) -> str:
        left, right, end = match.groups()
        return f"{left}{_hyphen(left, right, known)}{right}{end or chr(10)}"

    return [
        (_repeated(broken, joined, text).replace(mark, "-") if mark in text else text).rstrip("\n") for text in texts
    ]


def _repeated(broken: re.Pattern[str], joined: Callable[[re.Match[str]], str], text: str) -> str:
    """Replace until nothing changes: a word may be broken at the ends of two lines."""
    while True:
        after = broken.sub(joined, text)
        if after == text:
            return text
        text = after


def _known_words(texts: Iterable[str]) -> set[str]:
    words: set[str] = set()
    for text in texts:
        words.update(_WORDS.findall(text))
    return {word.lower() for word in words}


def _hyphen(left: str, right: str, known: set[str]) -> str:
    first, second = re.search(r"[^\W_]*\Z", left), re.match(r"[^\W_]*", right)
    start, rest = (match[0] if match else "" for match in (first, second))
    if not (start.isalpha() and rest.isalpha() and rest.islower()):
        return "-"  # a range of numbers, a name such as Anglo-American, or a dash
    whole, compound = (start + rest).lower(), f"{start}-{rest}".lower()
    if whole in known:
        return ""
    if compound in known:
        return "-"
    before = left[: len(left) - len(start)]
    is_compound = before.endswith("-") or right[len(rest) :].startswith("-") or rest in _SECONDS
    is_compound = is_compound or (start.lower() in _BEGINNINGS and rest not in _ENDS)
    return "-" if is_compound else ""
