"""Multi-document question answering: the gold passage among others, at every position.

The set-up of "Lost in the Middle" (Liu et al., arXiv 2307.03172): distractors are other questions' passages.
"""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any, ClassVar

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.jsonl_rows import answers_of, field_of, read_rows
from sra_rag.errors import ConfigError

__all__ = ["MultiDocument"]

_INSTRUCTION = (
    "Answer the question from the passages below and from nothing else, with a few words. If the passages do not hold "
    "the answer, say that the documents do not say."
)


@dataclasses.dataclass(frozen=True, slots=True)
class MultiDocument:
    """Answer from one of several passages.

    Parameters
    ----------
    data
        A JSONL file (``.gz`` too) of rows with ``question``, ``answers`` (any one counts), ``title`` and ``text``, the
        gold passage.
    passages
        How many passages a prompt holds.
    position
        Where the gold passage stands, 0 for the first; by default examples go through five positions in turn.
    gold
        False leaves the gold passage out: the right answer is that the documents do not say.
    skip
        Rows of the shuffled file that are left out, so that other examples can be had with the same seed.
    """

    name: ClassVar[str] = "multi-document"
    data: Path | None = None
    passages: int = 10
    position: int | None = None
    gold: bool = True
    skip: int = 0

    def __post_init__(self) -> None:
        if self.data is None:
            raise ConfigError(
                "The task multi-document needs a file: multi-document:data=FILE.jsonl, with 'question', 'answers', "
                "'title' and 'text' in each row."
            )
        if self.passages < 1 or self.skip < 0:
            raise ConfigError("passages must be at least 1, and skip at least 0.")
        if self.position is not None and not 0 <= self.position < self.passages:
            raise ConfigError(f"position={self.position} is not allowed: it lies between 0 and {self.passages - 1}.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Make `count` examples, or as many as there are rows."""
        if self.data is None:  # pragma: no cover - refused when it was made
            return []
        rows = read_rows(self.data)
        if len(rows) < self.passages:
            raise ConfigError(f"{self.data}: {len(rows)} rows are too few for {self.passages} passages a prompt.")
        if self.skip >= len(rows):
            raise ConfigError(f"{self.data}: skip={self.skip} leaves none of the {len(rows)} rows.")
        order = list(range(len(rows)))
        random.Random(f"{self.name} {seed}").shuffle(order)
        chosen = order[self.skip : self.skip + count]
        return [self._example(number, row, rows, seed) for number, row in enumerate(chosen)]

    def _example(self, number: int, gold: int, rows: list[dict[str, Any]], seed: int) -> Example:
        row = rows[gold]
        answers = answers_of(field_of(row, "answers", self.data))
        # A passage that holds an answer too would make the position meaningless.
        wanted = [answer.lower() for answer in answers]
        texts = [str(field_of(other, "text", self.data)).lower() for other in rows]
        others = [i for i, text in enumerate(texts) if i != gold and not any(w in text for w in wanted)]
        rng = random.Random(f"{self.name} {seed} {gold} {self.passages}")
        chosen = [rows[i] for i in rng.sample(others, min(len(others), self.passages - self.gold))]
        last = len(chosen)
        at = round((number % 5) / 4 * last) if self.position is None else min(self.position, last)
        if self.gold:
            chosen.insert(at, row)
        context = "\n\n".join(
            f"Passage {i} (Title: {field_of(p, 'title', self.data)})\n{field_of(p, 'text', self.data)}"
            for i, p in enumerate(chosen, start=1)
        )
        return Example(
            id=f"row{gold}-{len(chosen)}-{at if self.gold else 'absent'}-{seed}",
            instruction=_INSTRUCTION,
            context=context,
            question=f"Question: {field_of(row, 'question', self.data)}",
            answers=answers if self.gold else (),
            gold=(str(row["text"]),) if self.gold else (),
            features={"passages": len(chosen)} | ({"position": at / max(1, last)} if self.gold else {}),
        )
