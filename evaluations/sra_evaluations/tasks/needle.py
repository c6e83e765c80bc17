"""Needle in a haystack: one fact, or several alike, somewhere in a long report.

After the test of G. Kamradt (2023) and its several keys and values in RULER (arXiv 2404.06654); the text is generated.
"""

from __future__ import annotations

import dataclasses
import random
from typing import ClassVar, Literal, get_args

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens, fill, name_of, place
from sra_rag.errors import ConfigError

__all__ = ["Needle"]

Kind = Literal["single", "several_keys", "several_values", "figures", "absent"]
_DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SEVERAL = 4
_INSTRUCTION = (
    "Read the report and answer the question from it alone. If the report does not hold the answer, say that the "
    "documents do not say."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Needle:
    """Find a fact at a given depth of a text of a given length.

    Parameters
    ----------
    length
        Tokens of the report, about.
    depth
        Position of the fact, in [0, 1]; by default the examples use five depths in turn.
    kind
        ``"single"``; ``"several_keys"``: among three facts about other projects; ``"several_values"``: four values of
        one project, all asked for; ``"figures"``: an amount instead of a name; ``"absent"``: the fact is not there, so
        the right answer is that the documents do not say.
    """

    name: ClassVar[str] = "needle"
    length: int = 2000
    depth: float | None = None
    kind: Kind = "single"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"kind={self.kind!r} is not allowed. Use one of {', '.join(get_args(Kind))}.")
        if self.length < 1:
            raise ConfigError(f"length={self.length} is not allowed: it must be at least 1 token.")
        if self.depth is not None and not 0 <= self.depth <= 1:
            raise ConfigError(f"depth={self.depth} is not allowed: it must be between 0 and 1.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Make `count` examples; the same for the same seed, options and tokenizer."""
        return [self._example(number, seed, count_tokens) for number in range(count)]

    def _example(self, number: int, seed: int, count_tokens: CountTokens) -> Example:
        rng = random.Random(f"{self.name} {self.kind} {seed} {number}")
        depth = _DEPTHS[number % len(_DEPTHS)] if self.depth is None else self.depth
        keys = list({name_of(rng): None for _ in range(4 * _SEVERAL)})[:_SEVERAL]
        values: list[str] = []
        if self.kind != "figures":
            values = [name for name in {name_of(rng): None for _ in range(4 * _SEVERAL)} if name not in keys][:_SEVERAL]
        if self.kind == "figures":
            values = [f"{amount:,}" for amount in rng.sample(range(10_000, 1_000_000), _SEVERAL)]
        facts = {
            "single": [self._fact(keys[0], values[0])],
            "figures": [self._fact(keys[0], values[0])],
            "several_keys": [self._fact(key, value) for key, value in zip(keys, values, strict=True)],
            "several_values": [self._fact(keys[0], value) for value in values],
            "absent": [self._fact(key, value) for key, value in zip(keys[1:], values[1:], strict=True)],
        }[self.kind]
        room = max(0, self.length - sum(count_tokens(fact) for fact in facts))
        what = "budget in crowns" if self.kind == "figures" else "code name"
        question = f"What is the {what} of the project {keys[0]}?"
        if self.kind == "several_values":
            question = f"What are all the {_SEVERAL} code names of the project {keys[0]}?"
        answers = {"absent": (), "several_values": tuple(values)}.get(self.kind, (values[0],))
        return Example(
            id=f"{self.kind}-{self.length}-{seed}-{number}",
            instruction=_INSTRUCTION,
            context=place(facts, depth, fill(room, count_tokens, rng)),
            question=f"Question: {question}",
            answers=answers,
            all_of=self.kind == "several_values",
            gold=() if not answers else tuple(facts if self.kind == "several_values" else facts[:1]),
            features={"length": self.length, "kind": self.kind} | ({} if not answers else {"position": depth}),
        )

    def _fact(self, key: str, value: str) -> str:
        if self.kind == "figures":
            return f"The project {key} has a budget of {value} crowns."
        return f"The project {key} has the code name {value}."
