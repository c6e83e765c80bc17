"""Conversion between the arguments and results of LlamaIndex and of `sra_rag.Engine`."""

from __future__ import annotations

from typing import Any

from sra_rag.generation.engine import Engine
from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.generation.result import Generation
from sra_rag.generation.sampling import SamplingOptions
from sra_rag.models.loading import LoadedModel, load_model, load_tokenizer

__all__ = ["make_engine", "to_options", "to_raw"]


def make_engine(
    model: Any | None,
    tokenizer: Any | None,
    model_name: str,
    tokenizer_name: str | None,
    device_map: str | None,
    model_kwargs: dict[str, Any] | None,
    tokenizer_kwargs: dict[str, Any] | None,
    quantization: Any | None,
    options: SamplingOptions,
    stopping_ids: list[int] | None,
    context_window: int | None,
) -> Engine:
    """Return an engine for the constructor's arguments; return `model` itself if it is an engine that can be shared."""
    if isinstance(model, Engine) and not stopping_ids and context_window is None:
        return model
    if isinstance(model, Engine | LoadedModel):
        loaded = model.loaded if isinstance(model, Engine) else model
    elif model is not None:
        if tokenizer is None:
            tokenizer = load_tokenizer(tokenizer_name or model_name, tokenizer_kwargs=tokenizer_kwargs)
        loaded = LoadedModel(model, tokenizer, model.name_or_path or model_name)
    else:
        model_kwargs = dict(model_kwargs or {})
        loaded = load_model(
            model_name,
            dtype=model_kwargs.pop("dtype", model_kwargs.pop("torch_dtype", "auto")),
            device_map=device_map,
            quantization=quantization,
            tokenizer=tokenizer_name,
            model_kwargs=model_kwargs,
            tokenizer_kwargs=tokenizer_kwargs,
        )
        if tokenizer is not None:
            loaded = LoadedModel(loaded.model, tokenizer, loaded.name)
    return Engine(loaded, options=options, stop_token_ids=stopping_ids or (), context_window=context_window)


def to_options(given: dict[str, Any], max_new_tokens: int) -> SamplingOptions:
    """Convert keyword arguments of transformers' ``generate`` into sampling options."""
    changes = dict(given)
    if "max_tokens" in changes:
        changes["max_new_tokens"] = changes.pop("max_tokens")
    sample = changes.pop("do_sample", None)
    if sample is False:
        changes["temperature"] = 0.0
    elif sample and "temperature" not in changes:
        changes["temperature"] = 1.0
    return SamplingOptions(max_new_tokens=max_new_tokens).replace(**changes)


def to_raw(prompt: EncodedPrompt, generation: Generation) -> dict[str, Any]:
    """Return the raw response for LlamaIndex, with token usage, timing and settings."""
    usage = generation.usage
    return {
        "model_output": [[*prompt.token_ids, *generation.token_ids]],
        "finish_reason": generation.finish_reason,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "cached_tokens": usage.cached_tokens,
        },
        "timing": {
            "prefill_seconds": generation.timing.prefill_seconds,
            "decode_seconds": generation.timing.decode_seconds,
        },
        "sra": None if generation.sra is None else generation.sra.to_dict(),
        "context_tokens": generation.context_length,
    }
