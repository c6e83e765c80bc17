"""Seeded business prose in which a fact can be hidden: invented reports, no two sentences alike."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["CountTokens", "fill", "name_of", "place"]

CountTokens = Callable[[str], int]


def _list(words: str) -> list[str]:
    return words.split("|")


_SITES = _list("Aldby|Brunnhagen|Corvane|Dellmoor|Estrova|Fenwick|Gladmar|Holmsund|Istrell|Jorvale|Kestring|Lundhaven")
_UNITS = _list("warehouse|plant|laboratory|sales office|depot|data centre|workshop|terminal|call centre|foundry")
_THINGS = _list("orders|inspections|deliveries|contracts|repairs|invoices|visits|audits|complaints|shipments")
_VERBS = _list("recorded|completed|reported|handled|reviewed|scheduled|closed|planned")
_MONTHS = _list("January|February|March|April|May|June|July|August|September|October|November|December")
_REMARKS = (
    "which was in line with the plan",
    "slightly more than in the month before",
    "after a slow start to the quarter",
    "despite two days of maintenance",
    "with the same number of staff",
    "as the regional office had expected",
)
_FIRST = _list("amber|birch|cedar|copper|crimson|delta|ember|falcon|granite|harbor|indigo|juniper|lagoon|maple|nickel")
_SECOND = _list("anchor|beacon|bridge|canyon|comet|drift|forest|glacier|meadow|orchard|prairie|quarry|ridge|summit")


def name_of(rng: random.Random) -> str:
    """Return an invented name of a project, such as ``"copper-glacier-41"``."""
    return f"{rng.choice(_FIRST)}-{rng.choice(_SECOND)}-{rng.randrange(10, 100)}"


def fill(tokens: int, count_tokens: CountTokens, rng: random.Random) -> list[str]:
    """Return sentences that take about `tokens` tokens together (counted one by one), at least one."""
    sentences: list[str] = []
    left = tokens
    while left > 0 or not sentences:
        sentences.append(_sentence(rng))
        left -= count_tokens(" " + sentences[-1])
    return sentences


def place(needles: list[str], depth: float, sentences: list[str]) -> str:
    """Put sentences into the others: the first at `depth` (0 is the beginning, 1 the end), the rest evenly around."""
    text = list(sentences)
    for number, needle in enumerate(needles):
        at = (depth + number / len(needles)) % 1.0 if number else depth
        text.insert(round(at * len(text)), needle)
    return " ".join(text)


def _sentence(rng: random.Random) -> str:
    return (
        f"The {rng.choice(_UNITS)} in {rng.choice(_SITES)} {rng.choice(_VERBS)} {rng.randrange(100, 10_000):,} "
        f"{rng.choice(_THINGS)} in {rng.choice(_MONTHS)} {rng.randrange(2001, 2026)}, {rng.choice(_REMARKS)}."
    )
