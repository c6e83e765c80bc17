"""One question of a task: a prompt, its right answers, and its features."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sra_pipelines.readers import FORMATS
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.values import Passage

__all__ = ["Example", "content_hash", "document_stem"]


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """A question with its context and its gold answers.

    Parameters
    ----------
    id
        Unique within its task; the same for the same seed and options.
    instruction, context, question
        The prompt, in this order: what does not depend on the question comes first, so that its prefill is shared.
    answers
        Right answers. One of them is enough, or all are required with `all_of`. Empty: the right answer is that the
        context does not contain it.
    all_of
        Whether an answer must contain all of `answers`.
    features
        Values that results are grouped by, such as ``{"position": 0.5, "passages": 10}``.
    gold
        The texts within `context` that contain the answer: the attention on them is measured.
    passages, gold_pages
        Where the context comes from documents: the passages in it, and the pages (`document_stem`, zero-based index)
        that contain the answer. Citations are compared with them.
    passage_scores
        How well each passage, or paragraph of the context, fits the question by a search; empty if there was none.
    plain
        The context is plain text, and the only answer is its continuation: nothing is asked or generated, only the
        likelihood of the rest is measured.
    """

    id: str
    instruction: str
    context: str
    question: str
    answers: tuple[str, ...]
    all_of: bool = False
    features: Mapping[str, float | str] = dataclasses.field(default_factory=dict)
    gold: tuple[str, ...] = ()
    passages: tuple[Passage, ...] = ()
    gold_pages: tuple[tuple[str, int], ...] = ()
    passage_scores: tuple[float, ...] = ()
    plain: bool = False

    def prompt(self) -> str | list[dict[str, str]]:
        """Return the prompt: one message of the user, or plain text."""
        return self.context if self.plain else [{"role": "user", "content": self._content()}]

    def passage_texts(self) -> list[str] | None:
        """Return the passages as they are written in the context; None where they are its paragraphs."""
        return [format_passages([passage]) for passage in self.passages] or None

    def gold_spans(self) -> list[tuple[str, str]]:
        """Return for each of `gold` the prompt before it, and the prompt up to its end; in reading order."""
        content, begin = self._content(), len(self.instruction)
        spans = []
        for text in sorted(self.gold, key=content.find):
            start = content.find(text, begin)
            if start < 0:
                raise ValueError(f"{self.id}: the gold text {text[:60]!r} is not in the context.")
            begin = start + len(text)
            spans.append((content[:start], content[:begin]))
        return spans

    def gold_text(self) -> str:
        """Return the answer whose likelihood is measured: the first, or all together; empty if there is none."""
        return ", ".join(self.answers) if self.all_of else "".join(self.answers[:1])

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Example:
        """Make an example of what `to_dict` returned, also once it went through JSON."""
        values = dict(content)
        values["passages"] = tuple(Passage(**passage) for passage in values.get("passages", ()))
        values["gold_pages"] = tuple((document, page) for document, page in values.get("gold_pages", ()))
        return cls(**values | {name: tuple(values.get(name, ())) for name in ("answers", "gold", "passage_scores")})

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return dataclasses.asdict(self)

    def sha256(self) -> str:
        """Return the hash of everything in it, by which it is known again."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def _content(self) -> str:
        return "\n\n".join(filter(None, (self.instruction, self.context, self.question)))


def content_hash(examples: Sequence[Example]) -> str:
    """Return the SHA-256 of everything in the examples."""
    return hashlib.sha256("".join(example.sha256() for example in examples).encode()).hexdigest()


def document_stem(name: str) -> str:
    """Return the name of a document without its folder and the suffix of its format; ``Q2.2023`` has none."""
    path = Path(name)
    return path.stem if path.suffix.lower() in FORMATS else path.name
