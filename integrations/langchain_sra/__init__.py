"""LangChain models with Scaled ReAttention, and a re-ranker: ``from langchain_sra import ChatSRAHuggingFace``."""

from typing import TYPE_CHECKING

from sra_rag.errors import require_extra
from sra_rag.lazy_imports import lazy_names

require_extra("langchain_sra", "langchain", "langchain_core")

if TYPE_CHECKING:
    from langchain_sra.chat_models import ChatSRAHuggingFace
    from langchain_sra.document_compressor import SRADocumentCompressor
    from langchain_sra.llms import SRAHuggingFaceLLM
else:  # hidden from type checkers, which would accept any name because of __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "langchain_sra.chat_models": ["ChatSRAHuggingFace"],
            "langchain_sra.document_compressor": ["SRADocumentCompressor"],
            "langchain_sra.llms": ["SRAHuggingFaceLLM"],
        },
    )

__all__ = ["ChatSRAHuggingFace", "SRADocumentCompressor", "SRAHuggingFaceLLM"]
