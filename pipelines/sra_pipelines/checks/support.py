"""Determine which amounts, dates, names and sentences of an answer are in the passages."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
from collections.abc import Sequence
from typing import TypeVar

from sra_pipelines.checks.amounts import Amount, find_amounts, find_spaced_amounts, same_amount
from sra_pipelines.checks.dates import find_dates, find_days, find_months
from sra_pipelines.checks.ideographic_numbers import find_ideographic_numbers
from sra_pipelines.checks.names import find_names
from sra_pipelines.checks.references import find_references
from sra_pipelines.checks.scripts import stands_in
from sra_pipelines.checks.worded_numbers import find_number_words
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.values import Passage

__all__ = ["Claim", "Support", "check_support", "mark_unsupported"]

_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s+[\"'(\[]?[A-Z])|[\u3002\uff01\uff1f]|\n|$)", re.DOTALL)
_LIST_MARK = re.compile(r"^\s*\(?\d{1,2}[.)]\s", re.MULTILINE)
_PAGE = re.compile(r"\[[^\]\n]*,\s*page [^\]\n]*\]|\bpages?\s+\d+", re.IGNORECASE)
_WITH_DIGITS = re.compile(r"[^\s()\[\]\"']*[\d\u00bc-\u00be\u2150-\u215e](?:[^\s()\[\]\"']*[^\s()\[\]\"'.,;:!?])?")
_MOST_WORDS = 0.6  # share of the words of a sentence that a passage must contain

_Value = TypeVar("_Value")


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A part of an answer, and the passages that contain it.

    Parameters
    ----------
    kind
        ``"figure"`` (an amount, or the number of a clause or a telephone), ``"date"`` (also a month of a year),
        ``"name"`` or ``"sentence"``.
    text
        Text of the part.
    start, end
        Span of the part in the answer, in characters.
    passages
        Positions of the passages that contain it.
    in_question
        Whether it is in the question; it is then supported without a passage.
    """

    kind: str
    text: str
    start: int
    end: int
    passages: tuple[int, ...] = ()
    in_question: bool = False

    @property
    def supported(self) -> bool:
        """Whether it is in a passage or in the question."""
        return bool(self.passages) or self.in_question


@dataclasses.dataclass(frozen=True, slots=True)
class Support:
    """Which parts of an answer are in the passages.

    Parameters
    ----------
    claims
        Amounts, dates and names, in the order of the answer.
    sentences
        Sentences. A passage supports a sentence if it contains three fifths of its stemmed words, without those of the
        question if the sentence has others. A sentence with an unsupported amount, date or name is not supported. Text
        in scripts without spaces is compared by pairs of characters.
    unchecked
        Texts with digits that could not be read as an amount, a date or another number, and are not in the passages as
        they are written.
    """

    claims: tuple[Claim, ...]
    sentences: tuple[Claim, ...]
    unchecked: tuple[Claim, ...] = ()

    @property
    def unsupported_figures(self) -> tuple[Claim, ...]:
        """Amounts and dates that are neither in a passage nor in the question."""
        return tuple(claim for claim in self.claims if claim.kind != "name" and not claim.supported)

    @property
    def whole(self) -> bool:
        """Whether every sentence is supported."""
        return bool(self.sentences) and all(sentence.supported for sentence in self.sentences)

    @property
    def none(self) -> bool:
        """Whether no part of the answer is in a passage."""
        return not any(claim.passages for claim in (*self.claims, *self.sentences))


def check_support(answer: str, question: str, passages: Sequence[Passage]) -> Support:
    """Search the passages for each amount, date, name and sentence of an answer."""
    texts = [passage.text for passage in passages]
    numbers, unread = _numbers(answer, question, texts)
    names = [
        Claim("name", answer[start:end], start, end, where, in_question)
        for start, end, where, in_question in find_names(answer, question, texts)
    ]
    claims = sorted([*numbers, *names], key=lambda claim: claim.start)
    passage_words = [set(words) for words in keywords(texts)] if texts else []
    asked = set(keywords([question])[0])
    sentences = []
    for match in _SENTENCE.finditer(answer):
        text = match[0].strip()
        if not re.search(r"\w", text):
            continue
        words = {word for word in keywords([text])[0] if not word[0].isdigit()}
        own = words - asked or words
        inside = [claim for claim in claims if match.start() <= claim.start < match.end()]
        where = [i for i, there in enumerate(passage_words) if not own or len(own & there) >= _MOST_WORDS * len(own)]
        if not all(claim.supported for claim in inside) or not (own or inside):
            where = []
        elif as_text := [i for i, passage in enumerate(texts) if stands_in(text, passage, question)]:
            where = as_text
        elif not own:  # only numbers
            where = sorted({i for claim in inside for i in claim.passages})
        sentences.append(Claim("sentence", text, match.start(), match.start() + len(text), tuple(where)))
    return Support(tuple(claims), tuple(sentences), tuple(unread))


