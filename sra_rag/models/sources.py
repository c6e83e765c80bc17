"""Resolve the name of a model: the embedded model, a fetched one, a file, a folder, or a name on the hub."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from sra_rag.errors import ModelLoadError
from sra_rag.models.downloadable import downloadable_models, fetched_file
from sra_rag.models.embedded import EMBEDDED_NAME, embedded_model_file, embedded_model_folder, embedded_target
from sra_rag.models.gguf_files import gguf_model_folder, is_complete, is_unpacked

__all__ = ["describe_loading", "model_source"]


def describe_loading(name: str) -> str:
    """Return what a progress bar says while a model is loaded: the first use of a GGUF file takes far longer.

    Parameters
    ----------
    name
        As for `model_source`. A name that cannot be loaded is described too.
    """
    try:
        if name == EMBEDDED_NAME:
            embedded_model_file()  # raises if the package is not installed
            unpacked = is_complete(embedded_target())
        elif name in downloadable_models():
            unpacked = is_unpacked(fetched_file(name))
        else:
            unpacked = not name.endswith(".gguf") or is_unpacked(Path(name))
    except (ModelLoadError, OSError):
        unpacked = True
    return f"loading {name}" if unpacked else f"unpacking {name} (at the first use only)"


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
