"""Scaled ReAttention (SRA) inside vLLM: a plugin that vLLM discovers by entry points, with settings per request.

Nothing is imported or patched until vLLM calls `register`. docs/vllm.md describes how to serve with it.
"""

from typing import TYPE_CHECKING

from sra_rag.lazy_imports import lazy_names

if TYPE_CHECKING:
    from vllm_sra.plugin.registration import register
    from vllm_sra.plugin.request_settings import DEFAULT_VARIABLE, RequestSettings, read_settings
else:  # hidden from type checkers, which would accept any name because of __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "vllm_sra.plugin.registration": ["register"],
            "vllm_sra.plugin.request_settings": ["DEFAULT_VARIABLE", "RequestSettings", "read_settings"],
        },
    )

__all__ = ["DEFAULT_VARIABLE", "RequestSettings", "read_settings", "register"]
