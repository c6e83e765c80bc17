"""Determine which amounts, dates, names and sentences of an answer are in the passages."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Hashable, Sequence, Set
from typing import TypeAlias, TypeVar

from sra_pipelines.checks.amounts import Amount, find_amounts, find_spaced_amounts, same_amount
from sra_pipelines.checks.dates import find_dates, find_days, find_months, find_written_dates
from sra_pipelines.checks.ideographic_numbers import find_ideographic_numbers
from sra_pipelines.checks.names import find_names
from sra_pipelines.checks.number_forms.counted import states_percentages, states_scales
from sra_pipelines.checks.number_forms.zeros import find_zeros
from sra_pipelines.checks.references import find_codes, find_marks, find_references
from sra_pipelines.checks.scripts import stands_in
from sra_pipelines.checks.times_and_periods.durations import find_durations, find_written_durations
from sra_pipelines.checks.times_and_periods.periods_of_a_year import find_periods
from sra_pipelines.checks.times_and_periods.times_of_day import find_times, find_written_times
from sra_pipelines.checks.times_and_periods.weekdays import find_weekdays, find_written_weekdays
from sra_pipelines.checks.worded_numbers import find_number_words, find_written_number_words
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.values import Passage

__all__ = ["Claim", "Support", "check_support", "mark_unsupported", "number_spans", "where_claimed"]

_Find: TypeAlias = Callable[[str], Sequence[tuple[Hashable, int, int]]]
_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s+[\"'(\[]?[A-Z])|[\u3002\uff01\uff1f]|\n|$)", re.DOTALL)
_LIST_MARK = re.compile(r"^\s*\(?\d{1,2}[.)]\s", re.MULTILINE)
_PAGE = re.compile(r"\[[^\]\n]*,\s*page [^\]\n]*\]|\bpages?\s+\d+", re.IGNORECASE)
_WITH_DIGITS = re.compile(r"[^\s()\[\]\"']*[\d\u00bc-\u00be\u2150-\u215e](?:[^\s()\[\]\"']*[^\s()\[\]\"'.,;:!?])?")
_MOST_WORDS = 0.6  # share of the words of a sentence that a passage must contain

_IN_PARTS = re.compile(r"\d+\s+(?:hours?|years?|in|out)\b|\d+\s?h\s?\d")
# How dates, and what is compared like them, are found in an answer and in a passage.
_DATES: tuple[tuple[_Find, _Find], ...] = (
    (find_dates, find_written_dates),
    (find_months, find_months),
    (find_days, find_days),
    (find_times, find_written_times),
    (find_periods, find_periods),
    (find_weekdays, find_written_weekdays),
)
_AS_TEXT = (3,)  # times, which a passage may have in another sense

_Value = TypeVar("_Value", bound=Hashable)


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


def where_claimed(claim: str, texts: Sequence[str]) -> set[int]:
    """Return the positions of the texts that contain an amount or a date."""
    claims, _ = _numbers(claim, "", texts)
    return {number for found in claims for number in found.passages}


def number_spans(text: str) -> list[tuple[int, int]]:
    """Return the spans of what is compared with the passages in a text, except names and plain numbers in figures."""
    dates = [(start, end) for find, _ in _DATES for _, start, end in find(text)]
    figures = [(start, end) for start, end, _ in (*find_references(text), *find_zeros(text))]
    worded = (*find_durations(text), *find_number_words(text), *find_ideographic_numbers(text))
    return dates + figures + [(amount.start, amount.end) for amount in worded]


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
    # A table states its scale in a heading, which may be in another passage.
    same = functools.partial(
        same_amount,
        has_scales=any(numbers.has_scales for numbers in read),
        has_percentages=any(numbers.has_percentages for numbers in read),
    )
    for kind, (find, _) in enumerate(_DATES):
        for (start, end), values in _by_span(find(answer)).items():
            found = [not values.isdisjoint(numbers.dates[kind]) for numbers in read]
            as_text = [kind in _AS_TEXT and _contains_token(text, answer[start:end]) for text in sources]
            add("date", start, end, [one or other for one, other in zip(found, as_text, strict=True)])
    for start, end, is_in in (*find_references(answer), *find_zeros(answer)):
        add("figure", start, end, [is_in(text) for text in sources])
    for amount in find_spaced_amounts(answer):
        # Without a like number in a passage it may be cells of a row, which are then compared unchanged.
        found = [any(same(amount, other) for other in numbers.amounts) for numbers in read]
        as_text = [_contains_token(text, amount.text) for text in sources]
        add("figure", amount.start, amount.end, [one or other for one, other in zip(found, as_text, strict=True)])
    worded = [*find_durations(answer), *find_number_words(answer), *find_ideographic_numbers(answer)]
    for amount in [*worded, *find_amounts(answer)]:
        found = [any(same(amount, other) for other in numbers.amounts) for numbers in read]
        if any(found) or not _IN_PARTS.match(amount.text):  # otherwise the parts are compared one by one
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
    dates: tuple[frozenset[Hashable], ...]  # for each kind of `_DATES`
    has_scales: bool
    has_percentages: bool


@functools.lru_cache(maxsize=512)  # while an answer is streamed, its passages are read again and again
def _read(text: str) -> _Numbers:
    codes = [match.span() for match in find_codes(text)]
    marks = set(find_marks(text))
    amounts = [
        dataclasses.replace(amount, is_bare=True) if _is_mark(amount, marks) else amount
        for amount in (*find_amounts(text), *find_spaced_amounts(text))
        if not _overlaps(amount.start, amount.end, codes)
    ]
    worded = (*find_written_number_words(text), *find_ideographic_numbers(text), *find_written_durations(text))
    dates = tuple(frozenset(value for value, *_ in find(text)) for _, find in _DATES)
    return _Numbers((*amounts, *worded), dates, states_scales(text), states_percentages(text))


def _is_mark(amount: Amount, marks: Set[int]) -> bool:
    return amount.start in marks and not (amount.scale or amount.states_kind)


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
