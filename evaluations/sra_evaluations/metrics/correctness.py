"""Whether an answer is right: exact match, token F1, contains, figures, and right without being a copy.

Exact match and F1 are those of SQuAD (Rajpurkar et al., arXiv 1606.05250): lower case, no punctuation, no articles.
Punctuation beyond ASCII, such as curly quotes and long dashes, is dropped too. Other than in SQuAD, number words are
digits and the point of a decimal or of a clause number is kept: "six months" is "6 months", and "4.2" is not "42".
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter

from sra_pipelines.checks.amounts import Amount, find_amounts
from sra_pipelines.checks.dates import find_dates

from sra_evaluations.examples import Example
from sra_evaluations.metrics.number_words import with_digits
from sra_evaluations.metrics.quantities import (
    Quantity,
    currency_of,
    find_quantities,
    is_identifier,
    same_identifier,
    same_quantity,
)

__all__ = [
    "contains",
    "copies_passage",
    "exact_match",
    "figures_match",
    "is_amount",
    "is_right",
    "normalize",
    "score_answer",
    "token_f1",
]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_TOLERANCE = 0.01  # relative: gold answers are rounded
_EXACT_FIGURE = re.compile(
    r"[$€£¥]\s?\d|\d[.,]\d|\d\s?(%|per\s?cent\b|(thousand|million|billion|trillion)s?\b)", re.IGNORECASE
)
_BARE_NUMBER = re.compile(r"\W*\d[\d.,]*\W*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[-\u2010-\u2015](?=\d)")
_POINT = re.compile(r"(?<=\d)[.:](?=\d)")
_BETWEEN_CELLS = re.compile(r"[\s|()]+")
_POINT_KEPT = "\ue000"
_DATE = 6  # words of a gold answer that is a date
_SHORT = 12  # words of a gold answer that is judged by its quantity; in a longer one the quantity may not matter
_COPIED = 8  # words of a passage's beginning that make an answer a copy
_HEADING = 20  # words of an answer within which the copy has to begin: a copied heading comes first
_PASSAGE = 25  # words of a text that is a passage; a shorter one is a line, which an answer may well repeat


def normalize(text: str) -> str:
    """Lower the case, and drop punctuation, articles and surplus white space."""
    return " ".join(_ARTICLES.sub(" ", _without_punctuation(text.lower())).split())


def exact_match(said: str, gold: str) -> bool:
    """Whether both are the same but for case, punctuation, articles and the writing of numbers."""
    return _canonical(said) == _canonical(gold)


def contains(said: str, gold: str) -> bool:
    """Whether the answer contains the gold answer as whole words; "A", also an article, must be the whole answer."""
    wanted = _canonical(gold)
    if not wanted:
        return _without_punctuation(said).strip() == _without_punctuation(gold).strip() != ""
    return f" {wanted} " in f" {_canonical(said)} "


def token_f1(said: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall of words, in [0, 1]."""
    one, other = _canonical(said).split(), _canonical(gold).split()
    if not (one and other):
        return float(one == other)
    common = sum((Counter(one) & Counter(other)).values())
    return 2 * common / (len(one) + len(other)) if common else 0.0


def figures_match(said: str, gold: str) -> bool | None:
    """Whether the answer contains a figure of the gold answer, within 1% and with the same unit.

    A percentage does not match another number, nor an amount in pounds one in dollars; scale words count ("1.5 billion"
    is "1,500 million"), and a figure without one may have any scale, because tables give their scale in a heading.
    Years do not count. None where the gold answer has no figure.
    """
    matches = _matches(said, gold)
    return any(matches) if matches else None


def is_right(said: str, gold: str, question: str = "") -> bool:
    """Whether an answer gives one gold answer.

    Parameters
    ----------
    said
        The answer.
    gold
        The gold answer. A number that names something (a telephone number, a clause) has to be given whole; a date in
        any form; an amount within 1%, and each of two; a short quantity, such as "not less than six months", by its
        number and unit; anything else has to be contained. A single amount has to be chosen: where it stands only
        between other figures, as in a row that is copied from a table, the answer is not right.
    question
        Tells a bare number that names something from an amount.
    """
    if is_identifier(gold, question):
        return same_identifier(said, gold)
    said, gold = with_digits(said), with_digits(gold)
    dates = {date for date, _, _ in find_dates(gold)}
    if dates and len(gold.split()) <= _DATE:
        return contains(said, gold) or dates <= {date for date, _, _ in find_dates(said)}
    quantities = _told_by_quantity(gold)
    if quantities:
        given = find_quantities(said)
        return all(any(same_quantity(one, wanted) for one in given) for wanted in quantities)
    if is_amount(gold) and (matches := _matches(said, gold)):
        if len(matches) == 1:
            matches = _matches(_without_rows(said), gold)
        return all(matches) if len(matches) <= 2 else any(matches)
    return contains(said, gold)


