"""Whether an answer is right: exact match, token F1, contains, figures.

Exact match and F1 are those of SQuAD (Rajpurkar et al., arXiv 1606.05250): lower case, no punctuation, no articles.
Punctuation beyond ASCII, such as curly quotes and long dashes, is dropped too.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter

from sra_pipelines.checks.amounts import Amount, find_amounts

from sra_evaluations.examples import Example

__all__ = ["contains", "exact_match", "figures_match", "is_amount", "normalize", "score_answer", "token_f1"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_TOLERANCE = 0.01  # relative: gold answers are rounded
_EXACT_FIGURE = re.compile(
    r"[$€£¥]\s?\d|\d[.,]\d|\d\s?(%|per\s?cent\b|(thousand|million|billion|trillion)s?\b)", re.IGNORECASE
)
_BARE_NUMBER = re.compile(r"\W*\d[\d.,]*\W*")


def normalize(text: str) -> str:
    """Lower the case, and drop punctuation, articles and surplus white space."""
    return " ".join(_ARTICLES.sub(" ", _without_punctuation(text.lower())).split())


def exact_match(said: str, gold: str) -> bool:
    """Whether both are the same but for case, punctuation and articles."""
    return normalize(said) == normalize(gold)


def contains(said: str, gold: str) -> bool:
    """Whether the gold answer stands in what was said, as whole words; "A", which is an article too, has to be all."""
    wanted = normalize(gold)
    if not wanted:
        return _without_punctuation(said).strip() == _without_punctuation(gold).strip() != ""
    return f" {wanted} " in f" {normalize(said)} "


def token_f1(said: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall of words, in [0, 1]."""
    one, other = normalize(said).split(), normalize(gold).split()
    if not (one and other):
        return float(one == other)
    common = sum((Counter(one) & Counter(other)).values())
    return 2 * common / (len(one) + len(other)) if common else 0.0


def figures_match(said: str, gold: str) -> bool | None:
    """Whether a figure of the gold answer stands in what was said, within 1% and with units minded.

    A percentage is none of the other kind; scale words count ("1.5 billion" is "1,500 million"), and a figure without
    one may stand for any scale of the other, as tables say theirs in a heading. Years do not count. None where the gold
    answer has no figure.
    """
    wanted = [figure for figure in find_amounts(gold) if not _is_year(figure)]
    if not wanted:
        return None
    return any(_near(one, other) for one in find_amounts(said) for other in wanted)


def score_answer(said: str, example: Example) -> dict[str, float]:
    """Score an answer by every metric that applies to its example; all lie in [0, 1].

    Where several answers are right, the best counts; where all are asked for, ``contains`` and ``right`` are the share
    that was given. ``right`` is the one to judge by: ``figures`` where the gold answer is an amount, else ``contains``.
    """
    if not example.answers:
        return {}
    if example.all_of:
        gold = example.gold_text()
        held = sum(contains(said, answer) for answer in example.answers) / len(example.answers)
        return {
            "right": held,
            "exact_match": float(exact_match(said, gold)),
            "f1": token_f1(said, gold),
            "contains": held,
        }
    scores = {
        "exact_match": float(any(exact_match(said, answer) for answer in example.answers)),
        "f1": max(token_f1(said, answer) for answer in example.answers),
        "contains": float(any(contains(said, answer) for answer in example.answers)),
    }
    figures = [figures_match(said, answer) if is_amount(answer) else None for answer in example.answers]
    right = any(
        contains(said, answer) if match is None else match
        for answer, match in zip(example.answers, figures, strict=True)
    )
    if any(match is not None for match in figures):
        scores["figures"] = float(any(figures))
    return {"right": float(right)} | scores


def is_amount(gold: str) -> bool:
    """Whether a gold answer is told by its figures: bare, or with a currency, a percent, a scale word or decimals."""
    return bool(_BARE_NUMBER.fullmatch(gold) or _EXACT_FIGURE.search(gold))


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


def _without_punctuation(text: str) -> str:
    return "".join(c for c in text if c not in string.punctuation and not unicodedata.category(c).startswith("P"))
