"""Scaled ReAttention inside vLLM: a plugin that vLLM finds by its entry points, settings by request.

Nothing is imported or changed until vLLM calls `register`; docs/vllm.md says how to serve with it.
"""

from vllm_sra.plugin.registration import register
from vllm_sra.plugin.request_settings import DEFAULT_VARIABLE, RequestSettings, read_settings

__all__ = ["DEFAULT_VARIABLE", "RequestSettings", "read_settings", "register"]
