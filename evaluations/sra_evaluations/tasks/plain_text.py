"""Continuation of plain text: what a setting does to text that it is not meant for."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from sra_pipelines.readers import read_document
from sra_pipelines.reading.finding import find_documents
from sra_pipelines.samples import sample_documents

from sra_evaluations.examples import Example
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.jsonl_rows import field_of, read_rows
from sra_rag.errors import ConfigError

__all__ = ["PlainText", "cut_texts"]

_GIVEN = 0.25  # share of a text; the model has to predict the rest


@dataclasses.dataclass(frozen=True, slots=True)
class PlainText:
    """How well the rest of a text is predicted from its beginning, in nats per token; nothing is generated.

    Parameters
    ----------
    data
        A JSONL file of rows with ``text``, or a document or folder of documents; by default the sample documents.
    tokens
        Maximum number of tokens of each text.
    """

    name: ClassVar[str] = "plain-text"
    data: Path | None = None
    tokens: int = 500

    def __post_init__(self) -> None:
        if self.tokens < 16:
            raise ConfigError(f"tokens={self.tokens} is not allowed: it must be at least 16.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Cut `count` texts, or as many as there are, at white space."""
        examples = cut_texts(self._texts(), self.tokens, count, seed, count_tokens)
        if not examples:
            raise ConfigError(f"{self.data}: no text is long enough. Give longer texts.")
        return examples

    def _texts(self) -> list[str]:
        if self.data is not None and {".jsonl", ".gz"} & set(self.data.suffixes):
            texts = [str(field_of(row, "text", self.data)) for row in read_rows(self.data)]
            return [text for text in texts if text.strip()]
        paths = sample_documents() if self.data is None else find_documents([self.data])
        return [page.text for path in paths for page in read_document(path).pages if page.text.strip()]


def cut_texts(texts: Sequence[str], tokens: int, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
    """Cut texts, chosen by `seed`, to about `tokens` tokens, and divide each into a given and a predicted part."""
    order = list(range(len(texts)))
    random.Random(f"plain-text {seed}").shuffle(order)
    examples: list[Example] = []
    for at in order:
        if len(examples) == count:
            break
        words = texts[at].split(" ")
        size = max(2, round(len(words) * min(1.0, tokens / max(1, count_tokens(texts[at])))))
        given = max(1, round(_GIVEN * min(size, len(words))))
        if len(words) > given:
            context, rest = " ".join(words[:given]), " " + " ".join(words[given:size])
            features = {"tokens": tokens}
            examples.append(Example(f"{at}-{tokens}", "", context, "", (rest,), features=features, plain=True))
    return examples
