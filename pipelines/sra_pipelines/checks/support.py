"""Determine which amounts, dates, names and sentences of an answer are in the passages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from sra_pipelines.checks.amounts import find_amounts, find_dates, same_amount
from sra_pipelines.retrieval.keywords import keywords
from sra_pipelines.values import Passage

__all__ = ["Claim", "Support", "check_support", "mark_unsupported"]

_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s+[\"'(\[]?[A-Z])|\n|$)", re.DOTALL)
_NAME = re.compile(r"\b[A-Z][\w&'-]*(?:\s+(?:of|and|the|&|[A-Z][\w&'-]*))*\s+[A-Z][\w&'-]*\b")
_LIST_MARK = re.compile(r"^\s*\(?\d{1,2}[.)]\s", re.MULTILINE)
_PAGE = re.compile(r"\[[^\]\n]*,\s*page [^\]\n]*\]|\bpages?\s+\d+", re.IGNORECASE)
_MOST_WORDS = 0.6  # share of the words of a sentence that a passage must contain


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A part of an answer, and the passages that contain it.

    Parameters
    ----------
    kind
        ``"figure"`` (an amount), ``"date"``, ``"name"`` or ``"sentence"``.
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
        question if the sentence has others. A sentence with an unsupported amount, date or name is not supported.
    """

    claims: tuple[Claim, ...]
    sentences: tuple[Claim, ...]

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
    claims = sorted([*_numbers(answer, question, texts), *_names(answer, question, texts)], key=lambda c: c.start)
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
        elif not own:  # only numbers
            where = sorted({i for claim in inside for i in claim.passages})
        sentences.append(Claim("sentence", text, match.start(), match.start() + len(text), tuple(where)))
    return Support(tuple(claims), tuple(sentences))


def mark_unsupported(answer: str, support: Support, mark: str = "[?]") -> str:
    """Return the answer with a mark after each unsupported amount and date."""
    for claim in sorted(support.unsupported_figures, key=lambda claim: -claim.end):
        answer = answer[: claim.end] + mark + answer[claim.end :]
    return answer


def _numbers(answer: str, question: str, texts: Sequence[str]) -> list[Claim]:
    dates = find_dates(answer)
    passage_dates = [{date for date, *_ in find_dates(text)} for text in texts]
    asked_dates = {date for date, *_ in find_dates(question)}
    claims = [
        Claim("date", answer[start:end], start, end, tuple(i for i, d in enumerate(passage_dates) if date in d),
              date in asked_dates)
        for date, start, end in dates
    ]  # fmt: skip
    skipped = [(start, end) for _, start, end in dates]
    skipped += [match.span() for pattern in (_LIST_MARK, _PAGE) for match in pattern.finditer(answer)]
    passage_amounts = [find_amounts(text) for text in texts]
    question_amounts = find_amounts(question)
    for amount in find_amounts(answer):
        if any(start <= amount.start < end for start, end in skipped):
            continue
        where = tuple(
            i for i, written in enumerate(passage_amounts) if any(same_amount(amount, other) for other in written)
        )
        in_question = any(same_amount(amount, other) for other in question_amounts)
        claims.append(Claim("figure", amount.text, amount.start, amount.end, where, in_question))
    return claims


def _names(answer: str, question: str, texts: Sequence[str]) -> list[Claim]:
    plain = [" ".join(text.split()).casefold() for text in texts]
    asked = " ".join(question.split()).casefold()
    claims = []
    for match in _NAME.finditer(answer):
        text, start = match[0], match.start()
        first, _, rest = text.partition(" ")
        if first in {"The", "A", "An", "In", "On", "At", "No", "Yes", "For", "As", "It", "This"}:
            text, start = rest.lstrip(), match.end() - len(rest.lstrip())
        if len(text.split()) < 2:
            continue
        name = " ".join(text.split()).casefold()
        where = tuple(i for i, there in enumerate(plain) if name in there)
        claims.append(Claim("name", text, start, match.end(), where, name in asked))
    return claims
