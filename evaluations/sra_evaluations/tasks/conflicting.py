"""Conflicting passages: an amount that later amendments changed; the latest one is right."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import ClassVar

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens, fill, name_of
from sra_rag.errors import ConfigError

__all__ = ["Conflicting"]

_INSTRUCTION = "Answer from the documents alone. Where they disagree, the latest amendment holds."


@dataclasses.dataclass(frozen=True, slots=True)
class Conflicting:
    """Give the amount in the latest of several amendments, which are in random order.

    Parameters
    ----------
    length
        Tokens of the documents, about.
    versions
        How many passages name a figure.
    """

    name: ClassVar[str] = "conflicting"
    length: int = 2000
    versions: int = 3

    def __post_init__(self) -> None:
        if self.length < 1 or not 2 <= self.versions <= 20:
            raise ConfigError("length must be at least 1 token, and versions lie between 2 and 20.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Make `count` examples; the same for the same seed, options and tokenizer."""
        return [self._example(number, seed, count_tokens) for number in range(count)]

    def _example(self, number: int, seed: int, count_tokens: CountTokens) -> Example:
        rng = random.Random(f"{self.name} {seed} {number}")
        party = name_of(rng)
        amounts = rng.sample(range(10_000, 1_000_000), self.versions)
        while _alike(amounts):
            amounts = rng.sample(range(10_000, 1_000_000), self.versions)
        fees = [f"{fee:,}" for fee in amounts]
        years = sorted(rng.sample(range(2001, 2026), self.versions))
        facts = [
            f"The amendment of 1 March {year} sets the yearly fee of {party} to {fee} crowns."
            for year, fee in zip(years, fees, strict=True)
        ]
        sentences = fill(max(0, self.length - sum(map(count_tokens, facts))), count_tokens, rng)
        slots = sorted(rng.choices(range(len(sentences) + 1), k=self.versions), reverse=True)
        order = rng.sample(range(self.versions), self.versions)
        for slot, which in zip(slots, order, strict=True):
            sentences.insert(slot, facts[which])
        where = sentences.index(facts[-1])
        return Example(
            id=f"{self.length}-{self.versions}-{seed}-{number}",
            instruction=_INSTRUCTION,
            context=" ".join(sentences),
            question=f"Question: What is the yearly fee of {party} in crowns?",
            answers=(fees[-1],),
            gold=(facts[-1],),
            features={"length": self.length, "position": where / max(1, len(sentences) - 1)},
        )


def _alike(amounts: list[int]) -> bool:
    """Whether the tolerance of the metric ``figures`` would take one amount for another."""
    return any(larger < smaller * 1.02 for smaller, larger in itertools.pairwise(sorted(amounts)))
