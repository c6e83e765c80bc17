"""Scaled ReAttention inside vLLM: a plugin that vLLM finds by its entry points, settings by request.

Nothing is imported or changed until vLLM calls `register`; docs/vllm.md says how to serve with it.
"""

from typing import TYPE_CHECKING

from sra_rag.lazy_imports import lazy_names

if TYPE_CHECKING:
    from vllm_sra.plugin.registration import register
    from vllm_sra.plugin.request_settings import DEFAULT_VARIABLE, RequestSettings, read_settings
else:  # type checkers would take any name for public if they saw a __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "vllm_sra.plugin.registration": ["register"],
            "vllm_sra.plugin.request_settings": ["DEFAULT_VARIABLE", "RequestSettings", "read_settings"],
        },
    )

__all__ = ["DEFAULT_VARIABLE", "RequestSettings", "read_settings", "register"]
