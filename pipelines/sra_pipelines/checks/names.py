"""Find names in an answer: several capitalised words, one that the passages do not contain, and addresses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from sra_pipelines.checks.dates import is_month
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.retrieval.languages import language_of

__all__ = ["Name", "find_names"]

Name = tuple[int, int, tuple[int, ...], bool]
"""Start and end in characters, the positions of the texts that contain the name, and whether the question does."""

_CAPITAL = "".join(character for character in map(chr, range(0x590)) if character.isupper())
_NAME = re.compile(
    rf"\b[{_CAPITAL}][\w&'\u2019-]*(?:\s+(?:of|and|the|&|[{_CAPITAL}][\w&'\u2019-]*))*\s+[{_CAPITAL}][\w&'\u2019-]*\b"
)
_SINGLE = re.compile(
    rf"(?:(?P<before>[^\W\d_]+)[,;)]?\s+|\u00ab)(?P<name>[{_CAPITAL}][^\W\d_]+(?:['\u2019-][^\W\d_]+)*)\b"
)
_ADDRESS = re.compile(r"(?<![\w.@/])(?:[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?://|www\.)[^\s<>\"']*[\w/])")
_NO_PART = frozenset(
    {
        "The", "A", "An", "In", "On", "At", "No", "Yes", "For", "As", "It", "This", "Under", "By", "From", "To", "With",
        "Of", "Der", "Die", "Das",
    }
)  # fmt: skip
# A capitalised word after these is a term of a contract, such as "the Supplier", rather than a name.
_DETERMINERS = frozenset(
    {
        "the", "a", "an", "this", "that", "these", "those", "each", "any", "such", "every", "its", "their", "our",
        "his", "her", "no", "either", "both", "which", "all",
    }
)  # fmt: skip
_NO_NAMES = frozenset(
    {
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "mr", "mrs", "ms", "miss", "dr",
        "prof", "professor", "sir", "madam",
    }
)  # fmt: skip
_LONGEST_ACRONYM = 5
_BETWEEN_PARTS = re.compile(r"\s+(?:(?:of|and|the|&)\s+)+")
_LONGEST_ENDING = 3  # characters of an inflected name in scripts other than Latin


def find_names(answer: str, question: str, texts: Sequence[str]) -> Iterator[Name]:
    """Yield the names of an answer.

    Several capitalised words in a row are a name, and so is an e-mail or web address. A single capitalised word within
    a sentence is one only if no text and not the question contains it, and not in German, which capitalises all nouns.
    """
    plain, asked = [_plain(text) for text in texts], _plain(question)
    taken = []
    for match in _ADDRESS.finditer(answer):
        yield _located(match.start(), match.end(), _plain(match[0]), plain, asked)
        taken.append(match.span())
    for match in _NAME.finditer(answer):
        words = list(re.finditer(r"\S+", match[0]))
        while words and (words[0][0] in _NO_PART or words[0][0].islower()):  # "Under the Contract"
            del words[0]
        if len(words) >= 2:
            start = match.start() + words[0].start()
            yield _located(start, match.end(), _plain(answer[start : match.end()]), plain, asked)
        taken.append(match.span())
    if any(language_of(text) == "german" for text in (answer, *texts)):
        return
    known = {word for words in keywords([*texts, question]) for word in words}
    for match in _SINGLE.finditer(answer):
        start, end = match.span("name")
        if any(start < last and first < end for first, last in taken):
            continue
        if _is_unknown(match["before"] or "", match["name"], known, (*plain, asked)):
            yield start, end, (), False


def _located(start: int, end: int, name: str, plain: Sequence[str], asked: str) -> Name:
    """Return a name with the texts that contain it, or all of its parts: "Supplier of the Services" has two."""
    parts = [part for part in _BETWEEN_PARTS.split(name) if part]
    where = [name in text or (len(parts) > 1 and all(part in text for part in parts)) for text in (*plain, asked)]
    return start, end, tuple(number for number, found in enumerate(where[:-1]) if found), where[-1]


def _is_unknown(before: str, name: str, known: set[str], plain: Sequence[str]) -> bool:
    """Return whether a capitalised word after another word is a name that no text contains."""
    lowered = _plain(name)
    if before.casefold() in _DETERMINERS or (name.isupper() and len(name) <= _LONGEST_ACRONYM):
        return False
    if lowered in _NO_NAMES or is_month(lowered) or any(lowered in text for text in plain):
        return False
    if name.isascii():
        return not set(keywords([name])[0]) <= known
    stem = lowered[: max(len(lowered) - _LONGEST_ENDING, 4)]
    return not any(stem in text for text in plain)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).replace("\u2019", "'").split()).casefold()
