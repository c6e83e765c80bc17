"""Compare the words of a question with passages and their lines.

BM25, how much of a row's label was asked for, and which words of a line the question does not hold.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import bm25s
import torch
from bm25s.stopwords import STOPWORDS_EN_PLUS

__all__ = ["WordMatch", "match_words", "new_tokens", "standardized"]

# Letters and digits of one word also count by themselves, so that "2018" matches "FY2018".
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_MIXED = re.compile(r"(?=[^\W_]*\d)(?=[^\W_]*[^\W\d_])[^\W_]+")
_FIRST_AMOUNT = re.compile(r"\s[^\w\s]*\d")
_LETTERS_AND_DIGITS = re.compile(r"[^\W_]+")
_STOP_WORDS = frozenset(STOPWORDS_EN_PLUS)
_TELLING = 2  # words: a label that shares fewer of them with the question says less


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class WordMatch:
    """How well passages and lines match the words of a question.

    Parameters
    ----------
    passages
        ``(passages,)``, float64: standard score of BM25.
    lines
        ``(lines,)``, float64, those of all passages in order: the sum of the standard scores of BM25 and of the label
        (the text before the first amount), as the share of its words that are in the question.
    """

    passages: torch.Tensor
    lines: torch.Tensor


def match_words(question: str, passages: Sequence[Sequence[str]]) -> WordMatch | None:
    """Compare the words of a question with passages.

    Parameters
    ----------
    question
        A text.
    passages
        The lines of each passage.

    Returns
    -------
    match
        None if no word is shared.
    """
    asked = set(_words(question))
    lines = [_words(line) for passage in passages for line in passage]
    if asked.isdisjoint(word for words in lines for word in words):
        return None
    whole = [
        [word for word in _words("\n".join(passage)) if word not in _STOP_WORDS] for passage in passages
    ]  # the few passages of a context do not show by themselves which words are common
    labels = torch.tensor([_label_match(line, asked) for passage in passages for line in passage], dtype=torch.float64)
    return WordMatch(_bm25(asked, whole), _bm25(asked, lines) + standardized(labels))


def new_tokens(question: str, ends: Sequence[int], line: str) -> list[bool]:
    """Tell which tokens of a line hold something that the question does not.

    Parameters
    ----------
    question
        A text.
    ends
        Where each token ends in `line`, in characters.
    line
        A text.

    Returns
    -------
    new
        For each token. A token without letters and digits is new unless it stands between words of the question.
        If the question holds all words of the line, all tokens are new.
    """
    asked = {word.lower() for word in _LETTERS_AND_DIGITS.findall(question)}
    found = [(word.start(), word.end(), word.group().lower() in asked) for word in _LETTERS_AND_DIGITS.finditer(line)]
    if all(known for _, _, known in found):
        return [True] * len(ends)

    def is_new(start: int, end: int) -> bool:
        inside = [known for first, last, known in found if first < end and last > start]
        beside = [known for _, last, known in found if last <= start][-1:]
        beside += [known for first, _, known in found if first >= end][:1]
        return not all(inside) if inside else len(beside) < 2 or not all(beside)

    return [is_new(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _bm25(asked: set[str], tokenized: list[list[str]]) -> torch.Tensor:
    if not any(tokenized):
        return torch.zeros(len(tokenized), dtype=torch.float64)
    index = bm25s.BM25()
    index.index(tokenized, show_progress=False)
    return standardized(torch.tensor(index.get_scores(sorted(asked)), dtype=torch.float64))


def standardized(values: torch.Tensor) -> torch.Tensor:
    """Return values less their mean, over their standard deviation; zeros where they do not differ."""
    if len(values) < 2:
        return torch.zeros_like(values)
    return (values - values.mean()) / values.std().clamp_min(1e-9)


def _words(text: str) -> list[str]:
    lowered = text.lower()
    return _WORD.findall(lowered) + _MIXED.findall(lowered)


def _label_match(line: str, asked: set[str]) -> float:
    words = [word for word in _words(_FIRST_AMOUNT.split(line, maxsplit=1)[0]) if not word[0].isdigit()]
    if not words:
        return 0.0
    shared = set(words) & asked
    return sum(word in asked for word in words) / len(words) * min(1.0, len(shared) / _TELLING)
