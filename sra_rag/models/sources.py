"""Resolve the name of a model: the embedded model, a fetched one, a file, a folder, or a name on the hub."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from sra_rag.models.downloadable import downloadable_models, fetched_file
from sra_rag.models.embedded import EMBEDDED_NAME, embedded_model_folder
from sra_rag.models.gguf_files import gguf_model_folder

__all__ = ["model_source"]


def model_source(name: str | PathLike[str]) -> str:
    """Return a folder in transformers' format or a name on the hub, from whatever names a model.

    Parameters
    ----------
    name
        ``"embedded"``, a name from ``sra-rag models``, a ``.gguf`` file, a folder or a name on the hub. GGUF files are
        converted on first use.

    Raises
    ------
    ModelLoadError
        If a file is missing or cannot be read, or the model has not been fetched yet.
    """
    text = str(name)
    if text == EMBEDDED_NAME:
        return str(embedded_model_folder())
    if text in downloadable_models():
        return str(gguf_model_folder(fetched_file(text)))
    if text.endswith(".gguf"):
        return str(gguf_model_folder(Path(text)))
    return text
