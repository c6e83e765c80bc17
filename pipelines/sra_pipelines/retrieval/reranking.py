"""Re-rank retrieved passages with a cross-encoder, which processes question and passage together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sentence_transformers import CrossEncoder

from sra_pipelines.values import Passage
from sra_rag.errors import ModelLoadError, first_line

__all__ = ["Reranker"]


class Reranker:
    """Re-ranks passages by the scores of a cross-encoder.

    Parameters
    ----------
    model
        Name of the model on the hub, such as ``"cross-encoder/ms-marco-MiniLM-L6-v2"``, or a folder.
    batch_size
        Number of passages per batch.

    Raises
    ------
    ModelLoadError
        If the model cannot be loaded, or returns more than one score per pair.
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
                f"The cross-encoder {model!r} returns {self.model.num_labels} scores per pair; ranking needs one. Give "
                "a model trained for ranking, such as cross-encoder/ms-marco-MiniLM-L6-v2."
            )
        self.batch_size = batch_size

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the passages with the scores of the model, best first."""
        if not passages:
            return []
        pairs = [(question, passage.text) for passage in passages]
        scores = self.model.predict(pairs, batch_size=self.batch_size, show_progress_bar=False)
        rated = [
            dataclasses.replace(passage, score=float(score)) for passage, score in zip(passages, scores, strict=True)
        ]
        return sorted(rated, key=lambda passage: -passage.score)
