"""LangChain models with Scaled ReAttention: ``from langchain_sra import ChatSRAHuggingFace``."""

from sra_rag.errors import require_extra

require_extra("langchain_sra", "langchain", "langchain_core")

from langchain_sra.chat_models import ChatSRAHuggingFace  # noqa: E402 - only once its package is known to be there
from langchain_sra.llms import SRAHuggingFaceLLM  # noqa: E402

__all__ = ["ChatSRAHuggingFace", "SRAHuggingFaceLLM"]