def copies_passage(said: str, example: Example) -> bool:
    """Whether an answer begins by copying the beginning of a passage that contains the answer.

    Many passages give the answer in their first sentence, so a model that copies what it looks at seems to answer.
    """
    words = normalize(said).split()
    begun = [words[at : at + _COPIED] for at in range(min(_HEADING, len(words) - _COPIED + 1))]
    return any(normalize(passage).split()[:_COPIED] in begun for passage in _gold_passages(example))


def score_answer(said: str, example: Example) -> dict[str, float]:
    """Score an answer by every metric that applies to its example; all are in [0, 1].

    Where several answers are right, the best counts; where all are asked for, ``contains`` and ``right`` are the share
    that was given. ``right`` is the one to judge by, see `is_right`; ``right_not_copied``, where the gold texts are
    passages, is 0 for an answer that begins as a copy of one.
    """
    if not example.answers:
        return {}
    scores = _scores_of_all(said, example) if example.all_of else _scores_of_any(said, example)
    if _gold_passages(example):
        scores["right_not_copied"] = 0.0 if copies_passage(said, example) else scores["right"]
    return scores


def is_amount(gold: str) -> bool:
    """Whether a gold answer is judged by its figures: bare, or with a currency, a percent, a scale word or decimals."""
    return bool(_BARE_NUMBER.fullmatch(gold) or _EXACT_FIGURE.search(gold))


def _scores_of_all(said: str, example: Example) -> dict[str, float]:
    gold = example.gold_text()
    held = sum(contains(said, answer) for answer in example.answers) / len(example.answers)
    right = sum(is_right(said, answer, example.question) for answer in example.answers) / len(example.answers)
    return {
        "right": right,
        "exact_match": float(exact_match(said, gold)),
        "f1": token_f1(said, gold),
        "contains": held,
    }


def _scores_of_any(said: str, example: Example) -> dict[str, float]:
    scores = {
        "right": float(any(is_right(said, answer, example.question) for answer in example.answers)),
        "exact_match": float(any(exact_match(said, answer) for answer in example.answers)),
        "f1": max(token_f1(said, answer) for answer in example.answers),
        "contains": float(any(contains(said, answer) for answer in example.answers)),
    }
    figures = [figures_match(said, answer) if is_amount(answer) else None for answer in example.answers]
    if any(match is not None for match in figures):
        scores["figures"] = float(any(figures))
    return scores


def _told_by_quantity(gold: str) -> list[Quantity]:
    """Return the quantities of a short gold answer, if all its numbers are such, and at most two; else none."""
    quantities = find_quantities(gold)
    alone = len(quantities) == len(find_amounts(gold)) <= 2 and len(gold.split()) <= _SHORT
    return quantities if alone and all(quantity.family for quantity in quantities) else []


def _gold_passages(example: Example) -> list[str]:
    return [text for text in example.gold if len(text.split()) >= _PASSAGE]


def _matches(said: str, gold: str) -> list[bool]:
    """Return for each amount of the gold answer whether the answer has it; years are ignored."""
    said, gold = with_digits(said), with_digits(gold)
    given = [(amount, currency_of(amount, said)) for amount in find_amounts(said)]
    wanted = [(amount, currency_of(amount, gold)) for amount in find_amounts(gold) if not _is_year(amount)]
    return [
        any(_near(one, other) and (None in (currency, theirs) or currency == theirs) for one, theirs in given)
        for other, currency in wanted
    ]


def _without_rows(text: str) -> str:
    """Return a text without its rows of figures: different amounts with nothing but spaces or bars between."""
    amounts = [amount for amount in find_amounts(text) if not _is_year(amount)]
    rows: list[list[Amount]] = []
    for amount in amounts:
        if rows and _BETWEEN_CELLS.fullmatch(text[rows[-1][-1].end : amount.start]):
            rows[-1].append(amount)
        else:
            rows.append([amount])
    for row in reversed(rows):
        if len({abs(amount.value) for amount in row}) > 1:
            text = text[: row[0].start] + text[row[-1].end :]
    return text


def _is_year(figure: Amount) -> bool:
    bare = not figure.percent and not figure.scale and re.fullmatch(r"\d{4}", figure.text)
    return bool(bare) and 1900 <= figure.value < 2100


def _near(said: Amount, gold: Amount) -> bool:
    if said.percent != gold.percent and (said.percent or said.scale) and (gold.percent or gold.scale):
        return False
    scales = [said.scale - gold.scale]
    if not (said.percent or gold.percent) and not (said.scale and gold.scale):
        scales = [0, *([3, 6, 9, -3, -6, -9] if said.scale or gold.scale else [])]
    one, other = float(said.value), float(gold.value)
    return any(abs(one * 10**s - other) <= _TOLERANCE * max(abs(one * 10**s), abs(other), 1e-9) for s in scales)


def _canonical(text: str) -> str:
    """Normalize a text whose numbers are written in one way: digits, no thousands separators, points kept."""
    text = _BETWEEN_DIGITS.sub(" ", _THOUSANDS.sub("", with_digits(text)))
    return normalize(_POINT.sub(_POINT_KEPT, text)).replace(_POINT_KEPT, ".")


def _without_punctuation(text: str) -> str:
    return "".join(c for c in text if c not in string.punctuation and not unicodedata.category(c).startswith("P"))
