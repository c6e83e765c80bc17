"""LlamaIndex LLM with Scaled ReAttention: ``from llama_index.llms.sra import SRAHuggingFaceLLM``."""

from typing import TYPE_CHECKING

from sra_rag.errors import require_extra
from sra_rag.lazy_imports import lazy_names

require_extra("llama_index.llms.sra", "llama-index", "llama_index.core", "llama_index.llms.huggingface")

if TYPE_CHECKING:
    from llama_index.llms.sra.base import SRAHuggingFaceLLM
else:  # hidden from type checkers, which would accept any name because of __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "llama_index.llms.sra.base": ["SRAHuggingFaceLLM"],
        },
    )

__all__ = ["SRAHuggingFaceLLM"]
