"""A model on a vLLM server, used as an engine."""

from vllm_sra.client.prompt_context import VLLMServerError, context_length

__all__ = ["VLLMServerError", "context_length"]
