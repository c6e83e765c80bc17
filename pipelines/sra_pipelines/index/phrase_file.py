"""The vectors of phrases by one embedding model, as a file in the user's cache."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sra_pipelines.index.embedding_identity import EmbeddingIdentity, EmbeddingMismatchError
from sra_rag.models.cache import cache_folder

__all__ = ["PhraseFile", "Vector"]

_FOLDER = "phrases"  # in the cache
_VERSION = 1  # of the file
_log = logging.getLogger(__name__)

Vector = npt.NDArray[np.float32]


class PhraseFile:
    """Phrases and their vectors in the user's cache, see `sra_rag.models.cache.cache_folder`.

    The file also holds the vectors of the probe of the model. Vectors of another model with the same name are ignored,
    and then replaced. A file that cannot be read counts as empty, and one that cannot be written is not written: the
    phrases are then embedded again by the next process.

    Parameters
    ----------
    identity
        The embedding model.
    """

    def __init__(self, identity: EmbeddingIdentity) -> None:
        name = hashlib.sha256(f"{identity.name}\n{identity.dimension}".encode()).hexdigest()[:24]
        self.path: Path = cache_folder() / _FOLDER / f"{name}-v{_VERSION}.npz"
        self.identity = identity

    def read(self) -> dict[str, Vector]:
        """Return the vectors by phrase, in the order in which they were written."""
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                phrases, vectors, probe = arrays["phrases"], arrays["vectors"], arrays["probe"]
            EmbeddingIdentity(self.identity.name, probe).require_same(self.identity, str(self.path))
            if vectors.shape != (len(phrases), self.identity.dimension) or not np.isfinite(vectors).all():
                raise ValueError(f"vectors of shape {vectors.shape} for {len(phrases)} phrases")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, EmbeddingMismatchError) as error:
            _log.info("%s is not used, and its phrases are embedded again: %s", self.path, error)
            return {}
        return {str(phrase): vector for phrase, vector in zip(phrases, vectors.astype(np.float32), strict=True)}

    def write(self, vectors: Mapping[str, Vector]) -> None:
        """Replace the file, in one step."""
        partial: Path | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, suffix=".partial")
            partial = Path(name)
            with os.fdopen(handle, "wb") as file:
                np.savez(
                    file,
                    phrases=np.array(list(vectors)),
                    vectors=np.array(list(vectors.values()), dtype=np.float32),
                    probe=self.identity.probe,
                )
            partial.replace(self.path)
        except OSError as error:
            _log.info("%s cannot be written, so other processes embed the phrases again: %s", self.path, error)
            if partial is not None:
                partial.unlink(missing_ok=True)
