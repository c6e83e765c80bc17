"""Embed queries; the vectors of phrases that many questions share, such as a vocabulary, are kept."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.embedding_identity import EmbeddingIdentity, unit_vectors
from sra_pipelines.index.phrase_file import PhraseFile, Vector

__all__ = ["query_vector"]

_MOST_KEPT = 1024  # phrases of each model, if no vocabulary has more; the shipped presets have fewer than a hundred
_SAME = 0.9999  # cosine of a text embedded as a query and as a passage, for a model that does not distinguish them


class _Phrases:
    """The vectors of phrases by one model, in the process and in the user's cache."""

    def __init__(self) -> None:
        self.vectors: OrderedDict[str, Vector] = OrderedDict()
        self.identity: EmbeddingIdentity | None = None


_lock = threading.Lock()
_kept: dict[int, _Phrases] = {}  # by the identity of the model: embedding models cannot be hashed


def query_vector(
    embedding: BaseEmbedding, text: str, *, phrases: Sequence[str] = (), identity: EmbeddingIdentity | None = None
) -> npt.NDArray[np.float32]:
    """Return the vector of a query, with length 1.

    Parameters
    ----------
    embedding
        The embedding model.
    text
        The query.
    phrases
        Texts that many questions share, of which `text` is one; empty for the question of a user. Their vectors are
        kept as long as the model object exists, and for other processes in the user's cache. Phrases without a vector
        are embedded together, so only the first of them takes time. Of one model, 1,024 phrases are kept, those that
        were used last.
    identity
        The identity of `embedding`, if it is known; otherwise it is computed when the cache is used.
    """
    if text not in phrases:
        return _embedded(embedding, text)
    own = _phrases_of(embedding)
    with _lock:
        if text in own.vectors:
            return own.vectors[text]
        identity = own.identity or identity
    # Two threads may both do the following, with the same result.
    identity = identity or EmbeddingIdentity.of(embedding)
    file = PhraseFile(identity)
    known = file.read()
    missing = [phrase for phrase in dict.fromkeys(phrases) if phrase not in known]
    if missing:
        known |= zip(missing, _embedded_phrases(embedding, missing, identity), strict=True)
        file.write(_last(known, phrases))
    with _lock:
        own.identity = identity
        own.vectors = OrderedDict(_last(own.vectors | known, phrases))
        return own.vectors[text]


def _last(vectors: Mapping[str, Vector], used: Sequence[str]) -> dict[str, Vector]:
    """Return the vectors that are kept: those of the phrases in use, and of the last others."""
    n_others = max(0, _MOST_KEPT - len(set(used)))
    others = [phrase for phrase in vectors if phrase not in set(used)]
    return {phrase: vectors[phrase] for phrase in [*others[max(0, len(others) - n_others) :], *used]}


def _embedded(embedding: BaseEmbedding, text: str) -> Vector:
    [vector] = unit_vectors([embedding.get_query_embedding(text)])
    return vector


def _embedded_phrases(embedding: BaseEmbedding, phrases: list[str], identity: EmbeddingIdentity) -> list[Vector]:
    """Embed phrases as queries; as one batch if the model embeds queries as it embeds passages."""
    as_passage, as_query = identity.probe
    if float(as_passage @ as_query) < _SAME:
        return [_embedded(embedding, phrase) for phrase in phrases]
    return list(unit_vectors(embedding.get_text_embedding_batch(phrases)))


def _phrases_of(embedding: BaseEmbedding) -> _Phrases:
    key = id(embedding)
    with _lock:
        if key not in _kept:
            _kept[key] = _Phrases()
            weakref.finalize(embedding, _kept.pop, key, None).atexit = False
        return _kept[key]
