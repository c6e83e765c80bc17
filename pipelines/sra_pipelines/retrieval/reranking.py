"""A second look at what was found: a cross-encoder reads question and passage together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sentence_transformers import CrossEncoder

from sra_pipelines.values import Passage
from sra_rag.errors import ModelLoadError, first_line

__all__ = ["Reranker"]


class Reranker:
    """Orders passages by how a cross-encoder rates them.

    Parameters
    ----------
    model
        A name on the hub, such as ``"cross-encoder/ms-marco-MiniLM-L6-v2"``, or a folder.
    batch_size
        Passages rated at once.

    Raises
    ------
    ModelLoadError
        If there is no such model, or it gives more than one score a pair.
    """

    def __init__(self, model: str, *, batch_size: int = 16) -> None:
        try:
            self.model = CrossEncoder(model)
        except (OSError, ValueError) as error:
            raise ModelLoadError(
                f"The cross-encoder {model!r} could not be loaded: {first_line(error)}. "
                "Give a name on the hub (online, or in the local cache) or a folder."
            ) from error
        if self.model.num_labels != 1:
            raise ModelLoadError(
                f"The cross-encoder {model!r} gives {self.model.num_labels} scores a pair; ranking needs one. Give a "
                "model trained for ranking, such as cross-encoder/ms-marco-MiniLM-L6-v2."
            )
        self.batch_size = batch_size

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the passages best first, scored by the model."""
        if not passages:
            return []
        pairs = [(question, passage.text) for passage in passages]
        scores = self.model.predict(pairs, batch_size=self.batch_size, show_progress_bar=False)
        rated = [
            dataclasses.replace(passage, score=float(score)) for passage, score in zip(passages, scores, strict=True)
        ]
        return sorted(rated, key=lambda passage: -passage.score)
