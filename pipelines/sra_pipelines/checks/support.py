"""What of an answer stands in the passages: its figures and dates, its names, its sentences."""

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
_MOST_WORDS = 0.6  # of a sentence's own words


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A part of an answer, and where it stands.

    Parameters
    ----------
    kind
        ``"figure"``, ``"date"``, ``"name"`` or ``"sentence"``.
    text, start, end
        The part, and the characters of the answer that it takes.
    passages
        Numbers of the passages in which it stands.
    in_question
        Whether the question says it; then it needs no passage.
    """

    kind: str
    text: str
    start: int
    end: int
    passages: tuple[int, ...] = ()
    in_question: bool = False

    @property
    def supported(self) -> bool:
        """Whether it stands in a passage or in the question."""
        return bool(self.passages) or self.in_question


@dataclasses.dataclass(frozen=True, slots=True)
class Support:
    """What of an answer stands in the passages.

    Parameters
    ----------
    claims
        Figures, dates and names, as they come in the answer.
    sentences
        A sentence stands in a passage that holds three fifths of its words (stemmed; those of the question do not count
        where it has others); it stands in none if one of its figures, dates or names is not supported.
    """

    claims: tuple[Claim, ...]
    sentences: tuple[Claim, ...]

    @property
    def unsupported_figures(self) -> tuple[Claim, ...]:
        """Figures and dates that stand neither in a passage nor in the question."""
        return tuple(claim for claim in self.claims if claim.kind != "name" and not claim.supported)

    @property
    def whole(self) -> bool:
        """Whether every sentence is supported."""
        return bool(self.sentences) and all(sentence.supported for sentence in self.sentences)

    @property
    def none(self) -> bool:
        """Whether nothing of the answer stands in a passage."""
        return not any(claim.passages for claim in (*self.claims, *self.sentences))


def check_support(answer: str, question: str, passages: Sequence[Passage]) -> Support:
    """Look each figure, date, name and sentence of an answer up in the passages it was given."""
    texts = [passage.text for passage in passages]
    claims = sorted([*_numbers(answer, question, texts), *_names(answer, question, texts)], key=lambda c: c.start)
    held = [set(words) for words in keywords(texts)] if texts else []
    asked = set(keywords([question])[0])
    sentences = []
    for found in _SENTENCE.finditer(answer):
        text = found[0].strip()
        if not re.search(r"\w", text):
            continue
        words = {word for word in keywords([text])[0] if not word[0].isdigit()}
        own = words - asked or words
        inside = [claim for claim in claims if found.start() <= claim.start < found.end()]
        where = [i for i, there in enumerate(held) if not own or len(own & there) >= _MOST_WORDS * len(own)]
        if not all(claim.supported for claim in inside) or not (own or inside):
            where = []
        elif not own:  # nothing but figures
            where = sorted({i for claim in inside for i in claim.passages})
        sentences.append(Claim("sentence", text, found.start(), found.start() + len(text), tuple(where)))
    return Support(tuple(claims), tuple(sentences))


def mark_unsupported(answer: str, support: Support, mark: str = "[?]") -> str:
    """Put a mark behind each figure and date that is not supported."""
    for claim in sorted(support.unsupported_figures, key=lambda claim: -claim.end):
        answer = answer[: claim.end] + mark + answer[claim.end :]
    return answer


def _numbers(answer: str, question: str, texts: Sequence[str]) -> list[Claim]:
    dates = find_dates(answer)
    dates_held = [{date for date, *_ in find_dates(text)} for text in texts]
    asked_dates = {date for date, *_ in find_dates(question)}
    claims = [
        Claim("date", answer[start:end], start, end, tuple(i for i, d in enumerate(dates_held) if date in d),
              date in asked_dates)
        for date, start, end in dates
    ]  # fmt: skip
    skipped = [(start, end) for _, start, end in dates]
    skipped += [found.span() for pattern in (_LIST_MARK, _PAGE) for found in pattern.finditer(answer)]
    figures_held = [find_amounts(text) for text in texts]
    asked = find_amounts(question)
    for said in find_amounts(answer):
        if any(start <= said.start < end for start, end in skipped):
            continue
        where = tuple(i for i, held in enumerate(figures_held) if any(same_amount(said, one) for one in held))
        in_question = any(same_amount(said, one) for one in asked)
        claims.append(Claim("figure", said.text, said.start, said.end, where, in_question))
    return claims


def _names(answer: str, question: str, texts: Sequence[str]) -> list[Claim]:
    plain = [" ".join(text.split()).casefold() for text in texts]
    asked = " ".join(question.split()).casefold()
    claims = []
    for found in _NAME.finditer(answer):
        text, start = found[0], found.start()
        first, _, rest = text.partition(" ")
        if first in {"The", "A", "An", "In", "On", "At", "No", "Yes", "For", "As", "It", "This"}:
            text, start = rest.lstrip(), found.end() - len(rest.lstrip())
        if len(text.split()) < 2:
            continue
        name = " ".join(text.split()).casefold()
        where = tuple(i for i, there in enumerate(plain) if name in there)
        claims.append(Claim("name", text, start, found.end(), where, name in asked))
    return claims
