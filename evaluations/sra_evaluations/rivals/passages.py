"""The passages of an example, and how similar each is to the question."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING

from sra_evaluations.examples import Example
from sra_rag.evidence.statements import paragraphs

if TYPE_CHECKING:
    import numpy as np
    from llama_index.core.embeddings import BaseEmbedding
    from numpy.typing import NDArray

__all__ = ["Parts", "parts_of", "ranking", "similarities"]

_EMBEDDING = "embedded"
_QUESTION = "Question: "


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """A context in parts.

    Parameters
    ----------
    texts
        The passages as they are written in the context.
    between
        The texts before the first passage, between passages and after the last: one more than there are passages.
    """

    texts: tuple[str, ...]
    between: tuple[str, ...]

    def joined(self, order: list[int]) -> str:
        """Return the context with its passages in another order, or only some of them, with the same separators."""
        marks = [self.between[0], *self.between[1:-1][: len(order) - 1], self.between[-1]]
        texts = [self.texts[at] for at in order]
        return "".join(part for pair in zip(marks, [*texts, ""], strict=True) for part in pair)


def parts_of(example: Example) -> Parts:
    """Divide the context of an example into its passages, or into paragraphs if it has no passages."""
    spans, position = [], 0
    for text in example.passage_texts() or ():
        start = example.context.index(text, position)
        position = start + len(text)
        spans.append((start, position))
    spans = spans or paragraphs(example.context)
    ends = [0, *(last for _, last in spans)]
    starts = [*(first for first, _ in spans), len(example.context)]
    return Parts(
        tuple(example.context[first:last] for first, last in spans),
        tuple(example.context[last:first] for last, first in zip(ends, starts, strict=True)),
    )


def similarities(example: Example, parts: Parts) -> tuple[float, ...]:
    """Return the cosine similarity of each passage to the question, by the embedding model that comes with sra-rag."""
    return _similarities(example.question.removeprefix(_QUESTION), parts.texts)


def ranking(example: Example, parts: Parts) -> list[int]:
    """Return the indices of the passages by cosine similarity to the question, best first."""
    found = similarities(example, parts)
    return sorted(range(len(found)), key=lambda at: -found[at])


@lru_cache(maxsize=1)
def _model() -> BaseEmbedding:
    from sra_pipelines.index.embedding import load_embedding

    return load_embedding(_EMBEDDING)


@lru_cache(maxsize=16)  # several questions share a context
def _unit_vectors(texts: tuple[str, ...]) -> NDArray[np.float64]:
    import numpy as np

    vectors = np.asarray(_model().get_text_embedding_batch(list(texts)), dtype=float)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@lru_cache(maxsize=256)  # several rivals need the same ones
def _similarities(question: str, texts: tuple[str, ...]) -> tuple[float, ...]:
    import numpy as np

    asked = np.asarray(_model().get_query_embedding(question), dtype=float)
    return tuple((_unit_vectors(texts) @ (asked / np.linalg.norm(asked))).tolist())
