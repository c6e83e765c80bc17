"""Client for a model on a vLLM server."""

from vllm_sra.client.prompt_context import VLLMServerError, context_length

__all__ = ["VLLMServerError", "context_length"]
