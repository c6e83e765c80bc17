"""LlamaIndex LLM with Scaled ReAttention: ``from llama_index.llms.sra import SRAHuggingFaceLLM``."""

from sra_rag.errors import require_extra

require_extra("llama_index.llms.sra", "llama-index", "llama_index.core", "llama_index.llms.huggingface")

from llama_index.llms.sra.base import SRAHuggingFaceLLM  # noqa: E402 - only once its packages are known to be there

__all__ = ["SRAHuggingFaceLLM"]
