"""Identify the embedding model of an index by its vectors for a fixed text, not by its name."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_index.core.embeddings import BaseEmbedding

from sra_rag.errors import ConfigError

__all__ = ["EmbeddingIdentity", "EmbeddingMismatchError", "unit_vectors"]

_PROBE = "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year; net income fell by 3.6% in 2023."
_LEAST_COSINE = 0.999  # the same weights in another precision or on another machine stay above it


class EmbeddingMismatchError(ConfigError):
    """The vectors of an index come from a different embedding model."""


@dataclasses.dataclass(frozen=True, slots=True)
class EmbeddingIdentity:
    """The identity of an embedding model.

    Parameters
    ----------
    name
        Name of the model as requested; used in messages only.
    probe
        Unit vectors of the probe text, embedded as a passage and as a question; float32, [2, dimension].
    """

    name: str
    probe: npt.NDArray[np.float32]

    @classmethod
    def of(cls, embedding: BaseEmbedding, name: str | None = None) -> EmbeddingIdentity:
        """Compute the identity of a model."""
        vectors = [embedding.get_text_embedding(_PROBE), embedding.get_query_embedding(_PROBE)]
        return cls(name or embedding.model_name, unit_vectors(vectors))

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> EmbeddingIdentity:
        """Read the identity from the metadata of an index."""
        probe = np.frombuffer(meta["embedding_probe"], dtype="<f4").reshape(2, int(meta["embedding_dimension"]))
        return cls(str(meta["embedding_name"]), probe.astype(np.float32))

    def to_meta(self) -> dict[str, object]:
        """Return the identity as metadata of an index."""
        return {
            "embedding_name": self.name,
            "embedding_dimension": self.dimension,
            "embedding_probe": self.probe.astype("<f4").tobytes(),
        }

    @property
    def dimension(self) -> int:
        """Dimension of the vectors of the model."""
        return int(self.probe.shape[1])

    def require_same(self, other: EmbeddingIdentity, where: str) -> None:
        """Raise if `other` is a different model.

        Raises
        ------
        EmbeddingMismatchError
            If `other` has a different dimension, or different vectors for the probe.
        """
        if other.dimension != self.dimension:
            difference = f"vectors of dimension {other.dimension} instead of {self.dimension}"
        else:
            cosine = float((self.probe * other.probe).sum(axis=1).min())
            if cosine >= _LEAST_COSINE:
                return
            difference = f"different vectors for the same text (cosine {cosine:.3f})"
        raise EmbeddingMismatchError(
            f"{where}: the index was built with the embedding model {self.name!r}; {other.name!r} gives {difference}. "
            f"Use {self.name!r}, or build a separate index for {other.name!r}."
        )


def unit_vectors(vectors: Any) -> npt.NDArray[np.float32]:
    """Return vectors as float32 [n, dimension] of unit length, so that inner products are cosines."""
    array = np.asarray(vectors, dtype=np.float32)
    return array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), np.finfo(np.float32).tiny)
