"""Your own questions from a JSONL file, without code."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.jsonl_rows import answers_of, choose, field_of, read_rows
from sra_rag.errors import ConfigError

__all__ = ["OwnQuestions"]

_INSTRUCTION = (
    "Answer the question from the passages below and from nothing else. Be brief. If the passages do not hold the "
    "answer, say that the documents do not say."
)
_KNOWN = {"id", "question", "answers", "answer", "context", "passages", "instruction", "all_of", "features"}


@dataclasses.dataclass(frozen=True, slots=True)
class OwnQuestions:
    """Questions that bring their own passages.

    Parameters
    ----------
    data
        JSONL; each row has ``question``, ``answers`` (a list; any one counts, all with ``"all_of": true``; empty: the
        documents have none) or ``answer``, and ``context`` (a text) or ``passages`` (a list of texts). It may have
        ``id``, ``instruction`` and ``features`` (values to group results by, such as ``position``).
    """

    name: ClassVar[str] = "own"
    data: Path | None = None

    def __post_init__(self) -> None:
        if self.data is None:
            raise ConfigError("The task own needs a file: own:data=FILE.jsonl, or the file's path alone.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Read all rows, or `count` of them, chosen by `seed` and in the order of the file."""
        if self.data is None:  # pragma: no cover - refused when it was made
            return []
        rows = read_rows(self.data)
        examples = [self._example(number, row) for number, row in enumerate(rows, start=1)]
        if len({example.id for example in examples}) < len(examples):
            raise ConfigError(f"{self.data}: two rows have the same 'id'. Give each its own, or leave 'id' out.")
        return [examples[at] for at in choose(len(rows), count, f"{self.name} {seed}")]

    def _example(self, number: int, row: dict[str, Any]) -> Example:
        unknown = row.keys() - _KNOWN
        if unknown:
            raise ConfigError(
                f"{self.data}: row {number} has {', '.join(sorted(unknown))}; allowed are {', '.join(sorted(_KNOWN))}."
            )
        answers = row["answers"] if "answers" in row else field_of(row, "answer", self.data)
        context = row.get("context")
        if context is None:
            passages = field_of(row, "passages", self.data)
            if not isinstance(passages, list) or not all(isinstance(passage, str) for passage in passages):
                raise ConfigError(f"{self.data}: row {number}: 'passages' is a list of texts. One text is a 'context'.")
            context = "\n\n".join(passages)
        features = row.get("features", {})
        if not isinstance(features, dict) or not all(
            isinstance(value, str | int | float) for value in features.values()
        ):
            raise ConfigError(f"{self.data}: row {number}: 'features' maps names to numbers or texts.")
        if not isinstance(row.get("all_of", False), bool):
            raise ConfigError(f"{self.data}: row {number}: 'all_of' is true or false.")
        return Example(
            id=str(row.get("id", number)),
            instruction=str(row.get("instruction", _INSTRUCTION)),
            context=str(context),
            question=f"Question: {field_of(row, 'question', self.data)}",
            answers=answers_of(answers),
            all_of=row.get("all_of", False),
            features=dict(features),
        )
