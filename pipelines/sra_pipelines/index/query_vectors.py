"""Embed queries; the vectors of texts that many questions share, such as a vocabulary, are kept in the process."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict

import numpy as np
import numpy.typing as npt
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.embedding_identity import unit_vectors

__all__ = ["query_vector"]

_MOST_KEPT = 1024  # texts of each model; those of the shipped presets are fewer than a hundred

_Vectors = OrderedDict[str, npt.NDArray[np.float32]]
_lock = threading.Lock()
_kept: dict[int, _Vectors] = {}  # by the identity of the model: embedding models cannot be hashed


def query_vector(embedding: BaseEmbedding, text: str, *, keep: bool = False) -> npt.NDArray[np.float32]:
    """Return the vector of a query, with length 1.

    Parameters
    ----------
    embedding
        The embedding model.
    text
        The query.
    keep
        Whether to keep the vector as long as the model exists, for all indexes that use this model object. Of one
        model, the 1,024 texts that were used last are kept.
    """
    if not keep:
        return _embedded(embedding, text)
    vectors = _vectors_of(embedding)
    with _lock:
        if text in vectors:
            vectors.move_to_end(text)
            return vectors[text]
    vector = _embedded(embedding, text)
    with _lock:
        vectors[text] = vector
        while len(vectors) > _MOST_KEPT:
            vectors.popitem(last=False)
    return vector


def _embedded(embedding: BaseEmbedding, text: str) -> npt.NDArray[np.float32]:
    [vector] = unit_vectors([embedding.get_query_embedding(text)])
    return vector


def _vectors_of(embedding: BaseEmbedding) -> _Vectors:
    key = id(embedding)
    with _lock:
        if key not in _kept:
            _kept[key] = OrderedDict()
            weakref.finalize(embedding, _kept.pop, key, None).atexit = False
        return _kept[key]
