"""LlamaIndex re-ranker with the evidence heads of a model: ``from llama_index.postprocessor.sra import SRARerank``."""

from typing import TYPE_CHECKING

from sra_rag.errors import require_extra
from sra_rag.lazy_imports import lazy_names

require_extra("llama_index.postprocessor.sra", "llama-index", "llama_index.core")

if TYPE_CHECKING:
    from llama_index.postprocessor.sra.node_postprocessor import SRARerank
else:  # hidden from type checkers, which would accept any name because of __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "llama_index.postprocessor.sra.node_postprocessor": ["SRARerank"],
        },
    )

__all__ = ["SRARerank"]
