"""Variable tracking: which names end up with a value that is handed on (after RULER, arXiv 2404.06654)."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import ClassVar

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens, fill
from sra_rag.errors import ConfigError

__all__ = ["Variables"]

_INSTRUCTION = "Follow the assignments that are scattered over the report, and answer the question with names alone."


@dataclasses.dataclass(frozen=True, slots=True)
class Variables:
    """Follow chains of assignments through a long text.

    Parameters
    ----------
    length
        Tokens of the report, about.
    hops
        How often a value is handed on.
    chains
        How many chains there are; one is asked for.
    """

    name: ClassVar[str] = "variables"
    length: int = 2000
    hops: int = 3
    chains: int = 2

    def __post_init__(self) -> None:
        if self.length < 1 or self.hops < 0 or not 1 <= self.chains * (self.hops + 1) <= 500:
            raise ConfigError("length must be at least 1, hops at least 0, and all chains may have 500 names together.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Make `count` examples; the same for the same seed, options and tokenizer."""
        return [self._example(number, seed, count_tokens) for number in range(count)]

    def _example(self, number: int, seed: int, count_tokens: CountTokens) -> Example:
        rng = random.Random(f"{self.name} {seed} {number}")
        names = [f"VAR{n}" for n in rng.sample(range(100, 1000), self.chains * (self.hops + 1))]
        values = rng.sample(range(10_000, 100_000), self.chains)
        size = self.hops + 1
        chains = [names[i * size : (i + 1) * size] for i in range(self.chains)]
        statements = [
            [
                f"{chain[0]} is set to {value}.",
                *(f"{b} is set to the value of {a}." for a, b in itertools.pairwise(chain)),
            ]
            for chain, value in zip(chains, values, strict=True)
        ]
        sentences = fill(max(0, self.length - sum(count_tokens(s) for c in statements for s in c)), count_tokens, rng)
        slots: list[list[str]] = [[] for _ in range(len(sentences) + 1)]
        for chain in statements:
            for at, statement in zip(sorted(rng.choices(range(len(slots)), k=size)), chain, strict=True):
                slots[at].append(statement)
        text = [part for slot, sentence in zip(slots, [*sentences, ""], strict=True) for part in (*slot, sentence)]
        return Example(
            id=f"{self.length}-{self.hops}-{self.chains}-{seed}-{number}",
            instruction=_INSTRUCTION,
            context=" ".join(text).strip(),
            question=f"Question: Which {size} names have the value {values[0]}?",
            answers=tuple(chains[0]),
            all_of=True,
            gold=tuple(sorted(statements[0], key=text.index)),
            features={"length": self.length, "hops": self.hops},
        )