def mark_unsupported(answer: str, support: Support, mark: str = "[?]") -> str:
    """Return the answer with a mark after each unsupported amount and date."""
    for claim in sorted(support.unsupported_figures, key=lambda claim: -claim.end):
        answer = answer[: claim.end] + mark + answer[claim.end :]
    return answer


def _numbers(answer: str, question: str, texts: Sequence[str]) -> tuple[list[Claim], list[Claim]]:
    """Return the amounts, dates and other numbers of an answer, and those that could not be read."""
    taken = [match.span() for pattern in (_LIST_MARK, _PAGE) for match in pattern.finditer(answer)]
    sources = [*texts, question]
    claims: list[Claim] = []

    def add(kind: str, start: int, end: int, found: Sequence[bool]) -> None:
        """Add a claim unless a part of it was read before; `found` is for each passage, and last for the question."""
        if not _overlaps(start, end, taken):
            where = tuple(number for number, held in enumerate(found[:-1]) if held)
            claims.append(Claim(kind, answer[start:end], start, end, where, found[-1]))
            taken.append((start, end))

    read = [_read(text) for text in sources]
    for (start, end), dates in _by_span(find_dates(answer)).items():
        add("date", start, end, [not dates.isdisjoint(numbers.dates) for numbers in read])
    for (start, end), months in _by_span(find_months(answer)).items():
        add("date", start, end, [not months.isdisjoint(numbers.months) for numbers in read])
    for (start, end), days in _by_span(find_days(answer)).items():
        add("date", start, end, [not days.isdisjoint(numbers.days) for numbers in read])
    for start, end, is_in in find_references(answer):
        add("figure", start, end, [is_in(text) for text in sources])
    for amount in find_spaced_amounts(answer):
        # Without a like number in a passage it may be cells of a row, which are then compared unchanged.
        found = [any(same_amount(amount, other) for other in numbers.amounts) for numbers in read]
        as_text = [_contains_token(text, amount.text) for text in sources]
        add("figure", amount.start, amount.end, [one or other for one, other in zip(found, as_text, strict=True)])
    for amount in [*find_number_words(answer), *find_ideographic_numbers(answer), *find_amounts(answer)]:
        found = [any(same_amount(amount, other) for other in numbers.amounts) for numbers in read]
        add("figure", amount.start, amount.end, found)
    unread = []
    for match in _WITH_DIGITS.finditer(answer):
        if _overlaps(*match.span(), taken):
            continue
        found = [_contains_token(text, match[0]) for text in sources]
        if any(found):
            add("figure", *match.span(), found)
        else:
            unread.append(Claim("figure", match[0], *match.span()))
    return claims, unread


@dataclasses.dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of a passage."""

    amounts: tuple[Amount, ...]
    dates: frozenset[datetime.date]
    months: frozenset[tuple[int, int]]
    days: frozenset[tuple[int, int]]


@functools.lru_cache(maxsize=512)  # while an answer is streamed, its passages are read again and again
def _read(text: str) -> _Numbers:
    amounts = [*find_amounts(text), *find_spaced_amounts(text)]
    return _Numbers(
        (*amounts, *find_number_words(text), *find_ideographic_numbers(text)),
        frozenset(date for date, *_ in find_dates(text)),
        frozenset(month for month, *_ in find_months(text)),
        frozenset(day for day, *_ in find_days(text)),
    )


def _overlaps(start: int, end: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start < last and first < end for first, last in spans)


def _by_span(values: Sequence[tuple[_Value, int, int]]) -> dict[tuple[int, int], set[_Value]]:
    """Return the readings of each span."""
    spans: dict[tuple[int, int], set[_Value]] = {}
    for value, start, end in values:
        spans.setdefault((start, end), set()).add(value)
    return spans


def _contains_token(text: str, token: str) -> bool:
    return bool(re.search(rf"(?<![\w.,]){re.escape(token)}(?!\w|[.,]\w)", text))
