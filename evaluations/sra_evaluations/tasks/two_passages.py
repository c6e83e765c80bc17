"""Questions whose answer needs two passages, among profiles of invented companies that are all alike.

Whatever narrows attention to a single passage must not break them.
"""

from __future__ import annotations

import dataclasses
import random
from typing import ClassVar, Literal, get_args

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.profiles import PLACES, Company, companies
from sra_rag.errors import ConfigError

__all__ = ["TwoPassages"]

Kind = Literal["bridge", "both", "total"]

_INSTRUCTION = "Answer the question from the passages below and from nothing else, with a few words."


@dataclasses.dataclass(frozen=True, slots=True)
class TwoPassages:
    """Answer from two of several passages.

    Parameters
    ----------
    passages
        Number of passages in a prompt, from 4 to 24. They are in random order.
    kind
        ``"bridge"``: one passage names the company that the other is about; ``"both"``: two places are asked for, and
        the share that is given counts; ``"total"``: two numbers have to be added. By default in turn.
    """

    name: ClassVar[str] = "two-passages"
    passages: int = 10
    kind: Kind | None = None

    def __post_init__(self) -> None:
        if not 4 <= self.passages <= len(PLACES):
            raise ConfigError(f"passages={self.passages} is not allowed: it is a whole number from 4 to {len(PLACES)}.")
        if self.kind not in (None, *get_args(Kind)):
            raise ConfigError(f"kind={self.kind!r} is not allowed. Use one of {', '.join(get_args(Kind))}.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Make `count` examples; the same for the same seed and options."""
        return [self._example(number, seed) for number in range(count)]

    def _example(self, number: int, seed: int) -> Example:
        rng = random.Random(f"{self.name} {seed} {number}")
        kinds = get_args(Kind)
        kind = self.kind or kinds[number % len(kinds)]
        made = companies(self.passages, rng)
        pair = (made[0], made[1]) if kind == "bridge" else (made[0], made[2])
        question, answers = _question(kind, *pair)
        shuffled = rng.sample(made, len(made))
        places = sorted(shuffled.index(company) for company in pair)
        return Example(
            id=f"{kind}-{self.passages}-{seed}-{number}",
            instruction=_INSTRUCTION,
            context="\n\n".join(f"Passage {at}\n{company.text}" for at, company in enumerate(shuffled, start=1)),
            question=f"Question: {question}",
            answers=answers,
            all_of=kind == "both",
            gold=tuple(company.text for company in pair),
            features={"kind": kind, "passages": self.passages, "passages between": places[1] - places[0] - 1},
        )


def _question(kind: str, one: Company, other: Company) -> tuple[str, tuple[str, ...]]:
    if kind == "bridge":
        return f"Where is the head office of the company that {one.name} belongs to?", (other.place,)
    if kind == "both":
        return f"Where are the head offices of {one.name} and of {other.name}?", (one.place, other.place)
    total = f"{one.staff + other.staff:,}"
    return f"How many people do {one.name} and {other.name} employ together?", (total,)
